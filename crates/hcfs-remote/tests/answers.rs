//! What the client makes of the answers of a server, and of something else in its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod support;

use hcfs_model::{Revision, RevisionId, blob};
use hcfs_remote::*;
use hcfs_wire::header;
use serde_json::json;
use support::http::{Manner, Reply, Server};
use support::replies::*;
use support::{account, collect, folder, id, label, nonce, sealed, upload};

// ---- what an answer means

#[tokio::test]
async fn each_status_means_what_the_protocol_says_for_reads_and_for_writes() {
    use RemoteErrorKind::*;
    let none = || OverQuota { balance: None, required: None };
    let unknown = || UnknownCode(ErrorCode::Unknown("new_code".to_owned()));
    for (status, code, envelope, page, write_envelope, write_page) in [
        (
            400,
            "invalid_file_id",
            Refused(ErrorCode::InvalidFileId),
            NotHcfs,
            Refused(ErrorCode::InvalidFileId),
            NotHcfs,
        ),
        (400, "stale_sequence", Stale, NotHcfs, Stale, NotHcfs),
        (400, "new_code", unknown(), NotHcfs, unknown(), NotHcfs),
        (401, "unauthorized", Unauthorized, NotHcfs, Unauthorized, NotHcfs),
        (402, "over_quota", none(), NotHcfs, none(), NotHcfs),
        (403, "forbidden", Forbidden, NotHcfs, Forbidden, NotHcfs),
        (404, "not_found", NotFound, NotHcfs, NotFound, NotHcfs),
        (409, "conflict", Conflict { current: None }, NotHcfs, Conflict { current: None }, NotHcfs),
        (413, "payload_too_large", TooLarge, TooLarge, TooLarge, TooLarge),
        (429, "rate_limited", RateLimited, RateLimited, RateLimited, RateLimited),
        (500, "database_error", Unavailable, Unavailable, Ambiguous, Ambiguous),
        (502, "x", Unavailable, Unavailable, Ambiguous, Ambiguous),
        (503, "unavailable", Unavailable, Unavailable, Unavailable, Ambiguous),
        (504, "x", Unavailable, Unavailable, Ambiguous, Ambiguous),
    ] {
        for (reply, read, write) in
            [(Reply::error(status, code), envelope, write_envelope), (Reply::html(status), page, write_page)]
        {
            let server = always(reply.clone()).await;
            let (client, (manifest, blob)) = (server.client(1), upload("a", SIZE, 1, None));
            let fetched = client.download(folder(), id("a"), &expected(), None).await.unwrap_err();
            assert_eq!((fetched.kind, fetched.status), (read, Some(status)), "{reply:?}");
            let sent = client.upload(&manifest, blob).await.unwrap_err();
            assert_eq!((sent.kind, sent.status), (write, Some(status)), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn only_an_envelope_says_that_a_file_is_gone() {
    assert_eq!(always(Reply::error(404, "not_found")).await.client(1).probe(folder(), id("a")).await.unwrap(), None);
    for reply in [
        Reply::html(404),
        Reply::new(404, ""),
        Reply::json(404, &json!({"error": "not_found"})),
        Reply::error(404, "no_route"),
        Reply::error(200, "not_found"),
        Reply::error(410, "not_found"),
        Reply::success(&json!({})),
        Reply::html(200),
        Reply::new(404, vec![b'{'; 200_000]),
    ] {
        let server = always(reply.clone()).await;
        let client = server.client(1);
        let probe = client.probe(folder(), id("a")).await.unwrap_err();
        assert_ne!(probe.kind, RemoteErrorKind::NotFound, "{reply:?}");
        assert!(client.delete(folder(), id("a"), REVISION).await.is_err(), "{reply:?}");
        assert!(list_all(&client, folder(), None).await.is_err(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_page_of_any_length_says_no_more_than_its_status() {
    let long = vec![b'x'; 200_000];
    for (status, expected) in
        [(404, RemoteErrorKind::NotHcfs), (413, RemoteErrorKind::TooLarge), (502, RemoteErrorKind::Unavailable)]
    {
        let server = always(Reply::new(status, long.clone())).await;
        assert_eq!(kind(list_all(&server.client(1), folder(), None).await), expected);
        assert_eq!(server.seen().len(), 1, "no smaller page is asked for");
    }
}

#[tokio::test]
async fn a_quota_without_envelope_carries_its_amounts() {
    let reply = Reply::json(402, &json!({"message": "top up", "balance_cents": 5, "required_cents": 120}));
    let error = try_upload(&always(reply).await).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::OverQuota { balance: Some(5), required: Some(120) });
    assert!(error.to_string().contains("1.20 needed, 0.05 left"), "{error}");
    assert_eq!(&*error.message, "top up");
}

#[tokio::test]
async fn a_conflict_carries_the_current_revision() {
    let reply = Reply::json(
        409,
        &json!({"Conflict": {"error": "conflict", "message": "", "current_revision_id": vec![0xcd; 32],
                             "current_revision_seq": 4}}),
    );
    let outcome = try_upload(&always(reply).await).await;
    assert_eq!(kind(outcome), RemoteErrorKind::Conflict { current: Some(REVISION) });
}

#[tokio::test]
async fn errors_say_what_and_hint_and_keep_the_token() {
    for status in [400, 401, 402, 403, 404, 409, 413, 418, 429, 500, 503] {
        for reply in [Reply::error(status, "x"), Reply::html(status)] {
            let error = try_upload(&always(reply).await).await.unwrap_err();
            let (text, shown) = (error.to_string(), format!("{error:?}"));
            assert!(text.starts_with(&format!("upload of file {}: ", id("a"))), "{text}");
            assert!(!text.contains(support::TOKEN) && !shown.contains(support::TOKEN), "{shown}");
            assert!(!error.hint().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told_from_one_that_refuses() {
    let page = Server::start(|_| Reply::html(200)).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = Client::new(ClientConfig::default()).unwrap();
    let base = BaseUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let away =
        HcfsRemote::new(http, base, account(), Token::new("t").unwrap()).with_policy(hcfs_http::RetryPolicy::ONCE);
    let error = away.probe(folder(), id("a")).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Unreachable(ConnectFailure::Refused));
    assert!(error.is_transient() && error.concerns_all());
    let (manifest, blob) = upload("a", SIZE, 1, None);
    let sent = away.upload(&manifest, blob).await;
    assert_eq!(kind(sent), RemoteErrorKind::Unreachable(ConnectFailure::Refused), "nothing was sent");
    assert_eq!(kind(page.client(1).health().await), RemoteErrorKind::NotHcfs);
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_token_stays_here() {
    let other = always(success()).await;
    let target = format!("{}/upload", other.url());
    let server = always(Reply::new(307, "").header("location", target)).await;
    assert_eq!(kind(try_upload(&server).await), RemoteErrorKind::NotHcfs);
    assert_eq!(kind(server.client(2).probe(folder(), id("a")).await), RemoteErrorKind::NotHcfs);
    assert!(other.all().is_empty());
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer a-secret-token")));
}

#[tokio::test]
async fn answers_about_something_else_are_refused() {
    let other = hcfs_model::AccountAddress::from_public_key([1; 32]);
    let state = |account: &str, folder: &str| {
        Reply::success(&json!({"ss58_address": account, "folder_hash": folder, "files": [], "total_count": 0,
                               "has_more": false, "offset": 0, "limit": 5000}))
    };
    for reply in [state(other.as_str(), &folder().to_hex()), state(account().as_str(), "0000000000000000")] {
        let listing = list_all(&always(reply).await.client(1), folder(), None).await;
        assert_eq!(kind(listing), RemoteErrorKind::Inconsistent);
    }
    let folders = Reply::success(&json!({"base_address": other.as_str(), "folders": []}));
    assert_eq!(kind(always(folders).await.client(1).folders().await), RemoteErrorKind::Inconsistent);
    for (name, value) in [(header::FILE_ID, id("b").to_hex()), (header::FOLDER_HASH, "00".repeat(8))] {
        let reply = download_of(200, sealed(SIZE, 1)).header(name, value);
        let download = always(reply).await.client(1).download(folder(), id("a"), &expected(), None).await;
        assert_eq!(kind(download), RemoteErrorKind::Inconsistent, "{name}");
    }
}

#[tokio::test]
async fn a_folder_registered_before_is_no_error() {
    for reply in [
        Reply::success(&json!({"status": "registered"})),
        Reply::json(409, &json!({"Conflict": {"error": "conflict", "message": "exists"}})),
        Reply::error(409, "conflict"),
    ] {
        always(reply).await.client(1).register_folder(&label(), "laptop").await.unwrap();
    }
    let refused = always(Reply::error(403, "forbidden")).await.client(1).register_folder(&label(), "laptop").await;
    assert_eq!(kind(refused), RemoteErrorKind::Forbidden);
}

#[tokio::test]
async fn a_listed_folder_that_is_none_hides_no_other() {
    let folders = json!([
        {"label": "", "folder_hash": "", "file_count": 3},
        {"label": "default", "folder_hash": folder().to_hex(), "file_count": 2, "total_bytes": 9, "created_at": 1,
         "updated_at": 2, "device_name": "laptop", "member_count": 1, "colour": "red"}
    ]);
    let reply = Reply::success(&json!({"base_address": account().as_str(), "folders": folders}));
    let folders = always(reply).await.client(1).folders().await.unwrap();
    assert_eq!(folders.len(), 1);
    assert_eq!((folders[0].folder, folders[0].device.as_str()), (folder(), "laptop"));
}

// ---- downloads

#[tokio::test]
async fn a_body_without_length_is_held_to_the_length_of_its_file() {
    let whole = sealed(SIZE, 1);
    let fetch = async |body: bytes::Bytes, manner| {
        let server = always(download_of(200, body).manner(manner)).await;
        collect(server.client(1).download(folder(), id("a"), &expected(), None).await.unwrap()).await
    };
    assert_eq!(fetch(whole.clone(), Manner::Chunked).await.unwrap(), whole);
    assert_eq!(kind(fetch(whole.slice(1..), Manner::Chunked).await), RemoteErrorKind::Unavailable);
    let long = [&whole[..], b"x"].concat();
    assert_eq!(kind(fetch(long.into(), Manner::Chunked).await), RemoteErrorKind::Inconsistent);
    assert_eq!(kind(fetch(whole, Manner::CutAfter(20)).await), RemoteErrorKind::Unavailable);
}

#[tokio::test]
async fn a_stated_length_must_follow_from_the_size() {
    for body in [sealed(SIZE + 1, 1), sealed(SIZE, 1).slice(1..)] {
        let server = always(download_of(200, body)).await;
        let download = server.client(1).download(folder(), id("a"), &expected(), None).await;
        assert_eq!(kind(download), RemoteErrorKind::Inconsistent);
    }
}

#[tokio::test]
async fn only_the_part_asked_for_is_accepted() {
    let length = blob::blob_len(SIZE);
    let fetch = async |reply: Reply| {
        let server = always(reply).await;
        let outcome = server.client(1).download(folder(), id("a"), &expected(), Some(10..20)).await;
        assert_eq!(server.seen()[0].header("range"), Some("bytes=10-19"));
        match outcome {
            Ok(download) => collect(download).await.map(|bytes| bytes.len()),
            Err(error) => Err(error),
        }
    };
    let part = |range: &str, bytes: usize| download_of(206, vec![1; bytes]).header("content-range", range);
    assert_eq!(fetch(part(&format!("bytes 10-19/{length}"), 10)).await.unwrap(), 10);
    assert_eq!(fetch(part("bytes 10-19/*", 10)).await.unwrap(), 10);
    for (range, bytes) in [("bytes 11-20/*", 10), ("bytes 10-20/*", 11), ("bytes 0-9/*", 10), ("bytes 10-19/149", 10)] {
        assert_eq!(kind(fetch(part(range, bytes)).await), RemoteErrorKind::Inconsistent, "{range}");
    }
    assert_eq!(kind(fetch(part("bytes 10-19/*", 9)).await), RemoteErrorKind::Inconsistent, "a short body");
    assert_eq!(kind(fetch(download_of(206, vec![1; 10])).await), RemoteErrorKind::Inconsistent, "no range");
    assert_eq!(kind(fetch(download_of(200, sealed(SIZE, 1))).await), RemoteErrorKind::RangeIgnored);
    assert_eq!(kind(fetch(Reply::new(416, "")).await), RemoteErrorKind::Moved { current: None });
}

#[tokio::test]
async fn a_page_is_never_taken_for_a_blob() {
    for reply in [Reply::html(200), Reply::new(200, sealed(SIZE, 1)), Reply::success(&json!({}))] {
        let server = always(reply).await;
        let download = server.client(1).download(folder(), id("a"), &expected(), None).await;
        assert_eq!(kind(download), RemoteErrorKind::NotHcfs);
        assert_eq!(kind(server.client(1).probe(folder(), id("a")).await), RemoteErrorKind::NotHcfs);
    }
}

#[tokio::test]
async fn an_upload_can_be_confirmed_where_ranges_are_not_served() {
    let server = Server::start(|seen| match seen.path() {
        "/health" => health(&[]),
        _ => download_of(200, sealed(SIZE, 9)),
    })
    .await;
    let base = Revision { seq: 3, id: RevisionId([1; 32]) };
    let (manifest, _) = upload("a", SIZE, 9, Some(base));
    let client = server.client(1);
    assert_eq!(confirm_upload(&client, &manifest, &nonce(9)).await.unwrap(), Some(REVISION));
    assert_eq!(confirm_upload(&client, &manifest, &nonce(8)).await.unwrap(), None);
}
