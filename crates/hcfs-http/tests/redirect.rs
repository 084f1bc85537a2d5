//! Redirects, and what they must not carry away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use std::sync::{Arc, OnceLock};

use hcfs_http::{HeaderName, HeaderValue, HttpErrorKind, Method, Request, StatusCode, Url, UrlError, header};
use scripted::{Server, answer, client};

fn with_secrets(method: Method, url: Url) -> Request {
    Request::new(method, url)
        .credential(header::AUTHORIZATION, HeaderValue::from_static("Bearer t0ken"))
        .credential(HeaderName::from_static("x-api-key"), HeaderValue::from_static("t0ken"))
        .header(HeaderName::from_static("x-own"), HeaderValue::from_static("t0ken"))
        .header(header::RANGE, HeaderValue::from_static("bytes=1-"))
}

async fn target() -> Server {
    Server::start(|_, _| vec![answer("200 OK", "", b"there")]).await
}

async fn pointing_to(location: String) -> Server {
    Server::start(move |seen, _| {
        if seen.head.contains(" /there ") {
            vec![answer("200 OK", "", b"here")]
        } else {
            vec![answer("307 Elsewhere", &format!("Location: {location}\r\n"), b"")]
        }
    })
    .await
}

#[tokio::test]
async fn redirects_are_answers_unless_asked_for() {
    let server = pointing_to("/there".to_owned()).await;
    let response = client().send(Request::get(server.url("/"))).await.unwrap();
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
    // A method that acts is not repeated elsewhere.
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = Request::new(method, server.url("/")).follow_redirects();
        assert_eq!(client().send(request).await.unwrap().status, StatusCode::TEMPORARY_REDIRECT);
    }
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn the_same_origin_gets_all_headers() {
    let server = pointing_to("/there".to_owned()).await;
    let response = client().send(with_secrets(Method::GET, server.url("/")).follow_redirects()).await.unwrap();
    assert_eq!(response.url, server.url("/there"));
    assert_eq!(response.body.collect_bounded(10).await.unwrap(), "here");
    assert_eq!(server.seen()[1].header("authorization"), Some("Bearer t0ken"));
    assert_eq!(server.seen()[1].header("x-own"), Some("t0ken"));
}

#[tokio::test]
async fn another_origin_gets_no_secret() {
    let other = target().await;
    let server = pointing_to(other.url("/x?sig=1").to_secret_string()).await;
    let response = client().send(with_secrets(Method::GET, server.url("/")).follow_redirects()).await.unwrap();
    assert_eq!(response.body.collect_bounded(10).await.unwrap(), "there");
    let seen = &other.seen()[0];
    assert!(!seen.head.contains("t0ken"), "{}", seen.head);
    assert_eq!(seen.header("range"), Some("bytes=1-"));
    assert!(seen.head.starts_with("GET /x?sig=1 "), "{}", seen.head);
}

#[tokio::test]
async fn a_way_back_does_not_bring_the_secret_back() {
    let home_address = Arc::new(OnceLock::new());
    let back = Arc::clone(&home_address);
    let away = Server::start(move |_, _| {
        let home = back.get().copied().unwrap();
        vec![answer("302 Back", &format!("Location: http://{home}/there\r\n"), b"")]
    })
    .await;
    let home = pointing_to(away.url("/").to_secret_string()).await;
    home_address.set(home.address).unwrap();
    let response = client().send(with_secrets(Method::GET, home.url("/")).follow_redirects()).await.unwrap();
    assert_eq!(response.body.collect_bounded(10).await.unwrap(), "here");
    let seen = home.seen();
    assert!(seen[0].head.contains("t0ken"));
    assert!(!seen[1].head.contains("t0ken"), "{}", seen[1].head);
}

#[tokio::test]
async fn bad_targets_are_refused() {
    for (location, why) in [
        ("http://files.example/", UrlError::PlainHttp("files.example".into())),
        ("https://u:p@files.example/", UrlError::UserInfo),
        ("ftp://files.example/", UrlError::Scheme("ftp".into())),
    ] {
        let server = pointing_to(location.to_owned()).await;
        let error = client().send(Request::get(server.url("/")).follow_redirects()).await.unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::BadRedirect(why));
    }
}

#[tokio::test]
async fn a_circle_ends() {
    let server = pointing_to("/".to_owned()).await;
    let error = client().send(Request::get(server.url("/")).follow_redirects()).await.unwrap_err();
    assert_eq!(error.kind, HttpErrorKind::TooManyRedirects);
    assert_eq!(server.seen().len(), 6);
}
