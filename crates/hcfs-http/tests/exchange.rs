//! One request and its answer: deadlines, errors, bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hcfs_http::{
    Body, Client, ClientConfig, ConnectFailure, Deadlines, HeaderValue, HttpErrorKind, Meter, RateLimit, Request, Sent,
    StatusCode, USER_AGENT, Url, header,
};
use scripted::{LONG, SHORT, Server, Step, answer, client, deadlines, listen, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn ok() -> Vec<Step> {
    vec![answer("200 OK", "", b"fine")]
}

#[tokio::test]
async fn an_answer_is_read_whole_and_the_connection_kept() {
    let server = Server::start(|_, _| vec![answer("418 I'm a teapot", "X-Tea: green\r\n", b"short and stout")]).await;
    let client = client();
    for _ in 0..3 {
        let meter = Meter::new();
        let request = Request::get(server.base().join(["pot", "a b"]).unwrap()).count_received(meter.clone());
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers["x-tea"], "green");
        assert_eq!(response.body.content_length(), Some(15));
        assert_eq!(response.body.collect_bounded(15).await.unwrap(), "short and stout");
        assert_eq!(meter.bytes(), 15);
    }
    assert_eq!(server.connections(), 1);
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("GET /pot/a%20b HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("user-agent"), Some(USER_AGENT));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("content-length"), None);
}

#[tokio::test]
async fn localhost_is_this_machine_by_name() {
    let server = Server::start(|_, _| ok()).await;
    let url = Url::parse(&format!("http://localhost:{}/", server.address.port())).unwrap();
    assert_eq!(client().send(Request::get(url)).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn bodies_are_sent_with_their_length_or_chunked() {
    let server = Server::start(|_, _| ok()).await;
    let client = client();
    let pieces = || stream::iter(["one ", "", "two"].map(|text| Ok(Bytes::from(text)))).boxed();
    let meter = Meter::new();
    let post = || Request::post(server.url("/")).count_sent(meter.clone());
    for request in [
        post(),
        post().body(vec![7; 300_000]),
        post().body(Body::stream(Some(7), pieces)),
        post().body(Body::stream(None, pieces)),
        post().body(Body::stream(Some(0), || stream::empty().boxed())),
        // A wrong length of the caller's does not reach the wire.
        post().header(header::CONTENT_LENGTH, HeaderValue::from_static("99")).body(vec![1]),
    ] {
        let response = client.send(request).await.unwrap();
        assert_eq!(response.body.collect_bounded(10).await.unwrap(), "fine");
    }
    let seen = server.seen();
    let lengths: Vec<_> = seen.iter().map(|seen| seen.header("content-length")).collect();
    assert_eq!(lengths, [Some("0"), Some("300000"), Some("7"), None, Some("0"), Some("1")]);
    assert_eq!(seen[1].body, vec![7; 300_000]);
    assert_eq!(seen[2].body, b"one two");
    assert_eq!(seen[3].body, b"one two");
    assert_eq!(meter.bytes(), 300_000 + 7 + 7 + 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_made_is_the_callers_error() {
    let server = Server::start(|_, _| ok()).await;
    let fails = || {
        let pieces =
            [Ok(Bytes::from_static(b"abc")), Err(io::Error::new(io::ErrorKind::Deadlock, "changed while read"))];
        stream::iter(pieces).boxed()
    };
    let three = || stream::iter([Ok(Bytes::from_static(b"abc"))]).boxed();
    for (body, kind) in [
        (Body::stream(Some(9), fails), io::ErrorKind::Deadlock),
        (Body::stream(None, fails), io::ErrorKind::Deadlock),
        (Body::stream(Some(4), three), io::ErrorKind::UnexpectedEof),
        (Body::stream(Some(2), three), io::ErrorKind::InvalidData),
    ] {
        let error = client().send(Request::post(server.url("/")).body(body)).await.unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::RequestBody);
        assert_eq!(error.body_error().unwrap().kind(), kind);
        assert!(!error.is_transient());
    }
    assert!(server.seen().is_empty(), "no request was complete");
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let (address, task) = listen(|_| async {}).await;
    task.abort();
    let _ = task.await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let error = client().send(Request::post(url)).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::Connect(ConnectFailure::Refused));
    assert_eq!(error.sent, Sent::No);
    assert_eq!(error.to_string(), format!("request to http://{address}: the connection was refused"));
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let (ca, _) = self_signed();
    let client = Client::new(ClientConfig { extra_roots: vec![ca], ..ClientConfig::default() }).unwrap();
    // The second cannot be a name at all.
    for host in ["nowhere.invalid".to_owned(), format!("{}.example", "x".repeat(64))] {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        let error = client.send(Request::post(url).deadlines(deadlines())).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Connect(ConnectFailure::Dns), Sent::No), "{host}");
    }
}

#[tokio::test]
async fn a_connection_that_is_never_ready_times_out_unsent() {
    // It takes the connection and never answers the TLS handshake.
    let (address, _task) = listen(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (ca, _) = self_signed();
    let client = Client::new(ClientConfig { extra_roots: vec![ca], ..ClientConfig::default() }).unwrap();
    let url = Url::parse(&format!("https://{address}/")).unwrap();
    let request = Request::get(url).deadlines(Deadlines { connect: SHORT, ..deadlines() });
    let error = client.send(request).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (HttpErrorKind::Connect(ConnectFailure::Timeout), Sent::No));
}

fn self_signed() -> (hcfs_http::CertificateDer<'static>, rcgen::KeyPair) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (certified.cert.der().clone(), certified.signing_key)
}

#[tokio::test]
async fn a_silent_server_misses_the_first_byte() {
    let server = Server::start(|_, _| vec![Step::Silence]).await;
    let request = Request::post(server.url("/")).deadlines(Deadlines { first_byte: SHORT, ..deadlines() });
    let error = client().send(request.clone()).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (HttpErrorKind::FirstByteTimeout(SHORT), Sent::Maybe));
    let error = client().send(request.body(vec![1; 100_000])).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (HttpErrorKind::FirstByteTimeout(SHORT), Sent::Maybe));
}

#[tokio::test]
async fn a_body_that_stands_still_is_a_stall() {
    let server =
        Server::start(|_, _| vec![send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Step::Silence]).await;
    let request = Request::get(server.url("/")).deadlines(Deadlines { stall: SHORT, ..deadlines() });
    let mut body = client().send(request).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "abc");
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.sent), (HttpErrorKind::Stall(SHORT), Sent::Maybe));
    assert!(body.next().await.is_none());
    assert_eq!(body.received(), 3);
}

#[tokio::test]
async fn pauses_do_not_add_up_to_a_stall() {
    let (address, _task) = listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
        for _ in 0..10 {
            tokio::time::sleep(SHORT / 2).await;
            let _ = stream.write_all(b"x").await;
        }
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = Request::get(url).deadlines(Deadlines { stall: SHORT * 3, ..deadlines() });
    let body = client().send(request).await.unwrap().body;
    assert_eq!(body.collect_bounded(10).await.unwrap(), "xxxxxxxxxx");
}

#[tokio::test]
async fn a_drip_that_never_stalls_ends_by_the_total() {
    let (address, _task) = listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = Request::get(url).deadlines(Deadlines { total: Some(SHORT), ..deadlines() });
    let start = Instant::now();
    let error = client().send(request).await.unwrap().body.collect_bounded(u64::MAX).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::TotalTimeout(SHORT));
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
}

#[tokio::test]
async fn an_upload_that_is_not_taken_is_a_stall() {
    let (address, _task) = listen(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = Request::post(url).body(vec![0; 64 << 20]).deadlines(Deadlines { stall: SHORT, ..deadlines() });
    let error = client().send(request).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (HttpErrorKind::Stall(SHORT), Sent::Maybe));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_the_caller_takes_is_not_the_servers() {
    let server = Server::start(|_, _| ok()).await;
    let slow = || {
        let pieces = stream::iter([1, 2]).then(|_| async {
            tokio::time::sleep(SHORT * 3).await;
            Ok(Bytes::from_static(b"late "))
        });
        pieces.boxed()
    };
    let limits = Deadlines { stall: SHORT, first_byte: SHORT * 2, ..deadlines() };
    for len in [Some(10), None] {
        let request = Request::post(server.url("/")).body(Body::stream(len, slow)).deadlines(limits);
        assert_eq!(client().send(request).await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(server.seen()[1].body, b"late late ");
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_counts() {
    let (address, _task) = listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let response = client().send(Request::post(url).body(vec![0; 64 << 20])).await.unwrap();
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_cut_is_told_wherever_it_comes() {
    for (text, in_head) in [
        ("", true),
        ("HTTP/1.1 200 OK\r\nContent-Le", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabc", false),
    ] {
        let server = Server::start(move |_, _| vec![send(text), Step::Cut]).await;
        let error = match client().send(Request::get(server.url("/"))).await {
            Ok(response) => {
                assert!(!in_head, "{text:?}");
                response.body.collect_bounded(100).await.unwrap_err()
            }
            Err(error) => {
                assert!(in_head, "{text:?}: {error}");
                error
            }
        };
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Cut, Sent::Maybe), "{text:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_told() {
    for text in ["SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"] {
        let server = Server::start(move |_, _| vec![send(text), Step::Cut]).await;
        let error = match client().send(Request::get(server.url("/"))).await {
            Ok(response) => response.body.collect_bounded(100).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(!error.is_transient(), "{text:?}: {error:?}");
        assert_eq!(error.kind, HttpErrorKind::Protocol, "{text:?}");
    }
}

#[tokio::test]
async fn a_body_is_never_read_beyond_its_bound() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n";
    for (step, silent_after) in [
        (send("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"), true),
        (send(chunked), false),
        (send("HTTP/1.0 200 OK\r\n\r\nabcdefgh"), false),
    ] {
        let Step::Send(bytes) = step else { unreachable!() };
        let server = Server::start(move |_, _| {
            let last = if silent_after { Step::Silence } else { Step::Cut };
            vec![Step::Send(bytes.clone()), last]
        })
        .await;
        let get = async || client().send(Request::get(server.url("/"))).await.unwrap().body;
        let error = get().await.collect_bounded(7).await.unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::TooLarge(7));
        if !silent_after {
            let body = get().await;
            assert_eq!(body.collect_bounded(8).await.unwrap(), "abcdefgh");
        }
    }
}

#[tokio::test]
async fn dropping_frees_the_connection() {
    let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let (address, _task) = listen(move |mut stream| {
        let told = told.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
            let _ = stream.read(&mut [0; 1024]).await;
            told.send(()).unwrap();
        }
    })
    .await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let client = client();
    let response = client.send(Request::get(url)).await.unwrap();
    drop(response);
    tokio::time::timeout(LONG, closed.recv()).await.unwrap().unwrap();

    let server = Server::start(|_, _| vec![Step::Silence]).await;
    let sending = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/"));
        async move { client.send(Request::get(url)).await.map(drop) }
    });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn both_directions_obey_their_limit() {
    const LEN: usize = 96 * 1024;
    let server = Server::start(|_, _| vec![answer("200 OK", "", &[1; LEN])]).await;
    // Six turns of 16 KiB at 128 KiB/s: five must be paid for, less the quarter second a fresh limit may give.
    let at_least = Duration::from_millis(5 * 125 - 250);
    for (up, down) in [(128 * 1024, 0), (0, 128 * 1024), (0, 0)] {
        let config =
            ClientConfig { upload: RateLimit::new(up), download: RateLimit::new(down), ..ClientConfig::default() };
        let client = Client::new(config).unwrap();
        let start = Instant::now();
        let request = Request::post(server.url("/")).body(vec![2; LEN]);
        let body = client.send(request).await.unwrap().body.collect_bounded(LEN as u64).await.unwrap();
        assert_eq!(body, vec![1; LEN]);
        if up + down > 0 {
            assert!(start.elapsed() >= at_least, "{up} {down} {:?}", start.elapsed());
        }
    }
    assert!(server.seen().iter().all(|seen| seen.body == vec![2; LEN]));
}

#[test]
fn futures_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let (client, url) = (client(), Url::parse("http://localhost/").unwrap());
    is_send(client.send(Request::get(url.clone()).follow_redirects()));
    let request = Request::get(url.clone());
    let policy = hcfs_http::RetryPolicy::ONCE;
    is_send(client.send_with_retry(&request, &policy, |_| hcfs_http::Verdict::Done));
    let options = hcfs_http::DownloadOptions::whole(hcfs_model::UnixNanos(0));
    let mut download = hcfs_http::Download::new(client, Request::get(url), options);
    is_send(download.next());
}
