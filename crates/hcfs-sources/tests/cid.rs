//! The decentralised storage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use bench::{
    Onlooker, Server, Step, answer, archive, base, content, failure, fetch, fetch_into, fetch_item, json, ok, open,
    part, pattern, ranged, secret, send, try_open,
};
use hcfs_sources::{
    CancellationToken, CidSettings, Fetched, Item, Kind, Resume, Settings, Source, SourceError, Validators, Verified,
    Verify,
};
use std::sync::Arc;

/// `hello`, as a raw block.
const HELLO: &str = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";

/// The CID of a raw block.
fn raw(content: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(content);
    let bytes: Vec<u8> = [1, 0x55, 0x12, 32].into_iter().chain(digest).collect();
    cid::multibase::encode(cid::multibase::Base::Base32Lower, bytes)
}

/// A CID of version 1 of a tree that no usual importer builds over anything.
const STRANGE: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

fn source(server: &Server, items: &[&str], verify: Verify) -> Arc<dyn Source> {
    let items = items.iter().map(|item| (*item).to_owned()).collect();
    open(Settings::Cid(CidSettings { base: base(server), credential: secret(), items, verify }))
}

async fn serving(headers: &'static str, body: Vec<u8>) -> Server {
    Server::start(move |_, _| ok(headers, &body)).await
}

#[tokio::test]
async fn is_asked_for_as_documented_and_verified() {
    assert_eq!(raw(b"hello"), HELLO);
    let server = serving("Content-Type: image/png\r\n", b"hello".to_vec()).await;
    let source = source(&server, &[HELLO], Verify::Required);
    assert_eq!((source.kind(), source.list().await.unwrap()), (Kind::Cid, vec![Item::new(HELLO)]));
    let (brought, bytes) = fetch(&*source, HELLO).await.unwrap();
    assert_eq!(bytes, b"hello");
    assert_eq!(brought.verified, Verified::Yes);
    assert_eq!(brought.name, format!("{HELLO}.png"));
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with(&format!("POST /api/v1/get?arg={HELLO} HTTP/1.1\r\n")), "{}", seen.head);
    assert_eq!(seen.header("authorization"), Some("Bearer s3cret-t0ken"));
    assert!(seen.body.is_empty());
}

#[tokio::test]
async fn what_was_brought_is_not_asked_for_again() {
    let server = serving("", b"hello".to_vec()).await;
    let source = source(&server, &[HELLO], Verify::Required);
    let known = Validators { size: Some(5), ..Validators::default() };
    let fetched = fetch_item(&*source, &Item::new(HELLO), &mut part(), Some(&known), &Onlooker::default()).await;
    assert_eq!(fetched.unwrap(), Fetched::NotModified);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn errors_are_told_apart() {
    let script = |status: &'static str, body: &'static str| Server::start(move |_, _| json(status, body));
    let server = script("401 Unauthorized", "").await;
    let error = failure(&*source(&server, &[], Verify::Off), HELLO).await;
    assert!(matches!(error, SourceError::Unauthorized { .. }) && !error.is_transient(), "{error:?}");
    assert!(error.hint().unwrap().contains("credential"));

    let server =
        script("500 Internal Server Error", r#"{ "error": "merkledag: not found, token s3cret-t0ken" }"#).await;
    let error = failure(&*source(&server, &[], Verify::Off), HELLO).await;
    assert_eq!(error.to_string(), format!("the service could not give \"{HELLO}\": merkledag: not found, token …"));
    assert!(error.is_transient() && error.retry_after().is_some());
    assert_eq!(server.seen().len(), 1, "it is not asked again at once");

    let server = script("503 Service Unavailable", "").await;
    assert!(matches!(failure(&*source(&server, &[], Verify::Off), HELLO).await, SourceError::Busy { status: 503, .. }));
    assert_eq!(server.seen().len(), 3);

    let server = script("302 Found", "").await;
    assert!(matches!(
        failure(&*source(&server, &[], Verify::Off), HELLO).await,
        SourceError::Status { status: 302, .. }
    ));

    let gone = base(&server);
    drop(server);
    let settings = CidSettings { base: gone, credential: secret(), items: vec![], verify: Verify::Off };
    let error = failure(&*open(Settings::Cid(settings)), HELLO).await;
    assert!(matches!(error, SourceError::Http(_)) && error.is_transient() && error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn what_is_no_cid_is_refused_before_anything_is_sent() {
    let server = serving("", b"hello".to_vec()).await;
    for bad in ["", "hello", "../x", "a/b", "bafk\r\nX: y"] {
        let settings =
            CidSettings { base: base(&server), credential: secret(), items: vec![bad.to_owned()], verify: Verify::Off };
        assert!(matches!(try_open(Settings::Cid(settings)), Err(SourceError::BadItem { .. })), "{bad:?}");
        assert!(matches!(failure(&*source(&server, &[], Verify::Off), bad).await, SourceError::BadItem { .. }));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn other_content_is_never_taken() {
    let server = serving("", b"hellO".to_vec()).await;
    for verify in [Verify::Required, Verify::WhenPossible] {
        let error = failure(&*source(&server, &[], verify), HELLO).await;
        assert!(matches!(error, SourceError::Mismatch { .. }) && !error.is_transient(), "{error:?}");
    }
    let (brought, _) = fetch(&*source(&server, &[], Verify::Off), HELLO).await.unwrap();
    assert_eq!(brought.verified, Verified::No("verification is off".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_verified_is_marked_or_refused() {
    let server = serving("", b"hello".to_vec()).await;
    let error = failure(&*source(&server, &[], Verify::Required), STRANGE).await;
    assert!(matches!(error, SourceError::Unverified { .. }), "{error:?}");
    let (brought, bytes) = fetch(&*source(&server, &[], Verify::WhenPossible), STRANGE).await.unwrap();
    assert!(matches!(brought.verified, Verified::No(reason) if reason.contains("no usual way")));
    assert_eq!(bytes, b"hello");

    // Of a codec that is no file's it is known before.
    let cbor = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";
    let asked = server.seen().len();
    assert!(matches!(failure(&*source(&server, &[], Verify::Required), cbor).await, SourceError::Unverified { .. }));
    assert_eq!(server.seen().len(), asked);
}

#[tokio::test]
async fn a_page_is_no_content() {
    let server = serving("Content-Type: text/html; charset=utf-8\r\n", b"<html>log in</html>".to_vec()).await;
    for verify in [Verify::WhenPossible, Verify::Off] {
        let error = failure(&*source(&server, &[], verify), STRANGE).await;
        assert!(matches!(&error, SourceError::WrongContent { got, .. } if got == "text/html"), "{error:?}");
    }
    assert!(matches!(failure(&*source(&server, &[], Verify::WhenPossible), HELLO).await, SourceError::Mismatch { .. }));
    // A page that is what its CID says is content.
    let cid = raw(b"<html>log in</html>");
    let (brought, _) = fetch(&*source(&server, &[], Verify::Required), &cid).await.unwrap();
    assert!(brought.verified == Verified::Yes && brought.name.ends_with(".html"));
}

#[tokio::test]
async fn an_archive_as_nodes_send_it_is_unpacked() {
    let content = pattern(3000);
    let cid = raw(&content);
    let server = serving("Content-Type: application/x-tar\r\n", archive(&[(&cid, &content)])).await;
    for verify in [Verify::Required, Verify::WhenPossible, Verify::Off] {
        let (brought, bytes) = fetch(&*source(&server, &[], verify), &cid).await.unwrap();
        assert!(bytes == content && (verify == Verify::Off || brought.verified == Verified::Yes));
        assert_eq!(brought.name, cid, "the type is that of the archive");
    }
    // Under another name the archive is looked into when it is not the content itself.
    let server = serving("", archive(&[("report.pdf", &content)])).await;
    let (brought, bytes) = fetch(&*source(&server, &[], Verify::Required), &cid).await.unwrap();
    assert!(bytes == content && brought.verified == Verified::Yes);
    assert_eq!(brought.name, "report.pdf");
}

#[tokio::test]
async fn an_archive_that_is_the_content_stays_one() {
    let packed = archive(&[("a", b"1"), ("b", b"2")]);
    let cid = raw(&packed);
    let server = serving("Content-Type: application/x-tar\r\n", packed.clone()).await;
    let (brought, bytes) = fetch(&*source(&server, &[], Verify::Required), &cid).await.unwrap();
    assert!(bytes == packed && brought.verified == Verified::Yes);
    assert_eq!(brought.name, format!("{cid}.tar"));
}

#[tokio::test]
async fn an_archive_that_is_not_one_file_is_refused() {
    for (files, reason) in [
        (vec![(HELLO, b"hello".as_slice()), ("b", b"2")], "it holds more than one file"),
        (vec![("a", b"1".as_slice()), ("b", b"2")], "it holds more than one file"),
        (vec![("../hello", b"hello".as_slice())], "the name in it leaves the folder"),
        (vec![("/etc/hello", b"hello".as_slice())], "the name in it leaves the folder"),
    ] {
        let server = serving("", archive(&files)).await;
        let error = failure(&*source(&server, &[], Verify::WhenPossible), HELLO).await;
        assert_eq!(error.to_string(), format!("the archive of \"{HELLO}\" is not one file: {reason}"));
    }
    let mut cut = archive(&[(HELLO, b"hello")]);
    cut.truncate(514);
    let server = serving("", cut).await;
    assert!(matches!(failure(&*source(&server, &[], Verify::WhenPossible), HELLO).await, SourceError::Archive { .. }));
}

#[tokio::test]
async fn a_cut_body_goes_on_where_the_service_allows_it() {
    let content = pattern(5000);
    let (cid, body) = (raw(&content), content.clone());
    // No validators are needed: the CID ties the legs together.
    let server = Server::start(move |seen, number| {
        let keep = (number < 2).then_some(1000);
        let mut steps = ranged(seen, "\"x\"", "", &body, keep);
        if let Step::Send(head) = &mut steps[0] {
            *head = String::from_utf8(head.clone()).unwrap().replace("ETag: \"x\"\r\n", "").into_bytes();
        }
        steps
    })
    .await;
    let (brought, bytes) = fetch(&*source(&server, &[], Verify::Required), &cid).await.unwrap();
    assert!(bytes == content && brought.verified == Verified::Yes);
    let ranges: Vec<_> = server.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-".to_owned()), Some("bytes=2000-".to_owned())]);
    assert!(server.seen().iter().all(|seen| seen.head.starts_with("POST ")));
}

#[tokio::test]
async fn a_service_without_ranges_is_read_again() {
    let content = pattern(5000);
    let packed = archive(&[(&raw(&content), &content)]);
    let server = Server::start(move |_, number| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        match number {
            0 => vec![send(head), Step::Send(chunk(&packed[..2000])), Step::Cut],
            _ => vec![send(head), Step::Send(chunk(&packed)), send("0\r\n\r\n")],
        }
    })
    .await;
    let (brought, bytes) = fetch(&*source(&server, &[], Verify::Required), &raw(&content)).await.unwrap();
    assert!(bytes == content && brought.verified == Verified::Yes);
}

/// Stops a fetch after some bytes, and lets another source go on from the record's text.
async fn interrupted(body: Vec<u8>, cid: &str, spoil: impl FnOnce(&std::fs::File)) -> (Vec<u8>, Vec<Option<String>>) {
    let cid = cid.to_owned();
    let server = Server::start(move |seen, number| {
        let mut steps = ranged(seen, "\"v\"", "", &body, (number == 0).then_some(3000));
        if number == 0 {
            steps.pop();
            steps.push(Step::Silence);
        }
        steps
    })
    .await;
    let mut part = part();
    let stop = (1, CancellationToken::new());
    let onlooker = Onlooker { stop: Some(stop), ..Onlooker::default() };
    let error =
        fetch_item(&*source(&server, &[], Verify::Required), &Item::new(&cid), &mut part, None, &onlooker).await;
    assert!(matches!(error, Err(SourceError::Cancelled { .. })), "{error:?}");
    assert!(part.resume.bytes() > 0);
    part.resume = Resume::from_text(&part.resume.to_text());
    spoil(&part.file);
    let fetched = fetch_into(&*source(&server, &[], Verify::Required), &cid, &mut part).await.unwrap();
    assert!(matches!(fetched, Fetched::Done(brought) if brought.verified == Verified::Yes));
    (content(&part), server.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect())
}

#[tokio::test]
async fn an_interrupted_run_is_gone_on_with() {
    let whole = pattern(5000);
    let (bytes, ranges) = interrupted(whole.clone(), &raw(&whole), |_| {}).await;
    assert!(bytes == whole);
    assert!(ranges.len() == 2 && ranges[1].is_some(), "{ranges:?}");
}

#[tokio::test]
async fn an_interrupted_archive_is_gone_on_with() {
    let whole = pattern(5000);
    let cid = raw(&whole);
    let (bytes, ranges) = interrupted(archive(&[(&cid, &whole)]), &cid, |_| {}).await;
    assert!(bytes == whole);
    assert!(ranges.len() == 2 && ranges[1].is_some(), "{ranges:?}");
}

#[tokio::test]
async fn an_interrupted_archive_outlives_a_run_that_brings_nothing() {
    let whole = pattern(5000);
    let cid = raw(&whole);
    let body = archive(&[(&cid, &whole)]);
    let server = Server::start(move |seen, number| match number {
        1..=3 => vec![Step::Cut],
        number => ranged(seen, "\"v\"", "", &body, (number == 0).then_some(3000)),
    })
    .await;
    let mut part = part();
    for _ in 0..2 {
        let error = fetch_into(&*source(&server, &[], Verify::Required), &cid, &mut part).await;
        if let Ok(Fetched::Done(brought)) = error {
            assert!(brought.verified == Verified::Yes && content(&part) == whole);
            assert_eq!(server.seen().last().unwrap().header("range"), Some("bytes=3000-"));
            return;
        }
        assert_eq!(part.resume.bytes(), 3000 - 512);
    }
    panic!("it did not go on");
}

#[tokio::test]
async fn a_part_that_lost_bytes_begins_anew() {
    use std::os::unix::fs::FileExt as _;
    let whole = pattern(5000);
    let (bytes, ranges) =
        interrupted(whole.clone(), &raw(&whole), |file| file.write_all_at(&[0; 100], 0).unwrap()).await;
    assert!(bytes == whole && ranges == [None, None], "{ranges:?}");
    let (bytes, ranges) = interrupted(whole.clone(), &raw(&whole), |file| file.set_len(1).unwrap()).await;
    assert!(bytes == whole && ranges == [None, None], "{ranges:?}");
}

#[tokio::test]
async fn a_test_says_what_it_found() {
    let server = serving("", b"hello".to_vec()).await;
    let found = source(&server, &[HELLO], Verify::Required).test().await.unwrap();
    let there = format!("\"{HELLO}\" is there, 5 bytes");
    assert_eq!(found, [format!("http://{} answers", server.address), "the token is accepted".to_owned(), there]);
    assert_eq!(source(&server, &[], Verify::Required).test().await.unwrap().len(), 2);
    let server = Server::start(|_, _| vec![answer("401 Unauthorized", "", b"")]).await;
    let error = source(&server, &[], Verify::Required).test().await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { .. }));
}

#[tokio::test]
async fn progress_that_cannot_be_stored_ends_the_fetch() {
    let server = serving("", b"hello".to_vec()).await;
    let onlooker = Onlooker { refuse: true, ..Onlooker::default() };
    let source = source(&server, &[], Verify::Required);
    let error = fetch_item(&*source, &Item::new(HELLO), &mut part(), None, &onlooker).await.unwrap_err();
    assert!(matches!(error, SourceError::NotKept { .. }));
}
