//! Any address.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use std::sync::Arc;

use bench::{Onlooker, Server, answer, failure, fetch, fetch_item, ok, open, part, pattern, ranged, try_open};
use hcfs_sources::{Fetched, Item, Settings, Source, SourceError, UrlSettings, Verified};

fn source(items: &[&str]) -> Arc<dyn Source> {
    open(Settings::Url(UrlSettings { items: items.iter().map(|item| (*item).to_owned()).collect() }))
}

fn address(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

#[tokio::test]
async fn a_file_is_brought_and_named_by_its_address() {
    let server = Server::start(|_, _| ok("Content-Type: text/html\r\nETag: \"1\"\r\n", b"<html>")).await;
    for (path, name) in [
        ("/a/report%20one.pdf?sig=1", "report one.pdf"),
        ("/a/..%2f..%2fpasswd", "passwd.html"),
        ("/a/page", "page.html"),
        ("/", "127.0.0.1"),
    ] {
        let (brought, bytes) = fetch(&*source(&[]), &address(&server, path)).await.unwrap();
        assert_eq!((brought.name.as_str(), bytes.as_slice()), (name, b"<html>".as_slice()));
        assert!(matches!(brought.verified, Verified::No(_)));
    }
}

#[tokio::test]
async fn an_unchanged_file_is_not_brought_again() {
    let server = Server::start(|seen, _| match seen.header("if-none-match") {
        Some("\"1\"") => vec![answer("304 Not Modified", "ETag: \"1\"\r\n", b"")],
        _ => ok("ETag: \"1\"\r\n", b"x"),
    })
    .await;
    let item = Item::new(address(&server, "/x"));
    let (brought, _) = fetch(&*source(&[]), &item.id).await.unwrap();
    let fetched = fetch_item(&*source(&[]), &item, &mut part(), Some(&brought.validators), &Onlooker::default()).await;
    assert_eq!(fetched.unwrap(), Fetched::NotModified);
}

#[tokio::test]
async fn a_cut_file_goes_on_through_a_redirect() {
    let body = pattern(5000);
    let served = body.clone();
    let host =
        Server::start(move |seen, number| ranged(seen, "\"1\"", "", &served, (number == 0).then_some(2000))).await;
    let target = format!("Location: {}\r\n", address(&host, "/there"));
    let server = Server::start(move |_, _| vec![answer("302 There", &target, b"")]).await;
    let (_, bytes) = fetch(&*source(&[]), &address(&server, "/x")).await.unwrap();
    assert!(bytes == body && host.seen()[1].header("range") == Some("bytes=2000-"));
    let to_http = Server::start(|_, _| vec![answer("302 There", "Location: http://files.example/\r\n", b"")]).await;
    assert!(matches!(failure(&*source(&[]), &address(&to_http, "/x")).await, SourceError::Http(_)));
}

#[tokio::test]
async fn errors_are_told_apart_and_do_not_show_the_query() {
    for (status, code) in [
        ("401 Unauthorized", "denied"),
        ("403 Forbidden", "denied"),
        ("404 Not Found", "not_found"),
        ("410 Gone", "not_found"),
        ("418 Teapot", "unexpected_status"),
        ("503 Busy", "busy"),
    ] {
        let server = Server::start(move |_, _| vec![answer(status, "", b"")]).await;
        let error = failure(&*source(&[]), &address(&server, "/x?token=1")).await;
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn bad_addresses_are_refused() {
    for (bad, code) in [
        ("http://files.example/x?token=1", "bad_address"),
        ("https://files.example/#x", "bad_address"),
        ("ftp://files.example/x", "bad_item"),
        ("https://user:pass@files.example/x", "bad_item"),
        ("/x", "bad_item"),
    ] {
        let error = try_open(Settings::Url(UrlSettings { items: vec![bad.to_owned()] })).err().unwrap();
        bench::check_error(&error);
        assert_eq!(error.code(), code, "{bad}");
    }
}

#[tokio::test]
async fn a_test_says_what_it_found() {
    let server = Server::start(|_, _| ok("", b"12345")).await;
    let found = source(&[&address(&server, "/x?token=1")]).test().await.unwrap();
    assert_eq!(found[1], format!("\"{}?…\" is there, 5 bytes", address(&server, "/x")));
}
