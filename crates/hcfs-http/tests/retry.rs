//! What is sent again, and what is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hcfs_http::{Body, HttpErrorKind, Method, Outcome, Request, Sent, StatusCode, Url, Verdict, transient};
use hcfs_model::UnixNanos;
use scripted::{Server, Step, answer, client, listen, quick};

/// The usual rule without the server's wish for a wait, to keep the tests quick.
fn at_once(outcome: &Outcome) -> Verdict {
    match transient(outcome, UnixNanos(0)) {
        Verdict::Retry(_) => Verdict::Retry(None),
        Verdict::Done => Verdict::Done,
    }
}

async fn failing_twice(failure: fn() -> Vec<Step>) -> Server {
    Server::start(move |_, number| if number < 2 { failure() } else { vec![answer("200 OK", "", b"")] }).await
}

fn cut() -> Vec<Step> {
    vec![Step::Cut]
}

fn unavailable() -> Vec<Step> {
    vec![answer("503 Unavailable", "Retry-After: 7\r\n", b"later")]
}

fn too_many() -> Vec<Step> {
    vec![answer("429 Too Many Requests", "", b"")]
}

#[tokio::test]
async fn passing_failures_are_tried_again() {
    for failure in [cut, unavailable, too_many] {
        let server = failing_twice(failure).await;
        let request = Request::get(server.url("/"));
        let response = client().send_with_retry(&request, &quick(3), at_once).await.unwrap();
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_the_last_outcome_given() {
    let server = failing_twice(unavailable).await;
    let response = client().send_with_retry(&Request::get(server.url("/")), &quick(2), at_once).await.unwrap();
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body.collect_bounded(10).await.unwrap(), "later");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn lasting_failures_are_not_tried_again() {
    for status in ["400 Bad", "401 Who", "403 No", "404 Gone", "409 Conflict", "413 Big", "501 What", "302 There"] {
        let server = Server::start(move |_, _| vec![answer(status, "", b"")]).await;
        let response = client().send_with_retry(&Request::get(server.url("/")), &quick(5), at_once).await.unwrap();
        assert_eq!(response.status.as_str(), &status[..3]);
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let server = failing_twice(cut).await;
        let request = Request::new(method.clone(), server.url("/")).body(vec![1, 2]);
        let error = client().send_with_retry(&request, &quick(5), at_once).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Cut, Sent::Maybe));
        assert_eq!(server.seen().len(), 1, "{method}");

        let server = failing_twice(unavailable).await;
        let request = Request::new(method.clone(), server.url("/")).body(vec![1, 2]);
        let response = client().send_with_retry(&request, &quick(5), at_once).await.unwrap();
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(server.seen().len(), 1, "{method}");
    }
}

#[tokio::test]
async fn what_the_caller_calls_idempotent_is_sent_again() {
    let server = failing_twice(cut).await;
    let opened = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&opened);
    let body = Body::stream(Some(3), move || {
        count.fetch_add(1, Ordering::Relaxed);
        stream::iter([Ok(Bytes::from_static(b"abc"))]).boxed()
    });
    let request = Request::put(server.url("/")).body(body).idempotent();
    let response = client().send_with_retry(&request, &quick(3), at_once).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(opened.load(Ordering::Relaxed), 3);
    assert!(server.seen().iter().all(|seen| seen.body == b"abc"));
}

#[tokio::test]
async fn a_refusal_to_act_may_be_answered_by_asking_again() {
    let server = failing_twice(too_many).await;
    let request = Request::post(server.url("/")).body(vec![1]);
    let response = client().send_with_retry(&request, &quick(3), at_once).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn what_was_never_sent_is_tried_again() {
    let (address, task) = listen(|_| async {}).await;
    task.abort();
    let _ = task.await;
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let attempts = AtomicU32::new(0);
    let outcome = client()
        .send_with_retry(&Request::post(url), &quick(4), |outcome| {
            attempts.fetch_add(1, Ordering::Relaxed);
            at_once(outcome)
        })
        .await;
    assert_eq!(outcome.unwrap_err().sent, Sent::No);
    assert_eq!(attempts.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn the_servers_wish_for_a_wait_is_heard_and_kept() {
    let server = Server::start(|_, _| unavailable()).await;
    let outcome = client().send(Request::get(server.url("/"))).await;
    assert_eq!(transient(&outcome, UnixNanos(0)), Verdict::Retry(Some(Duration::from_secs(7))));

    let server = failing_twice(too_many).await;
    let start = Instant::now();
    let wait = Duration::from_millis(100);
    let keep = |outcome: &Outcome| match at_once(outcome) {
        Verdict::Retry(_) => Verdict::Retry(Some(wait)),
        Verdict::Done => Verdict::Done,
    };
    client().send_with_retry(&Request::get(server.url("/")), &quick(3), keep).await.unwrap();
    assert!(start.elapsed() >= wait * 2);
}
