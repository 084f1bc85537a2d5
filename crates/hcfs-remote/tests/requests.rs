//! What the client sends, how often, and what it never sends twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use hcfs_model::{Revision, RevisionId};
use hcfs_remote::*;
use hcfs_wire::{capability, header};
use serde_json::json;
use support::http::{Manner, Reply, Seen, Server};
use support::replies::*;
use support::{account, folder, front, id, nonce, renames, sealed, upload};

// ---- trying again

#[tokio::test]
async fn reads_and_parts_are_tried_again() {
    let failing = || vec![Reply::error(503, "unavailable"), Reply::hang_up(), page(&[1], 1, false)];
    let server = in_turn(&[], failing()).await;
    let Listing::Complete { rows, .. } = list_all(&server.client(3), folder(), None).await.unwrap() else { panic!() };
    assert_eq!((rows.len(), server.seen().len()), (1, 3));
    let stored = Reply::success(&json!({"chunk_index": 0}));
    let server = in_turn(&[], vec![Reply::hang_up(), Reply::html(502), stored]).await;
    let session = SessionId::new("s").unwrap();
    server.client(3).put_part(&session, 0, sealed(SIZE, 1)).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    assert!(server.seen().iter().all(|seen| seen.body == sealed(SIZE, 1)), "the same part each time");
}

#[tokio::test]
async fn an_answer_cut_in_its_body_is_asked_for_again() {
    let cut = page(&[1, 2], 2, false).manner(Manner::CutAfter(50));
    let server = in_turn(&[], vec![cut.clone(), page(&[1, 2], 2, false)]).await;
    assert!(list_all(&server.client(3), folder(), None).await.is_ok());
    let server = always(cut).await;
    assert_eq!(kind(list_all(&server.client(2), folder(), None).await), RemoteErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 3, "bounded");
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = always(Reply::html(503)).await;
    assert_eq!(kind(server.client(4).probe(folder(), id("a")).await), RemoteErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn uploads_renames_and_finalizes_are_never_sent_twice() {
    for reply in [
        Reply::hang_up(),
        Reply::html(502),
        Reply::error(500, "database_error"),
        success().manner(Manner::CutAfter(10)),
        Reply::html(200),
    ] {
        let server = always(reply.clone()).await;
        let (client, (manifest, blob)) = (server.client(5), upload("a", SIZE, 1, None));
        assert_eq!(kind(client.upload(&manifest, blob).await), RemoteErrorKind::Ambiguous, "{reply:?}");
        let session = SessionId::new("s").unwrap();
        assert_eq!(kind(client.finalize(&session, &manifest).await), RemoteErrorKind::Ambiguous, "{reply:?}");
        let rename = client.rename(&renames(&[("a", "b", REVISION)])).await;
        assert_eq!(kind(rename), RemoteErrorKind::Ambiguous, "{reply:?}");
        assert_eq!(server.seen().len(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_given_its_time() {
    let later = Reply::error(429, "rate_limited").header("retry-after", "1");
    let server = in_turn(&[], vec![later.clone(), success()]).await;
    let start = Instant::now();
    try_upload(&server).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(server.seen().len(), 2, "429 says that nothing was done");
    let impatient = always(later.header("retry-after", "3600")).await;
    let (manifest, blob) = upload("a", SIZE, 1, None);
    let error = impatient.client(1).upload(&manifest, blob).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (RemoteErrorKind::RateLimited, Some(Duration::from_secs(1))));
}

#[tokio::test]
async fn a_wait_asked_for_is_bounded() {
    let server = always(Reply::error(429, "rate_limited").header("retry-after", "3600")).await;
    let error = server.client(1).probe(folder(), id("a")).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(120)));
}

#[tokio::test]
async fn a_lost_upload_is_found_again() {
    let memory = memory::MemoryServer::new(account());
    let behind = memory.clone();
    let server = Server::start(move |seen| {
        let reply = front::answer(&behind, seen);
        if seen.path() == "/upload" { Reply::hang_up() } else { reply }
    })
    .await;
    let (client, (manifest, blob)) = (server.client(3), upload("a", SIZE, 1, None));
    assert_eq!(kind(client.upload(&manifest, blob).await), RemoteErrorKind::Ambiguous);
    let found = confirm_upload(&client, &manifest, &nonce(1)).await.unwrap();
    assert_eq!(found, Some(memory.file(folder(), id("a")).unwrap().revision));
}

// ---- listings, deletions, renames

#[tokio::test]
async fn an_unchanged_folder_costs_one_request() {
    let tagged = |seen: &Seen| seen.header("if-none-match").map(str::to_owned);
    let server = Server::start(move |seen| match (seen.path(), tagged(seen).as_deref()) {
        ("/health", _) => health(&[capability::STATE_ETAG]),
        (_, Some("\"17\"")) => Reply::new(304, "").header("etag", "\"17\""),
        _ => page(&[1], 1, false).header("etag", "\"17\""),
    })
    .await;
    let client = server.client(1);
    let Listing::Complete { tag, .. } = list_all(&client, folder(), None).await.unwrap() else { panic!() };
    let before = server.all().len();
    assert_eq!(before, 2, "health is asked for once, then the page");
    assert_eq!(list_all(&client, folder(), tag.as_ref()).await.unwrap(), Listing::Unchanged);
    assert_eq!(server.all().len(), before + 1);
    assert_eq!(server.seen()[0].query("limit"), Some("5000"));
}

#[tokio::test]
async fn tags_of_a_server_that_announces_none_are_not_believed() {
    let server =
        in_turn(&[], vec![page(&[1], 2, true).header("etag", "\"a\""), page(&[2], 2, false).header("etag", "\"b\"")])
            .await;
    let known = ListingTag::from_text("a").unwrap();
    let listing = list_all(&server.client(1), folder(), Some(&known)).await.unwrap();
    let Listing::Complete { rows, tag, .. } = listing else { panic!() };
    assert_eq!((rows.len(), tag), (2, None));
    assert!(server.seen().iter().all(|seen| seen.header("if-none-match").is_none()));
}

#[tokio::test]
async fn a_304_nobody_asked_for_is_no_answer() {
    for capabilities in [&[][..], &[capability::STATE_ETAG][..]] {
        let server = in_turn(capabilities, vec![Reply::new(304, "")]).await;
        assert_eq!(kind(list_all(&server.client(1), folder(), None).await), RemoteErrorKind::NotHcfs);
    }
}

#[tokio::test]
async fn a_listing_that_contradicts_its_total_is_not_believed() {
    for rows in [&[1][..], &[1, 2, 3], &[1, 1]] {
        let server = always(page(rows, 2, false)).await;
        assert_eq!(kind(list_all(&server.client(1), folder(), None).await), RemoteErrorKind::KeepsChanging);
        assert_eq!(server.seen().len(), 5, "bounded");
    }
    let endless = always(page(&[1, 2], 3, true)).await;
    assert_eq!(kind(list_all(&endless.client(1), folder(), None).await), RemoteErrorKind::KeepsChanging);
    assert_eq!(endless.seen().len(), 10, "bounded by the total");
    let stuck = always(page(&[], 3, true)).await;
    assert_eq!(kind(list_all(&stuck.client(1), folder(), None).await), RemoteErrorKind::Inconsistent);
    assert_eq!(stuck.seen().len(), 1);
}

#[tokio::test]
async fn a_deletion_names_its_revision_where_the_server_honours_it() {
    let gone = Reply::success(&json!({"status": "deleted", "file_id": id("a").to_hex(),
        "ss58_address": account().as_str(), "folder_hash": folder().to_hex()}));
    let server = in_turn(&[capability::CONDITIONAL_DELETE], vec![Reply::html(502), gone]).await;
    assert_eq!(server.client(2).delete(folder(), id("a"), REVISION).await.unwrap(), Deleted::Done);
    let tag = format!("\"{}\"", REVISION.id);
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen().iter().all(|seen| seen.header("if-match") == Some(&tag)));
}

#[tokio::test]
async fn an_unconditional_deletion_looks_first_and_after_a_lost_answer_again() {
    let other = Reply::new(206, vec![1])
        .header(header::SIZE_BYTES, "5")
        .header(header::REVISION_ID, "ab".repeat(32))
        .header(header::REVISION_SEQ, "5");
    let other_revision = Revision { seq: 5, id: RevisionId([0xab; 32]) };
    let current = || download_of(206, vec![1]);
    let methods = |server: &Server| server.seen().iter().map(|seen| seen.method.to_string()).collect::<Vec<_>>();

    let lost = in_turn(&[], vec![current(), Reply::hang_up(), Reply::error(404, "not_found")]).await;
    assert_eq!(lost.client(3).delete(folder(), id("a"), REVISION).await.unwrap(), Deleted::WasGone);
    assert_eq!(methods(&lost), ["GET", "DELETE", "GET"]);

    let raced = in_turn(&[], vec![current(), Reply::hang_up(), other]).await;
    let outcome = raced.client(3).delete(folder(), id("a"), REVISION).await;
    assert_eq!(kind(outcome), RemoteErrorKind::Conflict { current: Some(other_revision) });
    assert_eq!(methods(&raced), ["GET", "DELETE", "GET"], "the newer revision is not deleted");

    let dead = Server::start(move |seen| match (seen.path(), seen.method.as_str()) {
        ("/health", _) => health(&[]),
        (_, "GET") => current(),
        _ => Reply::hang_up(),
    })
    .await;
    assert_eq!(kind(dead.client(3).delete(folder(), id("a"), REVISION).await), RemoteErrorKind::Ambiguous);
    assert_eq!(dead.seen().len(), 6, "bounded");
}

#[tokio::test]
async fn an_answer_to_renames_must_speak_of_each_once() {
    let base = REVISION;
    let request = renames(&[("a", "b", base), ("c", "d", base)]);
    let success = |old: &str, new: &str| json!({"old_path_hash": id(old).0, "new_path_hash": id(new).0, "new_revision_id": vec![1; 32], "new_revision_seq": 5});
    let failure = |old: &str| json!({"old_path_hash": id(old).0, "reason": "not_found"});
    let ask = async |successes: Vec<serde_json::Value>, failures: Vec<serde_json::Value>| {
        let body = json!({"status": "ok", "renamed_count": 0, "successes": successes, "failures": failures});
        always(Reply::success(&body)).await.client(1).rename(&request).await
    };
    let outcome = ask(vec![success("c", "d")], vec![failure("a")]).await.unwrap();
    assert_eq!((outcome.successes.len(), outcome.failures.len()), (1, 1));
    for (successes, failures) in [
        (vec![success("a", "b")], vec![]),
        (vec![success("a", "d"), success("c", "b")], vec![]),
        (vec![success("a", "b"), success("a", "b")], vec![]),
        (vec![success("a", "b"), success("c", "d")], vec![failure("c")]),
        (vec![success("a", "b"), success("c", "d"), success("e", "f")], vec![]),
    ] {
        assert_eq!(kind(ask(successes, failures).await), RemoteErrorKind::Ambiguous);
    }
}

// ---- the shape of requests

#[tokio::test]
async fn an_upload_is_a_form_of_manifest_and_blob() {
    let server = always(success()).await;
    let (manifest, blob) = upload("a", SIZE, 1, None);
    let uploaded = server.client(1).upload(&manifest, blob.clone()).await.unwrap();
    assert_eq!((uploaded.revision.seq, uploaded.revision.id, uploaded.updated_at), (1, REVISION.id, 9));
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path()), ("POST", "/upload"));
    assert_eq!(seen[0].header("content-length"), Some(seen[0].body.len().to_string().as_str()));
    assert_eq!(front::multipart(&seen[0]), (manifest, blob));
}

#[tokio::test]
async fn health_is_asked_for_without_the_token() {
    let server = always(success()).await;
    let enveloped = Server::start(|_| {
        Reply::success(&json!({"status": "healthy", "version": "2", "capabilities": ["state-etag"]}))
    })
    .await;
    assert_eq!(server.client(1).health().await.unwrap().version, "1");
    assert!(server.all()[0].header("authorization").is_none());
    assert!(enveloped.client(1).health().await.unwrap().has("state-etag"));
}

#[tokio::test]
async fn a_part_stored_under_another_number_is_noticed() {
    let server = always(Reply::success(&json!({"chunk_index": 2}))).await;
    let session = SessionId::new("s").unwrap();
    let stored = server.client(1).put_part(&session, 1, sealed(SIZE, 1)).await;
    assert_eq!(kind(stored), RemoteErrorKind::Inconsistent);
    assert_eq!(server.seen()[0].path(), "/upload/session/s/chunk/1");
}
