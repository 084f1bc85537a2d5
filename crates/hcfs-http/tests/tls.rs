//! Certificates are checked; HTTP/2 is spoken where the server offers it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hcfs_http::{
    Body, CertificateDer, Client, ClientConfig, ConnectFailure, HttpErrorKind, Request, Response, Sent, StatusCode,
    Url, roots_from_pem,
};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use scripted::{Server, Step, listen, send};
use tokio::task::JoinHandle;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn root(authority: &Authority) -> CertificateDer<'static> {
    authority.der().clone()
}

fn client(roots: Vec<CertificateDer<'static>>) -> Client {
    Client::new(ClientConfig { extra_roots: roots, ..ClientConfig::default() }).unwrap()
}

/// Echoes bodies as `name`, vouched for by `authority`.
async fn serve(authority: &Authority, name: &str, alpn: &[&str]) -> (SocketAddr, JoinHandle<()>) {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let version = format!("{:?}", request.version());
                let location = request.headers().get("x-location").cloned();
                let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let mut response = http::Response::new(Full::new(body));
                response.headers_mut().insert("x-version", version.parse().unwrap());
                if let Some(location) = location {
                    *response.status_mut() = StatusCode::FOUND;
                    response.headers_mut().insert("location", location);
                }
                Ok::<_, Infallible>(response)
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("https://localhost:{}/", address.port())).unwrap()
}

async fn post(client: &Client, address: SocketAddr, body: impl Into<Body>) -> Response {
    client.send(Request::post(url(address)).body(body)).await.unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted() {
    let authority = authority();
    let (address, _task) = serve(&authority, "localhost", &["http/1.1"]).await;
    let response = post(&client(vec![root(&authority)]), address, vec![1, 2, 3]).await;
    assert_eq!(response.headers["x-version"], "HTTP/1.1");
    assert_eq!(response.body.collect_bounded(9).await.unwrap(), vec![1, 2, 3]);
}

#[tokio::test]
async fn unknown_authorities_and_wrong_names_are_refused() {
    let (known, unknown) = (authority(), authority());
    let client = client(vec![root(&known)]);
    for (authority, name) in [(&unknown, "localhost"), (&known, "other.example")] {
        let (address, _task) = serve(authority, name, &["http/1.1"]).await;
        let error = client.send(Request::post(url(address))).await.unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::Connect(ConnectFailure::Certificate), "{name}: {error:?}");
        assert_eq!(error.sent, Sent::No);
        assert!(!error.is_transient());
        assert!(error.hint().unwrap().contains("authority"));
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_unless_named() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let roots = roots_from_pem(certified.cert.pem().as_bytes()).unwrap();
    assert_eq!(roots, [certified.cert.der().clone()]);
    assert_eq!(roots_from_pem(b"no certificate").unwrap_err().kind, HttpErrorKind::Setup);
    assert!(Client::new(ClientConfig { extra_roots: vec![vec![1, 2].into()], ..ClientConfig::default() }).is_err());

    let stranger = authority();
    let (address, _task) = serve(&stranger, "localhost", &["http/1.1"]).await;
    // Without extra roots: the system's do not vouch for it, or there are none and https is impossible.
    let bare = Client::new(ClientConfig::default()).unwrap();
    let error = bare.send(Request::get(url(address))).await.unwrap_err();
    let refused = [HttpErrorKind::Connect(ConnectFailure::Certificate), HttpErrorKind::Setup];
    assert!(refused.contains(&error.kind), "{error:?}");
    assert_eq!(error.sent, Sent::No);
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told() {
    let server = Server::start(|_, _| vec![send("HTTP/1.1 400 Bad\r\n\r\n"), Step::Cut]).await;
    let (address, _task) = listen(|mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await;
    })
    .await;
    let error = client(vec![root(&authority())]).send(Request::get(url(address))).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::Connect(ConnectFailure::Tls));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn http2_is_spoken_where_offered_and_moves_large_bodies() {
    let authority = authority();
    let (address, _task) = serve(&authority, "localhost", &["h2", "http/1.1"]).await;
    let client = client(vec![root(&authority)]);
    let body = Bytes::from((0..5_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect::<Vec<u8>>());
    let response = post(&client, address, body.clone()).await;
    assert_eq!(response.headers["x-version"], "HTTP/2.0");
    assert_eq!(response.body.content_length(), Some(5_000_000));
    assert!(response.body.collect_bounded(5_000_000).await.unwrap() == body);
    let empty = post(&client, address, Body::Empty).await;
    assert_eq!(empty.body.collect_bounded(0).await.unwrap(), "");
}

#[tokio::test]
async fn a_redirect_never_leaves_encryption() {
    let authority = authority();
    let (address, _task) = serve(&authority, "localhost", &["http/1.1"]).await;
    let plain = Server::start(|_, _| vec![send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).await;
    let location = http::HeaderValue::try_from(plain.url("/").to_secret_string()).unwrap();
    let request = Request::get(url(address))
        .header(hcfs_http::HeaderName::from_static("x-location"), location)
        .follow_redirects();
    let error = client(vec![root(&authority)]).send(request).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::Downgrade);
    assert!(plain.seen().is_empty());
}
