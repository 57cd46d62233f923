use axum::{
    body::{Body, Bytes},
    routing::get,
};
use futures_util::{StreamExt as _, future::join_all, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::*;

/// What an HTTP/2 client says first: the preface, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// An answer that never ends must exceed every socket's buffer.
const PIECE: usize = 64 * 1024;

const LONG: Duration = Duration::from_mins(10);

/// A server with these limits. It stops when `stop` is dropped.
struct Server {
    at: SocketAddr,
    /// Sends the next live event.
    events: mpsc::UnboundedSender<&'static str>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// Limits that no test reaches by chance.
fn patient() -> Limits {
    let grace = Duration::from_millis(100);
    Limits { connections: 100, first_request: LONG, headers: LONG, idle: LONG, stalled: LONG, age: LONG, grace }
}

async fn server(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (events, said) = mpsc::unbounded_channel::<&'static str>();
    let said = Arc::new(tokio::sync::Mutex::new(said));
    let live = move || {
        let events = stream::unfold(said.clone(), async |said| {
            let event = said.lock().await.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(event)), said))
        });
        async { Body::from_stream(events) }
    };
    let endless =
        async || Body::from_stream(stream::repeat(Bytes::from(vec![b'x'; PIECE])).map(Ok::<_, std::io::Error>));
    let router = Router::new()
        .route("/", get(async || "here\n"))
        .route("/live", get(live))
        .route("/endless", get(endless))
        .route("/for-ever", get(std::future::pending::<()>));
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(router, listener, limits, async {
        let _ = stopped.await;
    }));
    Server { at, events, stop, ended }
}

impl Server {
    async fn sent(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// A connection that got an answer, and may send another request.
    async fn answered(&self) -> TcpStream {
        let mut stream = self.sent(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        read_until(&mut stream, "here\n").await;
        stream
    }

    /// An HTTP/2 connection that sends no request.
    async fn framed(&self) -> TcpStream {
        let mut stream = self.sent(&[PREFACE, SETTINGS].concat()).await;
        let mut settings = [0; 9];
        stream.read_exact(&mut settings).await.unwrap();
        assert_eq!(settings[3], 4, "the server's settings");
        stream
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(stream.read_u8().await.expect("it is not closed"));
    }
    String::from_utf8(read).unwrap()
}

/// Waits until the server has closed the connection.
async fn closed(mut stream: TcpStream) {
    let mut rest = vec![0; PIECE];
    while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {}
}

/// Waits for something that a test expects, or fails the test.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what).await.expect("it does not end in time")
}

/// The server closes a connection that sends no request, whatever it sends instead, in both versions.
#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let server = server(Limits { first_request: Duration::from_millis(50), ..patient() }).await;
    let sent: [&[u8]; 7] =
        [b"", b"P", b"PRI", &PREFACE[..20], PREFACE, b"GET / HTTP/1.1\r\nhost: a\r\n", &[PREFACE, SETTINGS].concat()];
    let streams = join_all(sent.map(|bytes| server.sent(bytes))).await;
    soon(join_all(streams.into_iter().map(closed))).await;
}

/// A slow sender of headers does not gain time with each byte.
#[tokio::test]
async fn slow_headers_close_the_connection() {
    let limits = Limits { first_request: Duration::from_millis(50), headers: Duration::from_millis(50), ..patient() };
    let server = server(limits).await;
    let (first, later) = (server.sent(b"GET / HTTP/1.1\r\n").await, server.answered().await);
    let dripped = [first, later].map(async |mut stream| {
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    soon(join_all(dripped)).await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = server(Limits { idle: Duration::from_millis(50), ..patient() }).await;
    let mut framed = server.framed().await;
    // A request with an end: `GET /` of the authority `a`, as indexed fields.
    framed.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']).await.unwrap();
    let answered = server.answered().await;
    soon(join_all([closed(framed), closed(answered)].map(Box::pin))).await;
}

/// Live events with nothing to send are not idle.
#[tokio::test]
async fn silent_live_answers_are_not_cut() {
    let short = Duration::from_millis(50);
    let server =
        server(Limits { first_request: short, headers: short, idle: short, stalled: short, age: short, ..patient() })
            .await;
    let mut live = server.sent(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.events.send("one\n").unwrap();
    read_until(&mut live, "one\n\r\n").await;
    // Others come and are closed for each limit; this one began before them.
    for _ in 0..3 {
        soon(closed(server.sent(b"").await)).await;
        soon(closed(server.answered().await)).await;
    }
    server.events.send("two\n").unwrap();
    read_until(&mut live, "two\n\r\n").await;
}

#[tokio::test]
async fn answers_that_nobody_reads_are_cut() {
    let server = server(Limits { stalled: Duration::from_millis(50), ..patient() }).await;
    let untaken = server.sent(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut framed = server.framed().await;
    framed.write_all(&[0, 0, 14, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x41, 1, b'a', 0x04, 8]).await.unwrap();
    framed.write_all(b"/endless").await.unwrap();
    // The client never confirms what it reads on HTTP/2, so that the server may send no more; on HTTP/1 it reads
    // nothing.
    soon(closed(framed)).await;
    let gone = async {
        // The bytes sent before still arrive; then the connection ends.
        while untaken.take_error().unwrap().is_none() && !reset(&untaken).await {}
    };
    soon(gone).await;
}

/// Whether the other side has closed, without reading what it sent.
async fn reset(stream: &TcpStream) -> bool {
    stream.ready(tokio::io::Interest::ERROR | tokio::io::Interest::WRITABLE).await.unwrap();
    stream.try_write(b"x").is_err()
}

/// With room for three, the connection that has been silent longest makes room; a busy one stays.
#[tokio::test]
async fn the_longest_silent_connection_makes_room() {
    let server = server(Limits { connections: 3, ..patient() }).await;
    let mut live = server.sent(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.events.send("one\n").unwrap();
    read_until(&mut live, "one\n\r\n").await;
    let mut silent = server.answered().await;
    for _ in 0..20 {
        let next = server.answered().await;
        // There are two places for connections that ask: the newest stays, the oldest goes.
        let after = soon(server.answered()).await;
        soon(closed(silent)).await;
        drop(next);
        silent = after;
    }
    server.events.send("two\n").unwrap();
    read_until(&mut live, "two\n\r\n").await;
}

#[tokio::test]
async fn a_stop_ends_every_connection() {
    let server = server(patient()).await;
    let connected = [
        server.sent(b"").await,
        server.sent(b"PRI").await,
        server.sent(b"GET / HTTP/1.1\r\n").await,
        server.framed().await,
        server.answered().await,
        server.sent(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await,
        server.sent(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await,
        server.sent(b"GET /for-ever HTTP/1.1\r\nhost: a\r\n\r\n").await,
    ];
    drop(server.stop);
    soon(server.ended).await.unwrap();
    soon(join_all(connected.map(closed))).await;
    assert!(TcpStream::connect(server.at).await.is_err(), "the server accepts no more connections");
}

/// An old connection takes no new request, and sends its current answer completely.
#[tokio::test]
async fn an_old_connection_ends_after_its_current_request() {
    let server = server(Limits { age: Duration::from_millis(50), ..patient() }).await;
    let mut live = server.sent(b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    soon(closed(server.answered().await)).await;
    server.events.send("one\n").unwrap();
    read_until(&mut live, "one\n\r\n").await;
    drop(server.events);
    read_until(&mut live, "0\r\n\r\n").await;
    soon(closed(live)).await;
}
