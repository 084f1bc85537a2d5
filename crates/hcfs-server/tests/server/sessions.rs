use std::sync::atomic::Ordering;

use hcfs_model::Revision;
use hcfs_wire::{SessionOpen, SessionOpened, SessionState, SessionStatus, UploadResult};
use http::{Method, StatusCode};

use crate::harness::{Reply, Rig, account, ciphertext, eventually, hash, rig, rig_with};

const SIZE: u64 = 1_000_000;
const PART: u64 = 300_000;

/// A session for `path`, and the blob to fill it with.
async fn open(rig: &Rig, path: &str, seed: u64, base: Option<Revision>) -> (String, Vec<u8>) {
    let blob = ciphertext(SIZE, seed);
    let request = SessionOpen::cut(rig.manifest(path, SIZE, &blob, base), PART).unwrap();
    let opened: SessionOpened = rig.post("/upload/session", &request).await.success();
    assert_eq!(opened.expires_at, rig.now.load(Ordering::Relaxed) + 24 * 3600);
    (opened.session_id.to_string(), blob)
}

async fn part(rig: &Rig, id: &str, index: usize, blob: &[u8]) -> Reply {
    let part = PART as usize;
    let bytes = blob[(index * part).min(blob.len())..((index + 1) * part).min(blob.len())].to_vec();
    rig.send(Method::PUT, &format!("/upload/session/{id}/chunk/{index}"), &[], bytes).await
}

async fn fill(rig: &Rig, id: &str, blob: &[u8]) {
    for index in 0..4 {
        assert_eq!(part(rig, id, index, blob).await.status, StatusCode::OK);
    }
}

async fn finalize(rig: &Rig, id: &str) -> Reply {
    rig.send(Method::POST, &format!("/upload/session/{id}/finalize"), &[("content-length", "0")], "").await
}

async fn status(rig: &Rig, id: &str) -> SessionStatus {
    rig.get(&format!("/upload/session/{id}/status")).await.success()
}

#[tokio::test]
async fn parts_come_in_any_order_twice_and_at_the_same_time() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    assert_eq!(part(&rig, &id, 2, &blob).await.status, StatusCode::OK);
    assert_eq!(part(&rig, &id, 2, &blob).await.json()["Success"]["chunk_index"], 2);
    let other = ciphertext(SIZE, 9);
    assert_eq!(part(&rig, &id, 2, &other).await.status, StatusCode::OK, "what came first stays");
    let state = status(&rig, &id).await;
    assert_eq!((state.state, state.total_chunks, state.chunks_received), (SessionState::Receiving, 4, vec![2]));
    assert_eq!(state.ciphertext_hash, hash(&blob));

    let parts = [3, 0, 1, 0, 1].map(|index| part(&rig, &id, index, &blob));
    for reply in futures_util::future::join_all(parts).await {
        assert_eq!(reply.status, StatusCode::OK);
    }
    let (first, second) = tokio::join!(finalize(&rig, &id), finalize(&rig, &id));
    let result: UploadResult = first.success();
    assert_eq!(result, second.success());
    assert_eq!(result, finalize(&rig, &id).await.success(), "a repeated finalize answers as the first");

    let state = status(&rig, &id).await;
    assert_eq!((state.state, state.chunks_received), (SessionState::Finalized, vec![0, 1, 2, 3]));
    assert_eq!(rig.revision("a").await, Some(Revision { seq: 1, id: result.revision_id }));
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.body, blob);
    assert_eq!(rig.blob_files(), [rig.blob_path(hash(&blob))], "the session's file is gone");
    assert_eq!(part(&rig, &id, 0, &blob).await.failure(), (409, "upload_conflict".to_owned()));
    assert_eq!(rig.blob_files().len(), 1);
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    part(&rig, &id, 1, &blob).await;
    let rig = rig.restart().await;
    assert_eq!(status(&rig, &id).await.chunks_received, [1]);
    fill(&rig, &id, &blob).await;
    let result: UploadResult = finalize(&rig, &id).await.success();
    let rig = rig.restart().await;
    assert_eq!(result, finalize(&rig, &id).await.success());
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.body, blob);
}

#[tokio::test]
async fn a_session_whose_file_is_lost_starts_over() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    part(&rig, &id, 1, &blob).await;
    let file = rig.directory.path().join("blobs/sessions").join(&id);
    let rig = rig.restart_after(|_| std::fs::remove_file(file).unwrap()).await;
    assert_eq!(status(&rig, &id).await.chunks_received, Vec::<u32>::new());
    fill(&rig, &id, &blob).await;
    finalize(&rig, &id).await.success::<UploadResult>();
}

#[tokio::test]
async fn a_finalize_before_the_last_part_waits_for_it() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    assert_eq!(finalize(&rig, &id).await.failure(), (409, "upload_conflict".to_owned()));
    part(&rig, &id, 0, &blob).await;
    assert_eq!(finalize(&rig, &id).await.failure(), (409, "upload_conflict".to_owned()));
    fill(&rig, &id, &blob).await;
    finalize(&rig, &id).await.success::<UploadResult>();
}

#[tokio::test]
async fn wrong_bytes_end_the_session() {
    let rig = rig().await;
    let (id, mut blob) = open(&rig, "a", 1, None).await;
    blob[500_000] ^= 1;
    fill(&rig, &id, &blob).await;
    assert_eq!(finalize(&rig, &id).await.failure(), (400, "invalid_manifest".to_owned()));
    assert_eq!(finalize(&rig, &id).await.failure(), (404, "not_found".to_owned()));
    assert!(rig.blob_files().is_empty());
    assert_eq!(rig.listing().await.total_count, 0);
}

#[tokio::test]
async fn a_session_whose_base_has_passed_is_a_conflict() {
    let rig = rig().await;
    let first = rig.put("a", 10, 1, None).await;
    let (id, blob) = open(&rig, "a", 2, Some(first)).await;
    fill(&rig, &id, &blob).await;
    let second = rig.put("a", 10, 3, Some(first)).await;
    let reply = finalize(&rig, &id).await;
    assert_eq!(reply.failure(), (409, "conflict".to_owned()));
    assert_eq!(reply.json()["Conflict"]["current_revision_seq"], 2);
    assert_eq!(rig.revision("a").await, Some(second));
    assert_eq!(rig.needed_files().await.len(), 1);
}

#[tokio::test]
async fn parts_have_their_length_and_place() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    let put = |index: &str, bytes: Vec<u8>| {
        let path = format!("/upload/session/{id}/chunk/{index}");
        let rig = &rig;
        async move { rig.send(Method::PUT, &path, &[], bytes).await.failure() }
    };
    let invalid = || (400, "invalid_manifest".to_owned());
    assert_eq!(put("0", blob[..10].to_vec()).await, invalid());
    assert_eq!(put("0", blob[..300_001].to_vec()).await, invalid());
    assert_eq!(put("4", blob[..10].to_vec()).await, invalid());
    assert_eq!(put("99999999999", blob[..10].to_vec()).await, invalid());
    assert_eq!(put("x", blob[..10].to_vec()).await, invalid());
    assert_eq!(put("0", vec![0; 17 << 20]).await, (413, "payload_too_large".to_owned()));
    assert_eq!(status(&rig, &id).await.chunks_received, Vec::<u32>::new());
}

#[tokio::test]
async fn a_layout_that_does_not_add_up_is_refused() {
    let rig = rig().await;
    let blob = ciphertext(SIZE, 1);
    let good = SessionOpen::cut(rig.manifest("a", SIZE, &blob, None), PART).unwrap();
    for change in [
        |open: &mut SessionOpen| open.chunk_count += 1,
        |open: &mut SessionOpen| open.chunk_size = 0,
        |open: &mut SessionOpen| open.chunk_size = 17 << 20,
        |open: &mut SessionOpen| open.ciphertext_size += 1,
        |open: &mut SessionOpen| open.manifest.signature[0] ^= 1,
    ] {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(rig.post("/upload/session", &bad).await.failure(), (400, "invalid_manifest".to_owned()));
    }
    let mut other = good.clone();
    other.manifest.ss58_address = account(2);
    assert_eq!(rig.post("/upload/session", &other).await.failure(), (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_its_file() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    part(&rig, &id, 0, &blob).await;
    assert_eq!(rig.blob_files().len(), 1);
    let path = format!("/upload/session/{id}");
    let reply = rig.send(Method::DELETE, &path, &[], "").await;
    assert_eq!(reply.json()["Success"]["deleted"], true);
    assert!(rig.blob_files().is_empty());
    for reply in [
        rig.send(Method::DELETE, &path, &[], "").await,
        part(&rig, &id, 1, &blob).await,
        finalize(&rig, &id).await,
        rig.get("/upload/session/nonsense/status").await,
    ] {
        assert_eq!(reply.failure(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn another_account_does_not_see_a_session() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    let other = hcfs_server::tokens::create(&rig.storage(), &account(2), "other").await.unwrap();
    let bearer = format!("Bearer {other}");
    let headers = [("authorization", bearer.as_str())];
    for (method, rest, body) in [
        (Method::GET, "/status", Vec::new()),
        (Method::PUT, "/chunk/0", blob[..PART as usize].to_vec()),
        (Method::POST, "/finalize", Vec::new()),
        (Method::DELETE, "", Vec::new()),
    ] {
        let reply = rig.send(method, &format!("/upload/session/{id}{rest}"), &headers, body).await;
        assert_eq!(reply.failure(), (404, "not_found".to_owned()), "{rest}");
    }
    assert_eq!(status(&rig, &id).await.state, SessionState::Receiving);
}

#[tokio::test]
async fn sessions_expire_a_day_after_their_last_part() {
    let rig = rig().await;
    let (id, blob) = open(&rig, "a", 1, None).await;
    rig.now.fetch_add(20 * 3600, Ordering::Relaxed);
    part(&rig, &id, 0, &blob).await;
    rig.now.fetch_add(20 * 3600, Ordering::Relaxed);
    assert_eq!(status(&rig, &id).await.chunks_received, [0]);
    rig.now.fetch_add(4 * 3600, Ordering::Relaxed);
    assert_eq!(rig.get(&format!("/upload/session/{id}/status")).await.failure(), (404, "not_found".to_owned()));
    assert_eq!(part(&rig, &id, 1, &blob).await.failure(), (404, "not_found".to_owned()));

    let rig = rig.restart().await;
    eventually("the expired session's file is gone", || rig.blob_files().is_empty()).await;
}

#[tokio::test]
async fn unfinished_sessions_are_bounded_by_number_and_bytes() {
    let rig = rig_with(|config| config.limits.sessions = 2).await;
    open(&rig, "a", 1, None).await;
    let (id, blob) = open(&rig, "b", 2, None).await;
    let third = SessionOpen::cut(rig.manifest("c", SIZE, &ciphertext(SIZE, 3), None), PART).unwrap();
    let reply = rig.post("/upload/session", &third).await;
    assert_eq!(reply.failure(), (429, "rate_limited".to_owned()));
    assert_eq!(reply.header("retry-after"), "30");
    fill(&rig, &id, &blob).await;
    finalize(&rig, &id).await.success::<UploadResult>();
    rig.post("/upload/session", &third).await.success::<SessionOpened>();

    let rig = rig_with(|config| config.limits.session_bytes = 1_500_000).await;
    open(&rig, "a", 1, None).await;
    let second = SessionOpen::cut(rig.manifest("b", SIZE, &ciphertext(SIZE, 2), None), PART).unwrap();
    assert_eq!(rig.post("/upload/session", &second).await.status, StatusCode::TOO_MANY_REQUESTS);
}
