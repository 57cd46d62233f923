//! Uploads that never end, from a sender who wants to take memory.

use std::{fmt::Write as _, time::Duration};

use recourse_evidence::IntakeLimits;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    api::{Served, as_party},
    harness::{PATIENCE, Story, World, run},
};

/// Sends the head of an upload and its first bytes, and then nothing; the final status.
async fn stall(served: &Served, path: &str, token: &str) -> u16 {
    let mut stream = TcpStream::connect(served.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut head = String::new();
    write!(head, "POST {path}?name=a.txt HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n").unwrap();
    write!(head, "content-type: application/octet-stream\r\ncontent-length: 4900000\r\n\r\n").unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 10_000]).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

/// D6: the server asks some stalled uploads to come again, cuts the admitted ones off, keeps nothing of them, and takes other
/// uploads all the time.
#[test]
fn stalled_uploads_do_not_block_others() {
    run(async {
        let world = World::shared().await;
        let second = Duration::from_secs(1);
        let served =
            Served::taking(world, IntakeLimits { stalled: 3 * second, wait: second, ..IntakeLimits::default() }).await;
        let story = Story::new(world, "stalled");
        story.deposit("d-1", 30_000, "card-1").await;
        let path = format!("/v1/contracts/{}/evidence", story.id());
        let token = served.issuer.token(story.contract["freelancer"]["id"].as_str().unwrap(), &[], &[]);
        let stalled = futures_util::future::join_all((0..40).map(|_| stall(&served, &path, &token)));
        let client = as_party(&served, &story.contract, "client");
        let beside = async {
            let mut answers = Vec::new();
            for number in 0..5 {
                answers.push(client.upload(&path, "note.txt", format!("Note {number}").into_bytes()).await.0.as_u16());
            }
            answers
        };
        let both = async { tokio::join!(stalled, beside) };
        let (stalled, beside) = timeout(PATIENCE, both).await.expect("all uploads end");
        assert_eq!(beside, [201; 5]);
        assert!(stalled.iter().all(|status| matches!(status, 408 | 429)), "{stalled:?}");
        let let_in = stalled.iter().filter(|status| **status == 408).count();
        assert!((1..20).contains(&let_in), "one party was let in {let_in} times: {stalled:?}");
        let left = std::fs::read_dir(served.files.path().join("uploads")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "nothing is left of them");
        let freelancer = as_party(&served, &story.contract, "freelancer");
        assert_eq!(freelancer.get(&path).await.1["items"], json!([]));
        let (status, file): (_, Value) = freelancer.upload(&path, "note.txt", b"At last".to_vec()).await;
        assert_eq!(status.as_u16(), 201, "{file}");
    });
}
