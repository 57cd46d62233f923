//! Connections to running programs on which nobody sends a request.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use recourse_programs::temporal::{KEYS_FILE, PayloadKeys};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    api::{Issuer, Served},
    harness::{program, run},
};

/// What idle clients send: nothing, a part of the HTTP/2 preface, the whole preface, a request that does not end.
const SAID: [&[u8]; 4] =
    [b"", b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"GET / HTTP/1.1\r\nhost: a\r\n"];

/// Longer than every limit of the servers, and than a busy machine takes.
const SOON: Duration = Duration::from_mins(1);

async fn idle(at: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for said in SAID.iter().cycle().take(count) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(said).await.unwrap();
        streams.push(stream);
    }
    streams
}

async fn all_closed(streams: Vec<TcpStream>) {
    for mut stream in streams {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
}

#[test]
fn idle_connections_are_closed() {
    run(async {
        let served = Served::shared().await;
        let at: SocketAddr = served.url.strip_prefix("http://").unwrap().parse().unwrap();
        let streams = idle(at, 80).await;
        timeout(SOON, all_closed(streams)).await.expect("all are closed");
    });
}

/// Starts a codec server that trusts this issuer; the process and its address.
async fn codec_server(issuer: &Issuer, folder: &Path, more: &[&str]) -> (Child, SocketAddr) {
    let keys = folder.join("payload.keys");
    std::fs::write(&keys, PayloadKeys::new_line("k").unwrap()).unwrap();
    let mut child = Command::new(program("recourse"))
        .args(["codec-server", "--json", "--listen", "127.0.0.1:0", "--origin", "http://localhost:8233"])
        .args(more)
        .envs(issuer.env())
        .env(KEYS_FILE, keys)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said: Value = serde_json::from_str(&lines.next_line().await.unwrap().expect("its address")).unwrap();
    let at = said["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    (child, at)
}

/// The codec server too limits strangers without a valid token, and still serves operators at the same address.
#[test]
fn the_codec_server_limits_strangers() {
    run(async {
        let (issuer, folder) = (Issuer::new(), tempfile::tempdir().unwrap());
        let (_child, at) = codec_server(&issuer, folder.path(), &["--requests-per-minute", "5"]).await;
        let decode = async |token: &str| {
            let request = reqwest::Client::new().post(format!("http://{at}/decode")).bearer_auth(token);
            request.json(&json!({"payloads": []})).send().await.unwrap().status().as_u16()
        };
        let mut answers = Vec::new();
        for _ in 0..8 {
            answers.push(decode("no.good.token").await);
        }
        assert_eq!(answers, [401, 401, 401, 401, 401, 429, 429, 429]);
        assert_eq!(decode(&issuer.token("op-1", &["operator"], &[])).await, 200);
    });
}

/// The codec server stops although clients have just connected.
#[test]
fn the_codec_server_stops_although_clients_are_connected() {
    run(async {
        let issuer = Issuer::new();
        let folder = tempfile::tempdir().unwrap();
        let (mut child, at) = codec_server(&issuer, folder.path(), &[]).await;
        let streams = idle(at, 40).await;
        let id = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let ended = timeout(SOON, child.wait()).await.expect("it ends").unwrap();
        assert!(ended.success(), "{ended}");
        all_closed(streams).await;
    });
}
