//! Evidence in a bucket: `recourse serve` by itself, with a server that speaks S3 (`moto`), as its environment says.

use std::process::Stdio;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{Issuer, process::Process};
use crate::harness::{Story, World, python, run};

/// A server with one bucket.
struct Bucket {
    url: String,
    name: String,
    ask: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _server: Child,
}

impl Bucket {
    async fn start() -> Self {
        let mut server =
            python("s3_server.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        Self { url: text("url"), name: text("bucket"), ask: server.stdin.take().unwrap(), lines, _server: server }
    }

    /// The keys and sizes of its objects.
    async fn objects(&mut self) -> Vec<(String, u64)> {
        self.ask.write_all(b"?\n").await.unwrap();
        let said: Value = serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap();
        let objects = said.as_array().unwrap().iter();
        objects.map(|found| (found["key"].as_str().unwrap().to_owned(), found["size"].as_u64().unwrap())).collect()
    }
}

/// D4, D6: the API returns large and small files unchanged, and a refused file leaves nothing in the bucket.
#[test]
fn evidence_is_kept_in_a_bucket() {
    run(async {
        // In a database of its own: another server on the shared database would look for these files in its folder.
        let (world, issuer, mut bucket) = (World::apart("bucket", &[]).await, Issuer::new(), Bucket::start().await);
        let place = format!("s3://{}/of/tests", bucket.name);
        let settings = [
            ("AWS_ENDPOINT_URL", &*bucket.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let process = Process::start(&world, &issuer, &place, &settings).await;
        let story = Story::new(&world, "bucket");
        story.deposit("d-1", 30_000, "card-1").await;
        let token = issuer.token(story.contract["freelancer"]["id"].as_str().unwrap(), &[], &[]);
        let path = format!("{}/v1/contracts/{}/evidence", process.url, story.id());
        let client = Client::new();
        let upload = async |name: &str, content: Vec<u8>| {
            let request = client.post(format!("{path}?name={name}")).bearer_auth(&token).body(content);
            let answer = request.header("content-type", "application/octet-stream").send().await.unwrap();
            (answer.status(), answer.json::<Value>().await.unwrap())
        };
        let long = b"Every sketch, one by one.\n".repeat(500_000);
        let (mut kept, short) = (Vec::new(), b"Three sketches.".to_vec());
        for (name, content) in [("long.txt", &long), ("short.txt", &short)] {
            let (status, file) = upload(name, content.clone()).await;
            assert_eq!((status, &file["size"]), (StatusCode::CREATED, &json!(content.len())), "{file}");
            let one = format!("{path}/{}", file["sha256"].as_str().unwrap());
            let read = client.get(one).bearer_auth(&token).send().await.unwrap();
            assert_eq!(read.status(), StatusCode::OK);
            assert!(read.bytes().await.unwrap() == content[..], "{name} comes back as another");
            kept.push(format!("of/tests/evidence/{}/{}", story.id(), file["sha256"].as_str().unwrap()));
        }
        let mut binary = long.clone();
        binary.extend([0, 1, 2]);
        assert_eq!(upload("none.txt", binary).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        kept.sort();
        let mut found: Vec<String> = bucket.objects().await.into_iter().map(|(key, _)| key).collect();
        found.sort();
        assert_eq!(found, kept, "nothing else is left");
    });
}
