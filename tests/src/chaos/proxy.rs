//! A small TCP proxy between two parts, which can delay, cut or refuse connections. It does not interpret the bytes.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The state of the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Whether it refuses new connections.
    pub refuses: bool,
    /// How much later everything arrives on the way there.
    pub there: Duration,
    /// How much later everything arrives on the way back.
    pub back: Duration,
}

/// A listening proxy. It ends with its runtime.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    target: AtomicU16,
    weather: watch::Sender<Weather>,
    /// Grows with every cut.
    cuts: watch::Sender<u64>,
    /// Grows each time that connections are lost silently.
    losses: watch::Sender<u64>,
}

impl Proxy {
    /// A proxy on any free port of this machine to another port of it.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let weather = watch::Sender::new(Weather::default());
        let (cuts, losses) = (watch::Sender::new(0), watch::Sender::new(0));
        let line = Arc::new(Line { target: AtomicU16::new(target), weather, cuts, losses });
        let serving = line.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                if !serving.weather.borrow().refuses {
                    tokio::spawn(serve(serving.clone(), connection));
                }
            }
        });
        Self { port, line }
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Leads new connections to this port from now on.
    pub fn lead_to(&self, target: u16) {
        self.line.target.store(target, Ordering::Relaxed);
    }

    /// Sets the state of the line from now on.
    pub fn set(&self, weather: Weather) {
        self.line.weather.send_replace(weather);
    }

    /// Breaks every connection, with everything in it.
    pub fn cut(&self) {
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing passes in any connection, and neither end gets an error.
    pub fn lose(&self) {
        self.line.losses.send_modify(|losses| *losses += 1);
    }
}

async fn serve(line: Arc<Line>, from: TcpStream) {
    let (mut cuts, mut losses) = (line.cuts.subscribe(), line.losses.subscribe());
    let target = line.target.load(Ordering::Relaxed);
    let Ok(to) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (_, _) = (from.set_nodelay(true), to.set_nodelay(true));
    let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
    let lost = losses.clone();
    let (mut there, mut back) = (
        pin!(pass(from_read, to_write, &line, &lost, |weather| weather.there)),
        pin!(pass(to_read, from_write, &line, &lost, |weather| weather.back)),
    );
    let is_lost = tokio::select! {
        () = &mut there => false,
        () = &mut back => false,
        _ = cuts.changed() => false,
        _ = losses.changed() => true,
    };
    // Keeps both ends open; nothing arrives at them.
    if is_lost {
        let _ = cuts.changed().await;
    }
}

/// Passes bytes on until an end closes. Bytes that come after the line was lost do not pass, even if this task has not noticed
/// the loss yet.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &Line,
    lost: &watch::Receiver<u64>,
    delay: impl Fn(&Weather) -> Duration,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let later = delay(&line.weather.borrow());
        if !later.is_zero() {
            tokio::time::sleep(later).await;
        }
        if lost.has_changed().unwrap_or(true) {
            return std::future::pending().await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::harness::run;

    async fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut byte = [0];
                    while connection.read_exact(&mut byte).await.is_ok() && connection.write_all(&byte).await.is_ok() {}
                });
            }
        });
        port
    }

    async fn answers(connection: &mut TcpStream) -> bool {
        let mut byte = [7];
        connection.write_all(&byte).await.is_ok() && connection.read_exact(&mut byte).await.is_ok()
    }

    #[test]
    fn a_proxy_passes_delays_cuts_and_refuses() {
        run(async {
            let proxy = Proxy::to(echo().await).await;
            let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
            assert!(answers(&mut connection).await);
            let (there, back) = (Duration::from_millis(60), Duration::from_millis(40));
            proxy.set(Weather { there, back, refuses: false });
            let started = Instant::now();
            assert!(answers(&mut connection).await && started.elapsed() >= there + back);
            proxy.set(Weather { refuses: true, ..Weather::default() });
            assert!(answers(&mut connection).await, "what is connected stays so");
            proxy.cut();
            // The holder of the connection notices it a little later.
            let ended = async { while answers(&mut connection).await {} };
            tokio::time::timeout(Duration::from_secs(10), ended).await.expect("a cut ends it");
            proxy.set(Weather::default());
            let mut lost = TcpStream::connect(proxy.address()).await.unwrap();
            assert!(answers(&mut lost).await);
            proxy.lose();
            let waited = tokio::time::timeout(Duration::from_millis(200), answers(&mut lost)).await;
            assert!(waited.is_err(), "it neither answers nor ends");
            assert!(answers(&mut TcpStream::connect(proxy.address()).await.unwrap()).await, "another one does");
            proxy.set(Weather { refuses: true, ..Weather::default() });
            let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
            assert!(!answers(&mut refused).await);
            proxy.set(Weather::default());
            assert!(answers(&mut TcpStream::connect(proxy.address()).await.unwrap()).await);
        });
    }
}
