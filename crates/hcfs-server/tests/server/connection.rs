use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hcfs_server::{Rate, Server, ServerConfig, ServerError, TlsError, TlsFiles};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, rustls::crypto::ring};

use crate::harness::{PATIENCE, Rig, ciphertext, rig, rig_with, until_closed};

/// Writes a fresh certificate for `localhost` and gives it.
fn certify(files: &TlsFiles) -> CertificateDer<'static> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, certified.cert.pem()).unwrap();
    std::fs::write(&files.key, certified.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(certified.cert.pem().as_bytes()).unwrap()
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
}

async fn connect(
    rig: &Rig,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(rig.running.address()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Asks over TLS for a file, in the protocol agreed on.
async fn download(rig: &Rig, trusted: &CertificateDer<'static>, protocol: &str) -> usize {
    let stream = connect(rig, trusted, protocol).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    let request = Request::get(format!("https://localhost{}", rig.file_route("download", "a")))
        .header("authorization", format!("Bearer {}", rig.token))
        .header("host", "localhost");
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = if protocol == "h2" {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn tls_carries_both_versions_of_http_and_takes_a_new_certificate() {
    let directory = tempfile::TempDir::new().unwrap();
    let files = files(directory.path());
    let first = certify(&files);
    let plain = rig().await;
    plain.put("a", 700_000, 1, None).await;
    let rig = plain.restart_with(|config| config.tls = Some(files.clone())).await;
    for protocol in ["http/1.1", "h2"] {
        assert_eq!(download(&rig, &first, protocol).await, ciphertext(700_000, 1).len());
    }

    let kept = connect(&rig, &first, "h2").await.unwrap();
    let second = certify(&files);
    assert!(rig.running.reload_certificate().unwrap());
    assert!(connect(&rig, &first, "h2").await.is_err(), "the old certificate is still shown");
    assert_eq!(download(&rig, &second, "h2").await, ciphertext(700_000, 1).len());
    drop(kept);

    let third = certify(&files);
    std::fs::write(&files.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = rig.running.reload_certificate().unwrap_err();
    assert!(matches!(error, ServerError::Tls(TlsError::Pair(_))), "{error:?}");
    assert!(connect(&rig, &third, "h2").await.is_err());
    assert_eq!(download(&rig, &second, "h2").await, ciphertext(700_000, 1).len(), "the one before stays");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let directory = tempfile::TempDir::new().unwrap();
    let files = files(directory.path());
    let start = || async {
        let mut config = ServerConfig::new(directory.path().join("data"), "127.0.0.1:0".parse().unwrap());
        config.tls = Some(files.clone());
        match Server::start(config).await {
            Err(error @ ServerError::Tls(_)) => {
                assert!(!error.hint().is_empty());
                std::error::Error::source(&error).unwrap().to_string()
            }
            _ => panic!("it starts"),
        }
    };
    assert!(start().await.contains("tls.crt"), "missing");
    certify(&files);
    std::fs::write(&files.certificate, "").unwrap();
    assert!(start().await.contains("no certificate"));
    certify(&files);
    std::fs::write(&files.key, "nothing").unwrap();
    assert!(start().await.contains("tls.key"));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_let_go() {
    let directory = tempfile::TempDir::new().unwrap();
    let files = files(directory.path());
    certify(&files);
    let rig = rig_with(|config| {
        config.tls = Some(files);
        config.limits.header_timeout = Duration::from_millis(200);
    })
    .await;
    for opening in [&b""[..], &[22, 3, 1][..], b"GET /health HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
        stream.write_all(opening).await.unwrap();
        let answer = until_closed(stream).await;
        assert!(!answer.contains("HTTP"), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let rig = rig_with(|config| config.limits.idle_timeout = Duration::from_millis(200)).await;
    let mut busy = rig.announce_upload().await;
    let mut answer = [0; 12];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");

    let mut idle = TcpStream::connect(rig.running.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(until_closed(idle).await.ends_with("ok"));
    // The idle one was closed after the time that the busy one has now waited too.
    busy.write_all(&[b'x'; 1000]).await.unwrap();
    let answer = until_closed(busy).await;
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn every_answer_has_its_own_id() {
    let rig = rig().await;
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/health", "/healthz", "/nowhere", "/list_folders/x"] {
        let reply = rig.send(Method::GET, path, &[("authorization", "none")], "").await;
        let id = reply.header("x-request-id").to_owned();
        assert!(id.len() == 16 && seen.insert(id), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_expectation_is_refused() {
    let rig = rig().await;
    let reply = rig.send(Method::GET, "/healthz", &[("expect", "the-unexpected")], "").await;
    assert_eq!(reply.failure(), (417, "expectation_failed".to_owned()));
}

#[tokio::test]
async fn what_is_refused_by_its_head_is_not_sent() {
    let rig = rig().await;
    for (line, token, status) in [
        ("POST /upload HTTP/1.1", "none", "401"),
        ("POST /delete_files HTTP/1.1", rig.token.as_str(), "413"),
        ("POST /rename_files HTTP/1.1", rig.token.as_str(), "413"),
        ("POST /nowhere HTTP/1.1", rig.token.as_str(), "404"),
    ] {
        let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
        let head = format!(
            "{line}\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 99999999\r\n\
             expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"), "{line}");
    }
}

#[tokio::test]
async fn requests_of_an_address_are_limited() {
    let rig = rig_with(|config| {
        config.limits.address_rate = Rate { every: Duration::from_secs(50), burst: 3 };
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let ask = |address: &'static str| {
        let rig = &rig;
        async move { rig.send(Method::GET, "/health", &[("x-forwarded-for", address)], "").await }
    };
    for _ in 0..3 {
        assert_eq!(ask("192.0.2.1").await.status, StatusCode::OK);
        assert_eq!(ask("2001:db8::1").await.status, StatusCode::OK);
    }
    for address in ["192.0.2.1", "2001:db8::2", "6.6.6.6, 192.0.2.1"] {
        let reply = ask(address).await;
        assert_eq!(reply.failure(), (429, "rate_limited".to_owned()), "{address}");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((40..=51).contains(&wait), "{wait}");
    }
    assert_eq!(ask("192.0.2.2").await.status, StatusCode::OK);
    assert_eq!(rig.get("/health").await.status, StatusCode::OK, "the proxy itself");
}

#[tokio::test]
async fn only_the_proxy_that_is_trusted_names_others() {
    let rig = rig_with(|config| config.limits.address_rate = Rate { every: Duration::from_secs(50), burst: 1 }).await;
    for _ in 0..3 {
        let reply = rig.send(Method::GET, "/health", &[("x-forwarded-for", "192.0.2.1")], "").await;
        assert_eq!(reply.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_metrics_count_and_name_nobody() {
    let rig = rig_with(|config| config.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let blob = ciphertext(100_000, 1);
    rig.put("a", 100_000, 1, None).await;
    rig.get(&rig.file_route("download", "a")).await;
    rig.get("/nowhere/at/all").await;
    rig.send(Method::from_bytes(b"BREW").unwrap(), "/health", &[], "").await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let uri: http::Uri = format!("http://{}/metrics", rig.running.metrics_address().unwrap()).parse().unwrap();
    let text = client.get(uri).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    for kind in [
        r#"method="POST",route="/upload",status="200""#,
        r#"method="GET",route="/download/{ss58}/{folder_hash}/{file_id}",status="200""#,
        r#"method="GET",route="none",status="404""#,
        r#"method="other",route="/health",status="405""#,
    ] {
        assert_eq!(value(&format!("hcfs_requests_total{{{kind}}}")), 1.0);
    }
    assert_eq!(value(r#"hcfs_request_seconds_count{route="/upload"}"#), 1.0);
    assert!(value("hcfs_received_bytes_total") > blob.len() as f64);
    assert!(value("hcfs_sent_bytes_total") > blob.len() as f64);
    assert_eq!(value("hcfs_requests_underway"), 0.0);
    assert!(value("hcfs_connections ") >= 1.0);
    for name in [rig.account.as_str(), &rig.token, &crate::harness::id("a").to_hex(), "nowhere"] {
        assert!(!text.contains(name), "{name}");
    }
    assert_eq!(rig.get("/metrics").await.status, StatusCode::NOT_FOUND, "not where clients ask");
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let rig = rig_with(|config| config.limits.stall_timeout = Duration::from_millis(300)).await;
    let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
    let head = format!(
        "POST /delete_files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100000\r\n\r\n",
        rig.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let trickle = async {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(b" ").await.is_ok() {
            beat.tick().await;
        }
        // The connection may be closed before the answer is read here.
        std::future::pending::<()>().await;
    };
    let answer = async {
        let mut answer = [0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answered = tokio::time::timeout(PATIENCE, async {
        tokio::select! { () = trickle => None, answer = answer => Some(answer) }
    });
    assert_eq!(answered.await.expect("it waits on").as_deref(), Some("HTTP/1.1 408"));
}

#[tokio::test]
async fn more_transfers_than_may_wait_are_sent_away() {
    let rig = rig_with(|config| config.limits.transfers = 1).await;
    let mut first = rig.announce_upload().await;
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    // Of two more, one waits for its turn and the other is sent away, whichever comes first.
    let (mut second, mut third) = (rig.announce_upload().await, rig.announce_upload().await);
    let (mut of_second, mut of_third) = ([0; 12], [0; 12]);
    let sent_away = async {
        tokio::select! {
            read = second.read_exact(&mut of_second) => read.map(|_| true),
            read = third.read_exact(&mut of_third) => read.map(|_| false),
        }
    };
    let second_first = tokio::time::timeout(PATIENCE, sent_away).await.unwrap().unwrap();
    let (refused, mut waiting) = if second_first { (of_second, third) } else { (of_third, second) };
    assert_eq!(&refused, b"HTTP/1.1 503");
    drop(first);
    tokio::time::timeout(PATIENCE, waiting.read_exact(&mut answer)).await.expect("its turn never came").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
}
