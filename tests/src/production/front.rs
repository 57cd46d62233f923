//! A front before the Temporal server, like that of an installation: TLS with certificates on both sides, and an API key.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http2::SendRequest,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

/// The API key that it requires.
pub const API_KEY: &str = "the-key-of-this-test";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority that signs certificates.
pub fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this name and its key, as files in this folder.
pub fn certificate(authority: &Authority, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let (certificate_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (certificate_file, key_file)
}

/// A running front.
pub struct Front {
    /// Its address, with the name in its certificate.
    pub address: String,
    calls: Arc<AtomicU64>,
}

impl Front {
    /// Starts one before the server at `server`, for clients with certificates that this authority has signed.
    pub async fn start(server: &str, authority: &Authority, folder: &Path) -> Self {
        let (certificate, key) = certificate(authority, "localhost", folder);
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, server): (u16, SocketAddr) = (listener.local_addr().unwrap().port(), server.parse().unwrap());
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                // A client without our certificate is refused, which ends the connection.
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        forward(TokioIo::new(stream), server, counted).await;
                    }
                });
            }
        });
        Self { address: format!("localhost:{port}"), calls }
    }

    /// How many calls it has passed on.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

type Stream = TokioIo<tokio_rustls::server::TlsStream<TcpStream>>;

async fn forward(stream: Stream, server: SocketAddr, calls: Arc<AtomicU64>) {
    let upstream = TokioIo::new(TcpStream::connect(server).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), upstream).await.unwrap();
    tokio::spawn(connection);
    let service = service_fn(move |request| call(sender.clone(), server, calls.clone(), request));
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
}

async fn call(
    mut sender: SendRequest<Incoming>,
    server: SocketAddr,
    calls: Arc<AtomicU64>,
    mut request: Request<Incoming>,
) -> hyper::Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let key = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if key != Some(&format!("Bearer {API_KEY}")) {
        let refused = Response::builder().header("content-type", "application/grpc").header("grpc-status", "16");
        let refused = refused.header("grpc-message", "the API key is not known");
        return Ok(refused.body(Empty::new().map_err(|never| match never {}).boxed()).unwrap());
    }
    calls.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path_and_query().unwrap().as_str();
    *request.uri_mut() =
        Uri::builder().scheme("http").authority(server.to_string()).path_and_query(path).build().unwrap();
    sender.ready().await?;
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}
