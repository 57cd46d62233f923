"""A server that speaks as Stripe does (`localstripe`), for the test of a real payment provider.

Says its address on the first line, and ends when its input does. It is as its authors made it, but for two things: nothing is
kept on the disk, and `off_session` is let in where a PaymentIntent is confirmed, as Stripe does.
"""

import asyncio
import json
import sys

from aiohttp import web
from localstripe import resources

_confirm = resources.PaymentIntent._api_confirm


def confirm(off_session=None, **data):
    return _confirm(**data)


resources.Store.dump_to_disk = lambda self: None
# Before its server is imported, which makes routes of these.
resources.extra_apis[:] = [
    (method, url, confirm if does == _confirm else does) for method, url, does in resources.extra_apis
]

from localstripe.server import app  # noqa: E402


async def main():
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
