//! What every [`Remote`] does beyond the protocol, checked of the twin in memory, and of the client over HTTP before the
//! same server; and what it does where nothing is announced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod support;

use std::time::Duration;

use hcfs_model::{Revision, RevisionId};
use hcfs_remote::memory::{Call, MemoryRemote, MemoryServer};
use hcfs_remote::*;
use hcfs_wire::capability;
use support::front;
use support::http::{Reply, Server};
use support::{account, folder, id, nonce, renames, sealed, upload};

/// Runs each check against both.
macro_rules! contract {
    ($($name:ident,)*) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn in_memory() {
                let server = MemoryServer::new(account());
                super::$name(&MemoryRemote::new(&server), &server).await;
            }

            #[tokio::test]
            async fn over_http() {
                let server = MemoryServer::new(account());
                let behind = server.clone();
                let http = Server::start(move |seen| front::answer(&behind, seen)).await;
                super::$name(&http.client(2), &server).await;
            }
        })*
    };
}

contract! {
    what_is_announced_is_known,
    the_feed_tells_what_changed_once_for_each_file,
    a_feed_that_was_reset_says_so,
    the_uploads_of_a_batch_succeed_or_fail_one_by_one,
    a_batch_beyond_the_bounds_stores_nothing,
    batches_bring_blobs_of_the_expected_revisions,
    what_has_no_room_in_a_batch_is_told,
    the_fate_of_a_batch_can_be_asked_for,
    without_its_extension_a_request_is_not_made,
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, RemoteError>) -> RemoteErrorKind {
    outcome.unwrap_err().kind
}

fn entry(path: &str, size: u64, fill: u8, base: Option<Revision>) -> BatchUpload {
    let (manifest, blob) = upload(path, size, fill, base);
    BatchUpload { manifest, blob }
}

async fn put(remote: &dyn Remote, path: &str, base: Option<Revision>) -> Revision {
    let (manifest, blob) = upload(path, 10, 1, base);
    remote.upload(&manifest, blob).await.unwrap().revision
}

async fn page(remote: &dyn Remote, after: Option<u64>) -> ChangePage {
    match remote.changes(folder(), after, Duration::ZERO).await.unwrap() {
        FolderChanges::Changed(page) => page,
        FolderChanges::Reset => panic!("reset"),
    }
}

/// The ids of a page's changes, and whether each is listed.
fn told(page: &ChangePage) -> Vec<(hcfs_model::FileId, bool)> {
    let told = |change: &FileChange| match change {
        FileChange::Listed(row) => (row.file_id().unwrap(), true),
        FileChange::Removed(id) => (*id, false),
    };
    page.changes.iter().map(told).collect()
}

async fn what_is_announced_is_known(remote: &dyn Remote, server: &MemoryServer) {
    server.set_batch_limits(BatchLimits { max_entries: 7, max_bytes: u64::MAX, max_blob: 9 });
    let limits = BatchLimits { max_entries: 7, max_blob: 9, ..BatchLimits::USUAL };
    let known = Extensions { feed: true, upload_batch: Some(limits), download_batch: Some(limits) };
    assert_eq!(remote.extensions().await.unwrap(), known);
}

async fn the_feed_tells_what_changed_once_for_each_file(remote: &dyn Remote, server: &MemoryServer) {
    assert_eq!(page(remote, None).await, ChangePage { changes: vec![], next: 0, has_more: false });
    let a = put(remote, "a", None).await;
    let a = put(remote, "a", Some(a)).await;
    let b = put(remote, "b", None).await;
    let start = page(remote, None).await;
    assert_eq!(start, ChangePage { changes: vec![], next: 3, has_more: false }, "only where it stands");
    let all = page(remote, Some(0)).await;
    assert_eq!(told(&all), [(id("a"), true), (id("b"), true)]);
    let FileChange::Listed(ListedFile::File(row)) = &all.changes[0] else { panic!("{all:?}") };
    assert_eq!((row.entry.revision, &row.encrypted_path), (a, &vec![3; 60]));
    assert_eq!(page(remote, Some(all.next)).await, start, "nothing since");

    remote.delete(folder(), id("a"), a).await.unwrap();
    remote.rename(&renames(&[("b", "c", b)])).await.unwrap();
    server.break_row(folder(), id("c"));
    let since = page(remote, Some(start.next)).await;
    assert_eq!(told(&since), [(id("a"), false), (id("b"), false), (id("c"), true)]);
    assert!(matches!(&since.changes[2], FileChange::Listed(ListedFile::Broken(_))));

    server.set_page_rows(2);
    let first = page(remote, Some(start.next)).await;
    assert_eq!((told(&first).len(), first.has_more), (2, true));
    let rest = page(remote, Some(first.next)).await;
    assert_eq!((told(&rest), rest.has_more, rest.next), (vec![(id("c"), true)], false, since.next));
}

async fn a_feed_that_was_reset_says_so(remote: &dyn Remote, server: &MemoryServer) {
    put(remote, "a", None).await;
    let known = page(remote, None).await.next;
    let ahead = remote.changes(folder(), Some(known + 1), Duration::ZERO).await.unwrap();
    assert_eq!(ahead, FolderChanges::Reset, "a number the server has not reached");
    server.reset_feed(folder());
    assert_eq!(remote.changes(folder(), Some(known), Duration::ZERO).await.unwrap(), FolderChanges::Reset);
    let known = page(remote, None).await.next;
    put(remote, "b", None).await;
    assert_eq!(told(&page(remote, Some(known)).await), [(id("b"), true)]);
}

async fn the_uploads_of_a_batch_succeed_or_fail_one_by_one(remote: &dyn Remote, server: &MemoryServer) {
    let a = put(remote, "a", None).await;
    let mut unsigned = entry("unsigned", 5, 2, None);
    unsigned.manifest.signature[0] ^= 1;
    let mut altered = entry("altered", 5, 3, None);
    altered.blob = sealed(5, 4);
    let batch =
        [entry("new", 200_000, 5, None), entry("a", 10, 6, None), unsigned, altered, entry("a", 11, 7, Some(a))];
    let results = remote.upload_batch(&batch).await.unwrap();
    assert_eq!(results.len(), 5);
    let stored = results[0].as_ref().unwrap().revision;
    assert_eq!(remote.probe(folder(), id("new")).await.unwrap(), Some(stored));
    assert_eq!(server.file(folder(), id("new")).unwrap().blob, batch[0].blob);
    let kinds: Vec<_> = results[1..4].iter().map(|result| result.as_ref().unwrap_err().kind.clone()).collect();
    let refused = RemoteErrorKind::Refused(ErrorCode::InvalidManifest);
    assert_eq!(kinds, [RemoteErrorKind::Conflict { current: Some(a) }, refused.clone(), refused]);
    let second = results[4].as_ref().unwrap().revision;
    assert_eq!((second.seq, remote.probe(folder(), id("a")).await.unwrap()), (2, Some(second)));
    assert_eq!(server.files(folder()).len(), 2);
    assert!(remote.upload_batch(&[]).await.unwrap().is_empty());
}

async fn a_batch_beyond_the_bounds_stores_nothing(remote: &dyn Remote, server: &MemoryServer) {
    server.set_batch_limits(BatchLimits { max_entries: 2, ..BatchLimits::USUAL });
    let batch = [entry("a", 1, 1, None), entry("b", 1, 2, None), entry("c", 1, 3, None)];
    let refused = RemoteErrorKind::Refused(ErrorCode::BatchTooLarge);
    assert_eq!(kind(remote.upload_batch(&batch).await), refused);
    server.set_batch_limits(BatchLimits { max_bytes: 3_000, ..BatchLimits::USUAL });
    assert_eq!(kind(remote.upload_batch(&batch).await), RemoteErrorKind::TooLarge);
    server.set_batch_limits(BatchLimits { max_blob: 40, ..BatchLimits::USUAL });
    assert_eq!(kind(remote.upload_batch(&batch).await), RemoteErrorKind::TooLarge);
    assert!(server.files(folder()).is_empty());
}

async fn batches_bring_blobs_of_the_expected_revisions(remote: &dyn Remote, server: &MemoryServer) {
    let batch = [entry("a", 200_000, 1, None), entry("b", 0, 2, None)];
    let stored: Vec<_> = remote.upload_batch(&batch).await.unwrap().into_iter().map(|r| r.unwrap().revision).collect();
    let wanted =
        |path: &str, revision, size| WantedBlob { file: id(path), expected: Some(Expected { revision, size }) };
    let other = Revision { id: RevisionId([1; 32]), ..stored[0] };
    let files = [
        wanted("b", stored[1], 0),
        wanted("none", stored[0], 1),
        wanted("a", stored[0], 200_000),
        wanted("a", other, 200_000),
        wanted("a", stored[0], 300_001),
    ];
    let blobs = remote.download_batch(folder(), &files, None).await.unwrap();
    assert_eq!(blobs[0].as_ref().unwrap().bytes, batch[1].blob);
    assert_eq!(blobs[1].as_ref().unwrap_err().kind, RemoteErrorKind::NotFound);
    assert_eq!(blobs[2].as_ref().unwrap().bytes, batch[0].blob);
    let moved = RemoteErrorKind::Moved { current: Some(stored[0]) };
    for index in [3, 4] {
        assert_eq!(blobs[index].as_ref().unwrap_err().kind, moved, "{index}");
    }
    server.tamper(folder(), |files| files.get_mut(&id("a")).unwrap().blob.truncate(100));
    let cut = remote.download_batch(folder(), &files[2..3], None).await.unwrap();
    assert_eq!(cut[0].as_ref().unwrap_err().kind, RemoteErrorKind::Inconsistent, "a blob of another length");
}

async fn what_has_no_room_in_a_batch_is_told(remote: &dyn Remote, server: &MemoryServer) {
    let batch = [entry("a", 1_000, 1, None), entry("b", 3_000, 2, None), entry("c", 1_000, 3, None)];
    remote.upload_batch(&batch).await.unwrap();
    let wanted: Vec<_> = ["a", "b", "c"].map(|path| WantedBlob { file: id(path), expected: None }).to_vec();
    server.set_batch_limits(BatchLimits { max_blob: 2_000, ..BatchLimits::USUAL });
    let blobs = remote.download_batch(folder(), &wanted, None).await.unwrap();
    let came: Vec<_> = blobs.iter().map(|blob| blob.as_ref().map(|blob| blob.bytes.len()).ok()).collect();
    assert_eq!(came, [Some(1_048), None, Some(1_048)]);
    assert_eq!(blobs[1].as_ref().unwrap_err().kind, RemoteErrorKind::TooLarge);
}

async fn the_fate_of_a_batch_can_be_asked_for(remote: &dyn Remote, _: &MemoryServer) {
    let batch = [entry("a", 10, 1, None), entry("b", 10, 2, None), entry("c", 10, 3, None)];
    let fates = confirm_uploads(remote, folder(), &batch).await.unwrap();
    assert_eq!(fates, [None, None, None], "never committed");
    let stored: Vec<_> = remote.upload_batch(&batch).await.unwrap().into_iter().map(|r| r.unwrap().revision).collect();
    let fates = confirm_uploads(remote, folder(), &batch).await.unwrap();
    assert_eq!(fates, [Some(stored[0]), Some(stored[1]), Some(stored[2])]);
    put(remote, "a", Some(stored[0])).await;
    remote.delete(folder(), id("b"), stored[1]).await.unwrap();
    let fates = confirm_uploads(remote, folder(), &batch).await.unwrap();
    assert_eq!(fates, [None, None, Some(stored[2])], "replaced, gone, current");
    let other = [entry("c", 10, 4, None)];
    assert_eq!(confirm_uploads(remote, folder(), &other).await.unwrap(), [None], "another device's blob");
}

async fn without_its_extension_a_request_is_not_made(remote: &dyn Remote, server: &MemoryServer) {
    server.set_capabilities(&[]);
    assert_eq!(remote.extensions().await.unwrap(), Extensions::default());
    assert_eq!(kind(remote.changes(folder(), None, Duration::ZERO).await), RemoteErrorKind::Local);
    assert_eq!(kind(remote.upload_batch(&[entry("a", 1, 1, None)]).await), RemoteErrorKind::Local);
    assert_eq!(kind(remote.download_batch(folder(), &[], None).await), RemoteErrorKind::Local);
    assert!(server.files(folder()).is_empty());
    let (manifest, blob) = upload("a", 10, 1, None);
    let stored = remote.upload(&manifest, blob.clone()).await.unwrap().revision;
    let fates = confirm_uploads(remote, folder(), &[BatchUpload { manifest, blob }]).await.unwrap();
    assert_eq!(fates, [Some(stored)], "asked for one by one");
}

#[tokio::test(start_paused = true)]
async fn the_twin_waits_for_a_change_and_no_longer() {
    let server = MemoryServer::new(account());
    let (remote, other) = (MemoryRemote::new(&server), MemoryRemote::new(&server));
    let start = tokio::time::Instant::now();
    let wait = Duration::from_secs(30);
    let idle = remote.changes(folder(), Some(0), wait).await.unwrap();
    assert_eq!(idle, FolderChanges::Changed(ChangePage { changes: vec![], next: 0, has_more: false }));
    assert_eq!(start.elapsed(), wait);
    let asked = start.elapsed();
    let (told, _) = tokio::join!(remote.changes(folder(), Some(0), wait), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        put(&other, "a", None).await
    });
    let FolderChanges::Changed(page) = told.unwrap() else { panic!("reset") };
    assert_eq!((page.changes.len(), start.elapsed() - asked), (1, Duration::from_secs(1)));
    let known = page.next;
    server.mute_feed(folder(), true);
    let (told, _) = tokio::join!(remote.changes(folder(), Some(known), wait), put(&other, "b", None));
    assert_eq!(told.unwrap(), FolderChanges::Changed(ChangePage { changes: vec![], next: known, has_more: false }));
    assert_eq!(remote.take_calls().len(), 3);
}

#[tokio::test]
async fn a_server_that_lost_an_extension_is_asked_anew_what_it_can_do() {
    let server = MemoryServer::new(account());
    let behind = server.clone();
    let http = Server::start(move |seen| match seen.path() {
        path if path.starts_with("/changes") => Reply::error(404, "unknown_route"),
        _ => front::answer(&behind, seen),
    })
    .await;
    let client = http.client(1);
    assert!(client.extensions().await.unwrap().feed);
    server.set_capabilities(&[capability::BATCH_UPLOAD]);
    assert!(client.extensions().await.unwrap().feed, "kept");
    assert!(client.changes(folder(), None, Duration::ZERO).await.is_err());
    assert!(!client.extensions().await.unwrap().feed);
}

#[tokio::test]
async fn an_answer_that_speaks_of_other_files_leaves_it_open_what_happened() {
    let server = MemoryServer::new(account());
    let behind = server.clone();
    let http = Server::start(move |seen| match seen.path() {
        "/upload_batch" => Reply::success(&serde_json::json!({"results": []})),
        _ => front::answer(&behind, seen),
    })
    .await;
    let batch = [entry("a", 1, 1, None)];
    assert_eq!(kind(http.client(1).upload_batch(&batch).await), RemoteErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_lost_answer_to_a_batch_is_never_followed_by_a_second_try() {
    let server = MemoryServer::new(account());
    let behind = server.clone();
    let http = Server::start(move |seen| {
        let reply = front::answer(&behind, seen);
        if seen.path() == "/upload_batch" { Reply::hang_up() } else { reply }
    })
    .await;
    let client = http.client(5);
    let batch = [entry("a", 1, 1, None)];
    assert_eq!(kind(client.upload_batch(&batch).await), RemoteErrorKind::Ambiguous);
    let tries = http.all().iter().filter(|seen| seen.path() == "/upload_batch").count();
    assert_eq!(tries, 1);
    assert_eq!(confirm_uploads(&client, folder(), &batch).await.unwrap()[0].map(|revision| revision.seq), Some(1));
    assert_eq!(nonce(1)[..], batch[0].blob[..24]);
}

#[tokio::test]
async fn confirming_a_batch_costs_one_request() {
    let server = MemoryServer::new(account());
    let remote = MemoryRemote::new(&server);
    let batch: Vec<_> = (0..50).map(|number| entry(&format!("f{number}"), 4, 9, None)).collect();
    remote.upload_batch(&batch).await.unwrap();
    remote.take_calls();
    confirm_uploads(&remote, folder(), &batch).await.unwrap();
    let calls = remote.take_calls();
    assert!(
        matches!(&calls[..], [Call::DownloadBatch { files, first_bytes: Some(24) }] if files.len() == 50),
        "{calls:?}"
    );
}
