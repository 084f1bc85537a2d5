//! The service of customer documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use std::sync::Arc;
use std::time::Duration;

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::{
    Onlooker, SECRET, Seen, Server, Step, answer, base, content, failure, fetch, fetch_into, fetch_item, json, ok,
    open, part, pattern, ranged, secret, send, try_open,
};
use hcfs_sources::{
    CancellationToken, Credential, Fetched, Item, Items, Resume, Settings, Source, SourceError, StorageFileSettings,
    Validators,
};

const ID: &str = "file_78901";

fn settings(server: &Server, items: Items) -> StorageFileSettings {
    let customer_id = Some("cust_12345".to_owned());
    StorageFileSettings { base: base(server), credential: secret(), customer_id, items, accept: None }
}

fn these(ids: &[&str]) -> Items {
    Items::These(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn source(server: &Server) -> Arc<dyn Source> {
    open(Settings::StorageFile(settings(server, these(&[ID]))))
}

fn json_source(server: &Server) -> Arc<dyn Source> {
    let accept = Some("application/json".to_owned());
    open(Settings::StorageFile(StorageFileSettings { accept, ..settings(server, these(&[ID])) }))
}

const PDF: &str = "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"passport_scan.pdf\"\r\n\
    X-File-ID: file_78901\r\nX-Customer-ID: cust_12345\r\n";

#[tokio::test]
async fn is_asked_for_as_documented() {
    let server = Server::start(|_, _| ok(PDF, b"%PDF-1.4")).await;
    let (brought, bytes) = fetch(&*source(&server), ID).await.unwrap();
    assert_eq!((brought.name.as_str(), bytes.as_slice()), ("passport_scan.pdf", b"%PDF-1.4".as_slice()));
    let seen = &server.seen()[0];
    assert!(
        seen.head.starts_with("GET /v2/storage/file/file_78901?customerId=cust_12345 HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("authorization"), Some(SECRET), "the value has no scheme");
    assert_eq!(seen.header("accept"), Some("*/*"));

    let plain = StorageFileSettings {
        customer_id: None,
        accept: Some("image/jpeg".to_owned()),
        credential: Credential::new("Basic a b").unwrap(),
        ..settings(&server, these(&[ID]))
    };
    fetch(&*open(Settings::StorageFile(plain)), ID).await.unwrap();
    let seen = &server.seen()[1];
    assert!(seen.head.starts_with("GET /v2/storage/file/file_78901 HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!((seen.header("accept"), seen.header("authorization")), (Some("image/jpeg"), Some("Basic a b")));
}

#[tokio::test]
async fn names_come_from_the_answer_the_listing_or_the_id() {
    let item = Item { name: Some("../../etc/scan.pdf".to_owned()), ..Item::new(ID) };
    let name = |headers: &'static str| {
        let item = item.clone();
        async move {
            let server = Server::start(move |_, _| ok(headers, b"x")).await;
            let fetched = fetch_item(&*source(&server), &item, &mut part(), None, &Onlooker::default()).await.unwrap();
            let Fetched::Done(brought) = fetched else { panic!("nothing was known") };
            brought.name
        }
    };
    assert_eq!(
        name("Content-Disposition: inline; filename=\"../../.ssh/authorized_keys\"\r\n").await,
        "authorized_keys"
    );
    assert_eq!(name("Content-Disposition: inline; filename=\"..\"\r\n").await, "scan.pdf");
    assert_eq!(name("Content-Type: image/jpeg\r\n").await, "scan.pdf");
    let server = Server::start(|_, _| ok("Content-Type: image/jpeg\r\n", b"x")).await;
    assert_eq!(fetch(&*source(&server), ID).await.unwrap().0.name, "file_78901.jpg");
}

/// What an error's text means, whatever its status.
async fn told(text: &'static str) -> Vec<SourceError> {
    let mut errors = Vec::new();
    for status in ["400 Bad Request", "404 Not Found", "200 OK"] {
        let server = Server::start(move |_, _| json(status, &format!("{{ \"error\": \"{text}\" }}"))).await;
        errors.push(failure(&*source(&server), ID).await);
        errors.push(failure(&*json_source(&server), ID).await);
    }
    errors
}

#[tokio::test]
async fn errors_are_told_apart_by_their_texts() {
    for error in told("File not found: file_78901").await {
        assert_eq!(error.to_string(), "the service has no file \"file_78901\"");
        assert!(matches!(error, SourceError::NotFound { .. }) && !error.is_transient());
    }
    for error in told("Access denied to file: file_78901").await {
        assert_eq!(error.to_string(), "access to \"file_78901\" is denied");
        assert!(matches!(error, SourceError::Denied { .. }) && error.hint().unwrap().contains("customer"));
    }
    for error in told("File is locked and cannot be downloaded").await {
        assert_eq!(error.to_string(), "the file \"file_78901\" is locked at the service");
        assert!(matches!(error, SourceError::Locked { .. }) && error.is_transient());
    }
    for error in told("Unauthorized").await {
        assert!(matches!(error, SourceError::Unauthorized { .. }) && !error.is_transient(), "{error:?}");
    }
    // Of no document: by the status.
    let server = Server::start(|_, _| json("403 Forbidden", r#"{"error":"key s3cret-t0ken is no good"}"#)).await;
    let error = failure(&*source(&server), ID).await;
    assert_eq!(error.to_string(), "access to \"file_78901\" is denied: key … is no good");
    let server = Server::start(|_, _| json("418 Teapot", r#"{"error":"short and stout"}"#)).await;
    assert_eq!(failure(&*source(&server), ID).await.to_string(), "the service answered 418: short and stout");
}

#[tokio::test]
async fn a_locked_file_is_left_alone_for_longer_each_time() {
    let server = Server::start(|_, number| match number {
        0..3 => json("423 Locked", r#"{"error":"File is locked and cannot be downloaded"}"#),
        _ => ok(PDF, b"%PDF"),
    })
    .await;
    let mut part = part();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let error = fetch_into(&*source(&server), ID, &mut part).await.unwrap_err();
        waits.push(error.retry_after().unwrap().as_secs());
        part.resume = Resume::from_text(&part.resume.to_text());
    }
    assert_eq!(waits, [60, 120, 240]);
    assert!(matches!(fetch_into(&*source(&server), ID, &mut part).await.unwrap(), Fetched::Done(_)));
}

#[tokio::test]
async fn a_busy_service_says_when_to_come_back() {
    let server = Server::start(|_, _| vec![answer("429 Slow Down", "Retry-After: 7\r\n", b"")]).await;
    let once = hcfs_sources::Tempo { retry: hcfs_sources::RetryPolicy::ONCE, ..bench::tempo() };
    let client = hcfs_sources::Client::new(hcfs_sources::ClientConfig::default()).unwrap();
    let source = hcfs_sources::open(Settings::StorageFile(settings(&server, these(&[ID]))), client, once).ok().unwrap();
    let error = fetch(&*source, ID).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_page_in_place_of_a_file_is_an_error() {
    for (headers, body) in [
        ("Content-Type: text/html\r\n", "<html>sign in</html>"),
        ("Content-Type: application/json; charset=utf-8\r\n", "{\"ok\":true}"),
    ] {
        let server = Server::start(move |_, _| ok(headers, body.as_bytes())).await;
        let error = failure(&*source(&server), ID).await;
        assert!(matches!(&error, SourceError::WrongContent { expected: "a file", .. }), "{error:?}");
    }
    // The service says that it is a file: then it is one.
    let headers = "Content-Type: text/html\r\nContent-Disposition: attachment; filename=page.html\r\n";
    let server = Server::start(move |_, _| ok(headers, b"<html>")).await;
    assert_eq!(fetch(&*source(&server), ID).await.unwrap().0.name, "page.html");
}

#[tokio::test]
async fn base64_in_json_is_decoded() {
    let content = pattern(100_000);
    let body = format!(
        "{{\"contentType\":\"application/pdf\",\"data\":\"{}\",\"extensions\":[]}}",
        STANDARD.encode(&content).replace('/', "\\/")
    );
    let server = Server::start(move |_, _| json("200 OK", &body)).await;
    let (brought, bytes) = fetch(&*json_source(&server), ID).await.unwrap();
    assert!(bytes == content);
    assert_eq!(brought.name, "file_78901.pdf");
    assert_eq!(server.seen()[0].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn broken_json_is_no_file() {
    for (body, why) in [
        (r#"{"data":"AAA"}"#, "the last group is incomplete"),
        (r#"{"data":"AA*A"}"#, "a character that base64 does not have"),
        (r#"{"data":"AAAA""#, "the object ends in the middle"),
        (r#"{"contentType":"a/b"}"#, "the object has no field \"data\""),
        ("%PDF-1.4", "byte 0 is not what JSON has there"),
        (r#"{"data":{}}"#, "the field \"data\" is not a text"),
    ] {
        let server = Server::start(move |_, _| json("200 OK", body)).await;
        let error = failure(&*json_source(&server), ID).await;
        assert!(matches!(error, SourceError::Undecodable { .. }) && error.to_string().contains(why), "{error}");
    }
    let server = Server::start(|_, _| ok(PDF, b"%PDF-1.4")).await;
    let error = failure(&*json_source(&server), ID).await;
    assert_eq!(error.to_string(), "a file in JSON was due for \"file_78901\", and application/pdf came");
    let server = Server::start(|_, _| json("200 OK", r#"{"error":"what s3cret-t0ken"}"#)).await;
    assert!(failure(&*json_source(&server), ID).await.to_string().ends_with("came: what …"));
}

#[tokio::test]
async fn json_that_is_cut_is_decoded_all_the_same() {
    let content = pattern(9000);
    let body = format!("{{\"data\":\"{}\"}}", STANDARD.encode(&content));
    let server = Server::start(move |seen, number| {
        ranged(seen, "\"1\"", "Content-Type: application/json\r\n", body.as_bytes(), (number < 3).then_some(2999))
    })
    .await;
    let (_, bytes) = fetch(&*json_source(&server), ID).await.unwrap();
    assert!(bytes == content);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_body_of_another_length_is_no_file() {
    // Shorter than announced, again and again.
    let server = Server::start(|_, _| {
        let head = format!("HTTP/1.1 200 OK\r\n{PDF}Content-Length: 100\r\n\r\n");
        vec![send(&head), send("only this"), Step::Cut]
    })
    .await;
    let mut part = part();
    let error = fetch_into(&*source(&server), ID, &mut part).await.unwrap_err();
    assert!(matches!(error, SourceError::Http(_)) && error.is_transient(), "{error:?}");
    // Longer than its range.
    let server = Server::start(|seen, _| match seen.header("range") {
        None => {
            let head = format!("HTTP/1.1 200 OK\r\n{PDF}Content-Length: 100\r\n\r\n");
            vec![send(&head), send("only this"), Step::Cut]
        }
        Some(_) => vec![answer("206 Part", "Content-Range: bytes 9-99/100\r\n", &[0; 200])],
    })
    .await;
    assert!(matches!(failure(&*source(&server), ID).await, SourceError::Unsteady { .. }));
}

async fn known(headers: &'static str, known: Validators) -> (Fetched, Seen) {
    let server = Server::start(move |seen, _| {
        let unchanged = seen.header("if-none-match") == Some("\"1\"") || seen.header("if-modified-since").is_some();
        if unchanged { vec![answer("304 Not Modified", "", b"")] } else { ok(headers, b"%PDF") }
    })
    .await;
    let mut part = part();
    let fetched = fetch_item(&*source(&server), &Item::new(ID), &mut part, Some(&known), &Onlooker::default()).await;
    (fetched.unwrap(), server.seen().remove(0))
}

#[tokio::test]
async fn what_has_not_changed_is_not_brought_again() {
    let none = Validators::default;
    let (fetched, seen) = known(PDF, Validators { etag: Some("\"1\"".to_owned()), ..none() }).await;
    assert_eq!((fetched, seen.header("if-none-match")), (Fetched::NotModified, Some("\"1\"")));
    let date = "Fri, 20 Nov 2026 10:00:00 GMT".to_owned();
    let (fetched, seen) = known(PDF, Validators { last_modified: Some(date.clone()), ..none() }).await;
    assert_eq!((fetched, seen.header("if-modified-since")), (Fetched::NotModified, Some(date.as_str())));
    // A service that compares nothing: by the size, if neither side has anything else.
    let (fetched, _) = known(PDF, Validators { size: Some(4), ..none() }).await;
    assert_eq!(fetched, Fetched::NotModified);
    let (fetched, _) = known(PDF, Validators { size: Some(5), ..none() }).await;
    assert!(matches!(fetched, Fetched::Done(_)));
    let (fetched, _) =
        known("ETag: \"2\"\r\n", Validators { etag: Some("\"0\"".to_owned()), size: Some(4), ..none() }).await;
    assert!(matches!(fetched, Fetched::Done(brought) if brought.validators.etag.as_deref() == Some("\"2\"")));
    // The listing says that nothing changed: nothing is asked.
    let item = Item { changed: Some("2026-01-01".to_owned()), ..Item::new(ID) };
    let same = Validators { changed: item.changed.clone(), ..none() };
    let server = Server::start(|_, _| vec![Step::Cut]).await;
    let fetched = fetch_item(&*source(&server), &item, &mut part(), Some(&same), &Onlooker::default()).await.unwrap();
    assert!(fetched == Fetched::NotModified && server.seen().is_empty());
}

#[tokio::test]
async fn an_interrupted_run_is_gone_on_with_if_nothing_changed() {
    for (second, ranges) in [("\"1\"", 1), ("\"2\"", 1)] {
        let body = pattern(6000);
        let served = body.clone();
        let server = Server::start(move |seen, number| {
            let mut steps =
                ranged(seen, if number == 0 { "\"1\"" } else { second }, PDF, &served, (number == 0).then_some(4000));
            if number == 0 {
                steps.pop();
                steps.push(Step::Silence);
            }
            steps
        })
        .await;
        let mut part = part();
        let onlooker = Onlooker { stop: Some((1, CancellationToken::new())), ..Onlooker::default() };
        let stopped = fetch_item(&*source(&server), &Item::new(ID), &mut part, None, &onlooker).await;
        assert!(matches!(stopped, Err(SourceError::Cancelled { .. })));
        part.resume = onlooker.kept.lock().unwrap().last().unwrap().clone();
        let fetched = fetch_into(&*source(&server), ID, &mut part).await.unwrap();
        assert!(matches!(fetched, Fetched::Done(brought) if brought.name == "passport_scan.pdf"));
        assert!(content(&part) == body);
        let seen = server.seen();
        assert_eq!(seen.iter().filter(|seen| seen.header("range").is_some()).count(), ranges);
        assert_eq!(seen[1].header("if-range"), Some("\"1\""));
        assert!(onlooker.told.lock().unwrap().iter().all(|told| told.total.is_none_or(|total| total == 6000)));
    }
}

#[tokio::test]
async fn the_listing_is_read_page_by_page() {
    let server = Server::start(|seen, number| {
        let rows = if number < 2 { 50 } else { 3 };
        let items: Vec<String> = (0..rows)
            .map(|row| {
                let id = number * 50 + row;
                format!(r#"{{"partnerId":"p","customerId":"cust_12345","id":"file_{id}","name":"n{id}.pdf","size":{id},"more":[]}}"#)
            })
            .collect();
        assert!(seen.head.contains(&format!("meta.page={number}&meta.pageSize=50 ")), "{}", seen.head);
        json("200 OK", &format!(r#"{{"items":[{}],"meta":{{"page":{number}}}}}"#, items.join(",")))
    })
    .await;
    let all = open(Settings::StorageFile(settings(&server, Items::All)));
    let items = all.list().await.unwrap();
    assert_eq!(items.len(), 103);
    assert_eq!(items[102], Item { name: Some("n102.pdf".to_owned()), size: Some(102), ..Item::new("file_102") });
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("GET /v2/storage/file?customerId=cust_12345&meta.page=0&meta.pageSize=50 "));
    assert_eq!((seen.header("authorization"), seen.header("accept")), (Some(SECRET), Some("application/json")));
}

#[tokio::test]
async fn a_listing_that_never_ends_ends() {
    let row = |id: usize| format!(r#"{{"id":"file_{id}"}}"#);
    let same = move |_: &Seen, _: usize| {
        let items: Vec<String> = (0..50).map(row).collect();
        json("200 OK", &format!(r#"{{"items":[{}]}}"#, items.join(",")))
    };
    let server = Server::start(same).await;
    assert_eq!(open(Settings::StorageFile(settings(&server, Items::All))).list().await.unwrap().len(), 50);
    assert_eq!(server.seen().len(), 2);
    // Always something new.
    let server = Server::start(move |_, number| {
        let items: Vec<String> = (0..5000).map(|at| row(number * 5000 + at)).collect();
        json("200 OK", &format!(r#"{{"items":[{}]}}"#, items.join(",")))
    })
    .await;
    let error = open(Settings::StorageFile(settings(&server, Items::All))).list().await.unwrap_err();
    assert!(matches!(error, SourceError::TooManyItems(100_000)));
}

#[tokio::test]
async fn a_listing_that_lies_is_refused() {
    for (status, body, code) in [
        ("200 OK", r#"{"items":[{"id":"../x"}]}"#, "bad_item"),
        ("200 OK", r#"{"items":[{"id":"a/b"}]}"#, "bad_item"),
        ("200 OK", r#"{"items":[{"name":"x"}]}"#, "bad_answer"),
        ("200 OK", r#"{"files":[]}"#, "bad_answer"),
        ("200 OK", "<html>", "bad_answer"),
        ("200 OK", r#"{"error":"Unauthorized"}"#, "unauthorized"),
        ("401 Unauthorized", r#"{"error":"Unauthorized"}"#, "unauthorized"),
        ("500 Oh", "", "unexpected_status"),
    ] {
        let server = Server::start(move |_, _| json(status, body)).await;
        let error = open(Settings::StorageFile(settings(&server, Items::All))).list().await.unwrap_err();
        bench::check_error(&error);
        assert_eq!(error.code(), code, "{body}");
    }
}

#[tokio::test]
async fn the_credential_does_not_follow_a_redirect_elsewhere() {
    let other = Server::start(|_, _| ok(PDF, b"%PDF")).await;
    let target = format!("Location: http://{}/x\r\n", other.address);
    let server = Server::start(move |_, _| vec![answer("302 Elsewhere", &target, b"")]).await;
    fetch(&*source(&server), ID).await.unwrap();
    assert!(!other.seen()[0].head.contains(SECRET), "{}", other.seen()[0].head);
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let server = Server::start(|_, _| vec![]).await;
    for bad in ["", "a/b", "..", "a\nb"] {
        let error = try_open(Settings::StorageFile(settings(&server, these(&[bad]))));
        assert!(matches!(error, Err(SourceError::BadItem { .. })), "{bad:?}");
        assert!(matches!(failure(&*source(&server), bad).await, SourceError::BadItem { .. }));
    }
    let accept = Some("a\nb".to_owned());
    assert!(try_open(Settings::StorageFile(StorageFileSettings { accept, ..settings(&server, these(&[])) })).is_err());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_test_says_what_it_found() {
    let server = Server::start(|seen, _| match seen.head.contains("/file_78901") {
        true => ok(PDF, b"%PDF"),
        false => json("200 OK", r#"{"items":[{"id":"x"}]}"#),
    })
    .await;
    let found = source(&server).test().await.unwrap();
    assert_eq!(found[1..], ["the credential is accepted", "the listing has files", "\"file_78901\" is there"]);
    let server = Server::start(|_, _| json("401 Unauthorized", r#"{"error":"Unauthorized"}"#)).await;
    assert!(matches!(source(&server).test().await.unwrap_err(), SourceError::Unauthorized { .. }));
}
