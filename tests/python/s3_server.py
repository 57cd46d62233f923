"""A server that speaks S3, with an empty bucket, for the test of evidence that is kept in one.

Says its address on the first line, and ends when its input does.
"""

import json
import sys

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "evidence"

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
client = boto3.client(
    "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
)
client.create_bucket(Bucket=BUCKET)
print(json.dumps({"url": url, "bucket": BUCKET}), flush=True)
for line in sys.stdin:
    # Which objects there are, on request.
    objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    print(json.dumps([{"key": found["Key"], "size": found["Size"]} for found in objects]), flush=True)
server.stop()
