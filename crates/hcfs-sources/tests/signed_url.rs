//! The organisation's files behind signed links.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::{
    NOW, SECRET, Seen, Server, Step, answer, base, failure, fetch, fetch_into, json, ok, open, part, pattern, ranged,
    secret, try_open,
};
use hcfs_sources::{Settings, SignedUrlSettings, Source, SourceError};

const ID: &str = "file_abc123";

fn settings(server: &Server) -> SignedUrlSettings {
    let organization = "org_123".to_owned();
    SignedUrlSettings { base: base(server), credential: secret(), organization, items: vec![ID.to_owned()] }
}

fn source(server: &Server) -> Arc<dyn Source> {
    open(Settings::SignedUrl(settings(server)))
}

/// The answer with a link that ends in so many seconds.
fn link(host: &str, number: usize, size: usize, seconds: i64) -> Vec<Step> {
    let expires = NOW.0 / 1_000_000_000 + seconds;
    json(
        "200 OK",
        &format!(
            r#"{{"file_id":"{ID}","filename":"report.png","mime_type":"image/png","file_size":{size},
            "download_url":"http://{host}/files/{ID}/download?token={number}&expires={expires}"}}"#
        ),
    )
}

const INVALID: &str = r#"{"success":false,"error":{"code":"TOKEN_INVALID","message":"The download link has expired or is invalid.",
    "system_message":"Token invalid or expired","type":"client_error","status":401,"details":{},
    "trace_id":"2fbbf3b6-51a1","timestamp":"2025-11-02T08:21:45Z"}}"#;

/// A service whose links lead to itself; `file` answers for the file.
async fn service<F>(size: usize, seconds: i64, file: F) -> Server
where
    F: Fn(&Seen, usize) -> Vec<Step> + Send + Sync + 'static,
{
    let (links, files) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Server::start(move |seen, _| {
        if seen.head.contains("/content ") {
            let host = seen.header("host").unwrap().to_owned();
            link(&host, links.fetch_add(1, Ordering::Relaxed), size, seconds)
        } else {
            file(seen, files.fetch_add(1, Ordering::Relaxed))
        }
    })
    .await
}

const PNG: &str = "Content-Type: image/png\r\nCache-Control: private, max-age=3600\r\n";

fn lines(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_key_is_sent_for_the_link_alone() {
    let host = Server::start(|_, _| ok(PNG, b"\x89PNG")).await;
    let address = host.address.to_string();
    let server = Server::start(move |_, _| link(&address, 7, 4, 3600)).await;
    let (brought, bytes) = fetch(&*source(&server), ID).await.unwrap();
    assert_eq!((brought.name.as_str(), bytes.as_slice()), ("report.png", b"\x89PNG".as_slice()));
    let first = &server.seen()[0];
    assert!(first.head.starts_with("GET /v1/organizations/org_123/files/file_abc123/content HTTP/1.1\r\n"));
    assert_eq!(first.header("x-api-key"), Some(SECRET));
    let second = &host.seen()[0];
    assert!(second.head.starts_with("GET /files/file_abc123/download?token=7&expires="), "{}", second.head);
    assert!(
        !second.head.contains(SECRET)
            && second.header("authorization").is_none()
            && second.header("x-api-key").is_none()
    );
}

#[tokio::test]
async fn the_key_does_not_follow_a_redirect_elsewhere() {
    let host = Server::start(|_, _| json("200 OK", "{}")).await;
    let target = format!("Location: http://{}/x\r\n", host.address);
    let server = Server::start(move |_, _| vec![answer("307 Elsewhere", &target, b"")]).await;
    assert!(matches!(failure(&*source(&server), ID).await, SourceError::BadAnswer { .. }));
    assert!(!host.seen()[0].head.contains(SECRET));
}

#[tokio::test]
async fn a_link_that_ran_out_is_replaced_and_the_download_goes_on() {
    let body = pattern(5000);
    let served = body.clone();
    let server = service(5000, 3600, move |seen, number| {
        // The first link is good for one request.
        let expired = number > 0 && seen.head.contains("token=0&");
        if expired {
            json("401 Unauthorized", INVALID)
        } else {
            ranged(seen, "\"1\"", PNG, &served, (number == 0).then_some(2000))
        }
    })
    .await;
    let (_, bytes) = fetch(&*source(&server), ID).await.unwrap();
    assert!(bytes == body);
    let seen = server.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[4].header("range"), Some("bytes=2000-"));
    assert!(seen[4].head.contains("token=1&") && seen[4].header("if-range") == Some("\"1\""));
}

#[tokio::test]
async fn a_link_is_replaced_before_it_runs_out() {
    let body = pattern(5000);
    let served = body.clone();
    // Links that end within the margin are replaced before each further request.
    let server =
        service(5000, 30, move |seen, number| ranged(seen, "\"1\"", PNG, &served, (number == 0).then_some(2000))).await;
    let (_, bytes) = fetch(&*source(&server), ID).await.unwrap();
    assert!(bytes == body);
    let asked: Vec<bool> = lines(&server).iter().map(|line| line.contains("/content ")).collect();
    assert_eq!(asked, [true, false, true, false], "{:?}", lines(&server));
}

#[tokio::test]
async fn a_run_that_was_interrupted_asks_for_a_new_link() {
    let body = pattern(5000);
    let served = body.clone();
    let server = service(5000, 3600, move |seen, number| match number {
        1..=3 => vec![Step::Cut],
        number => ranged(seen, "\"1\"", PNG, &served, (number == 0).then_some(2000)),
    })
    .await;
    let mut part = part();
    let error = fetch_into(&*source(&server), ID, &mut part).await.unwrap_err();
    assert!(matches!(error, SourceError::Http(_)), "{error:?}");
    assert_eq!(part.resume.bytes(), 2000);
    let record = part.resume.to_text();
    assert!(!record.contains("token") && !record.contains("http"), "{record}");
    fetch_into(&*source(&server), ID, &mut part).await.unwrap();
    assert!(bench::content(&part) == body);
    assert_eq!(server.seen().last().unwrap().header("range"), Some("bytes=2000-"));
}

#[tokio::test]
async fn errors_are_told_apart_and_show_their_trace() {
    let server = service(4, 3600, |_, _| json("401 Unauthorized", INVALID)).await;
    let error = failure(&*source(&server), ID).await;
    assert_eq!(
        error.to_string(),
        "the download link of \"file_abc123\" is refused although it is new: The download link has expired or is \
         invalid. (trace 2fbbf3b6-51a1)"
    );
    assert!(matches!(error, SourceError::LinkInvalid { .. }) && error.is_transient());
    assert_eq!(server.seen().len(), 4, "one new link is tried");

    let missing = INVALID
        .replace("TOKEN_INVALID", "FILE_NOT_FOUND")
        .replace("The download link has expired or is invalid.", "gone");
    let gone = missing.clone();
    let server = service(4, 3600, move |_, _| json("404 Not Found", &gone)).await;
    let error = failure(&*source(&server), ID).await;
    assert_eq!(error.to_string(), "the service has no file \"file_abc123\": gone (trace 2fbbf3b6-51a1)");

    for (status, code) in [
        ("401 Unauthorized", "unauthorized"),
        ("403 Forbidden", "denied"),
        ("404 Not Found", "not_found"),
        ("400 Bad", "unexpected_status"),
    ] {
        let body = missing.clone();
        let server = Server::start(move |_, _| json(status, &body)).await;
        let error = failure(&*source(&server), ID).await;
        assert_eq!(error.code(), code);
        assert!(error.to_string().ends_with("(trace 2fbbf3b6-51a1)"), "{error}");
    }
}

#[tokio::test]
async fn links_that_lie_are_refused() {
    for (body, shown) in [
        (r#"{"download_url":"http://files.example/x"}"#, "plain http to \"files.example\" is refused"),
        (r#"{"download_url":"https://user:pass@files.example/x"}"#, "holds a user name or password"),
        (r#"{"download_url":"file:///etc/passwd"}"#, "has the scheme \"file\""),
        (r#"{"download_url":"https://x/?token=1","file_id":"file_other"}"#, "it is for another file"),
        (r#"{"download_url":5}"#, "a field is missing or of another type"),
        (r#"{"url":"https://x/?token=1"}"#, "a field is missing or of another type"),
        ("<html>", "it is not JSON"),
    ] {
        let server = Server::start(move |_, _| json("200 OK", body)).await;
        let error = failure(&*source(&server), ID).await;
        assert!(error.to_string().contains(shown), "{error}");
    }
}

#[tokio::test]
async fn the_announced_size_is_held_to() {
    for size in [3, 5] {
        let server = service(size, 3600, |_, _| ok(PNG, b"\x89PNG")).await;
        let error = failure(&*source(&server), ID).await;
        let expected = format!("\"file_abc123\" should have {size} bytes and has 4");
        assert!(matches!(error, SourceError::WrongSize { .. }) && error.to_string() == expected, "{error}");
    }
    // Chunked, and longer.
    let server = service(3, 3600, |_, _| {
        vec![bench::send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\u{1}PNG\r\n0\r\n\r\n")]
    })
    .await;
    assert!(matches!(failure(&*source(&server), ID).await, SourceError::WrongSize { expected: 3, got: 4, .. }));
}

#[tokio::test]
async fn a_page_in_place_of_a_file_is_an_error() {
    let server = service(4, 3600, |_, _| json("200 OK", r#"{"error":"too many"}  "#)).await;
    let error = failure(&*source(&server), ID).await;
    assert_eq!(error.to_string(), "a file was due for \"file_abc123\", and application/json came: too many");
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let server = Server::start(|_, _| vec![]).await;
    for bad in ["", "a/b", ".."] {
        let organization = bad.to_owned();
        assert!(try_open(Settings::SignedUrl(SignedUrlSettings { organization, ..settings(&server) })).is_err());
        let items = vec![bad.to_owned()];
        assert!(try_open(Settings::SignedUrl(SignedUrlSettings { items, ..settings(&server) })).is_err());
    }
}

#[tokio::test]
async fn a_test_says_what_it_found() {
    let server = service(4, 3600, |_, _| ok(PNG, b"\x89PNG")).await;
    let found = source(&server).test().await.unwrap();
    assert_eq!(found[1..3], ["the key is accepted", "\"file_abc123\" is there, 4 bytes"]);
    assert!(found[3].ends_with("is accepted without the key"), "{found:?}");
    assert!(!found.concat().contains("token"));
}
