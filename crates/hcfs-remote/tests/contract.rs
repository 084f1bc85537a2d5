//! What every [`Remote`] does, checked of the twin in memory, and of the client over HTTP before the same server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod support;

use hcfs_model::{CiphertextHash, Revision, RevisionId, blob};
use hcfs_remote::memory::{MemoryRemote, MemoryServer};
use hcfs_remote::*;
use support::front;
use support::http::Server;
use support::{account, collect, folder, id, label, nonce, renames, sealed, upload};

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

            #[tokio::test]
            async fn over_http_without_extensions() {
                let server = MemoryServer::new(account());
                server.set_capabilities(&[]);
                let behind = server.clone();
                let http = Server::start(move |seen| front::answer(&behind, seen)).await;
                super::$name(&http.client(2), &server).await;
            }
        })*
    };
}

contract! {
    uploads_become_listed_and_come_back,
    only_the_current_revision_can_be_replaced,
    bad_uploads_are_refused,
    parts_of_blobs_come_back,
    downloads_of_other_revisions_are_refused,
    deletions_hit_the_expected_revision_only,
    renames_succeed_or_fail_one_by_one,
    sessions_take_parts_in_any_order,
    lost_sessions_are_told,
    listings_are_paged_and_tagged,
    broken_rows_stay_visible,
    folders_are_registered_and_removed,
    quota_stops_uploads_only,
    the_fate_of_an_upload_can_be_asked_for,
}

async fn put(remote: &dyn Remote, path: &str, size: u64, fill: u8, base: Option<Revision>) -> Revision {
    let (manifest, blob) = upload(path, size, fill, base);
    remote.upload(&manifest, blob).await.unwrap().revision
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, RemoteError>) -> RemoteErrorKind {
    outcome.unwrap_err().kind
}

async fn rows(remote: &dyn Remote) -> Vec<FileRow> {
    let Listing::Complete { rows, .. } = list_all(remote, folder(), None).await.unwrap() else { panic!("unchanged") };
    rows.into_iter()
        .map(|row| match row {
            ListedFile::File(row) => row,
            ListedFile::Broken(row) => panic!("{row:?}"),
        })
        .collect()
}

async fn uploads_become_listed_and_come_back(remote: &dyn Remote, server: &MemoryServer) {
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), None);
    server.set_now(1_700_000_000);
    let (manifest, blob) = upload("a", 300_000, 1, None);
    let uploaded = remote.upload(&manifest, blob.clone()).await.unwrap();
    assert_eq!((uploaded.revision.seq, uploaded.updated_at), (1, 1_700_000_000));
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), Some(uploaded.revision));
    let rows = rows(remote).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.entry.file_id, row.entry.hash), (id("a"), manifest.salted_hash));
    assert_eq!((row.entry.size, row.entry.revision), (300_000, uploaded.revision));
    assert_eq!((&row.encrypted_path, &row.relative_path), (&manifest.encrypted_path, &None));
    assert_eq!(row.updated_at, 1_700_000_000);
    let download = remote.download(folder(), id("a"), &Expected::from(&row.entry), None).await.unwrap();
    assert_eq!((download.blob_len, download.bytes.clone()), (blob.len() as u64, 0..blob.len() as u64));
    assert_eq!(collect(download).await.unwrap(), blob);
}

async fn only_the_current_revision_can_be_replaced(remote: &dyn Remote, _: &MemoryServer) {
    let first = put(remote, "a", 10, 1, None).await;
    let (again, blob) = upload("a", 10, 2, None);
    assert_eq!(kind(remote.upload(&again, blob).await), RemoteErrorKind::Conflict { current: Some(first) });
    let second = put(remote, "a", 10, 3, Some(first)).await;
    assert_eq!(second.seq, 2);
    assert_ne!(second.id, first.id);
    let (late, blob) = upload("a", 10, 4, Some(first));
    assert_eq!(kind(remote.upload(&late, blob).await), RemoteErrorKind::Conflict { current: Some(second) });
    let (stale, blob) = upload("a", 10, 5, Some(Revision { seq: 1, id: second.id }));
    assert_eq!(kind(remote.upload(&stale, blob).await), RemoteErrorKind::Stale);
    let (gone, blob) = upload("b", 10, 6, Some(second));
    assert_eq!(kind(remote.upload(&gone, blob).await), RemoteErrorKind::Conflict { current: None });
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), Some(second));
}

async fn bad_uploads_are_refused(remote: &dyn Remote, server: &MemoryServer) {
    let refused = || RemoteErrorKind::Refused(ErrorCode::InvalidManifest);
    let (manifest, blob) = upload("a", 10, 1, None);
    let mut unsigned = manifest.clone();
    unsigned.signature[3] ^= 1;
    assert_eq!(kind(remote.upload(&unsigned, blob.clone()).await), refused());
    assert_eq!(kind(remote.upload(&manifest, sealed(10, 2)).await), refused(), "another blob's hash");
    assert_eq!(kind(remote.upload(&manifest, blob.slice(1..)).await), refused(), "a blob cut short");
    let mut other = manifest.clone();
    other.ciphertext_hash = CiphertextHash([1; 32]);
    assert_eq!(kind(remote.upload(&other, blob.clone()).await), refused());
    let mut foreign = manifest;
    foreign.ss58_address = hcfs_model::AccountAddress::from_public_key([1; 32]);
    assert_eq!(kind(remote.upload(&foreign, blob).await), RemoteErrorKind::Forbidden);
    assert!(server.files(folder()).is_empty());
}

async fn parts_of_blobs_come_back(remote: &dyn Remote, server: &MemoryServer) {
    let revision = put(remote, "a", 300_000, 1, None).await;
    let varied: Vec<u8> = (0..blob::blob_len(300_000)).map(|at| u8::try_from(at % 251).unwrap()).collect();
    server.tamper(folder(), |files| files.get_mut(&id("a")).unwrap().blob = varied.clone().into());
    let expected = Expected { revision, size: 300_000 };
    for bytes in [0..1, 28..262_172, 262_192..varied.len() as u64, 0..varied.len() as u64] {
        let download = remote.download(folder(), id("a"), &expected, Some(bytes.clone())).await.unwrap();
        assert_eq!((download.blob_len, &download.bytes), (varied.len() as u64, &bytes));
        let place = usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap();
        assert_eq!(collect(download).await.unwrap(), &varied[place], "{bytes:?}");
    }
    for bytes in [5..5, 0..varied.len() as u64 + 1] {
        let download = remote.download(folder(), id("a"), &expected, Some(bytes)).await;
        assert_eq!(kind(download), RemoteErrorKind::Local);
    }
    server.tamper(folder(), |files| files.get_mut(&id("a")).unwrap().blob.truncate(300_000));
    for bytes in [None, Some(0..100)] {
        let download = remote.download(folder(), id("a"), &expected, bytes).await;
        assert_eq!(kind(download), RemoteErrorKind::Inconsistent, "a blob of another length");
    }
}

async fn downloads_of_other_revisions_are_refused(remote: &dyn Remote, _: &MemoryServer) {
    let first = put(remote, "a", 10, 1, None).await;
    let second = put(remote, "a", 11, 2, Some(first)).await;
    let moved = || RemoteErrorKind::Moved { current: Some(second) };
    for expected in [
        Expected { revision: first, size: 10 },
        Expected { revision: second, size: 10 },
        Expected { revision: Revision { seq: 3, ..second }, size: 11 },
        Expected { revision: Revision { id: first.id, ..second }, size: 11 },
    ] {
        assert_eq!(kind(remote.download(folder(), id("a"), &expected, None).await), moved(), "{expected:?}");
        assert_eq!(kind(remote.download(folder(), id("a"), &expected, Some(0..24)).await), moved(), "{expected:?}");
    }
    let gone = remote.download(folder(), id("b"), &Expected { revision: first, size: 10 }, None).await;
    assert_eq!(kind(gone), RemoteErrorKind::NotFound);
}

async fn deletions_hit_the_expected_revision_only(remote: &dyn Remote, server: &MemoryServer) {
    let first = put(remote, "a", 10, 1, None).await;
    let second = put(remote, "a", 10, 2, Some(first)).await;
    let late = remote.delete(folder(), id("a"), first).await;
    assert_eq!(kind(late), RemoteErrorKind::Conflict { current: Some(second) });
    assert_eq!(server.files(folder()).len(), 1);
    assert_eq!(remote.delete(folder(), id("a"), second).await.unwrap(), Deleted::Done);
    assert_eq!(remote.delete(folder(), id("a"), second).await.unwrap(), Deleted::WasGone);
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), None);
    assert!(server.files(folder()).is_empty());
}

async fn renames_succeed_or_fail_one_by_one(remote: &dyn Remote, server: &MemoryServer) {
    let a = put(remote, "a", 10, 1, None).await;
    let b = put(remote, "b", 20, 2, None).await;
    let none = Revision { seq: 1, id: RevisionId([0; 32]) };
    let request = renames(&[("a", "c", a), ("b", "c", b), ("x", "y", none)]);
    let outcome = remote.rename(&request).await.unwrap();
    assert_eq!(outcome.successes.len(), 1);
    assert_eq!((outcome.successes[0].new_path_hash, outcome.successes[0].new_revision_seq), (id("c"), 2));
    let reasons: Vec<_> = outcome.failures.iter().map(|failure| (failure.old_path_hash, &failure.reason)).collect();
    assert_eq!(reasons, [(id("b"), &RenameReason::TargetExists), (id("x"), &RenameReason::NotFound)]);
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), None);
    assert_eq!(remote.probe(folder(), id("c")).await.unwrap(), Some(outcome.successes[0].revision()));
    assert_eq!(server.file(folder(), id("c")).unwrap().encrypted_path, vec![4; 61]);
    let late = remote.rename(&renames(&[("b", "e", a)])).await.unwrap();
    assert_eq!(late.failures[0].reason, RenameReason::RevisionMismatch);
    let mut unsigned = renames(&[("b", "e", b)]);
    unsigned.signature[0] ^= 1;
    assert_eq!(kind(remote.rename(&unsigned).await), RemoteErrorKind::Refused(ErrorCode::InvalidManifest));
}

async fn sessions_take_parts_in_any_order(remote: &dyn Remote, server: &MemoryServer) {
    let (manifest, blob) = upload("a", 100_000, 1, None);
    let open = SessionOpen::cut(manifest.clone(), 40_000).unwrap();
    assert_eq!(open.chunk_count, 3);
    let session = remote.open_session(&open).await.unwrap().id;
    let part = |index: u32| {
        let bytes = open.part(index).unwrap();
        blob.slice(usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap())
    };
    remote.put_part(&session, 2, part(2)).await.unwrap();
    remote.put_part(&session, 0, part(0)).await.unwrap();
    remote.put_part(&session, 0, part(0)).await.unwrap();
    let status = remote.session_status(&session).await.unwrap();
    assert_eq!((status.state, status.total_chunks, status.chunks_received), (SessionState::Receiving, 3, vec![0, 2]));
    assert_eq!(status.ciphertext_hash, manifest.ciphertext_hash);
    let refused = RemoteErrorKind::Refused(ErrorCode::InvalidManifest);
    assert_eq!(kind(remote.finalize(&session, &manifest).await), refused, "a part is missing");
    assert_eq!(kind(remote.put_part(&session, 1, part(2)).await), refused, "the wrong length");
    assert_eq!(kind(remote.put_part(&session, 3, part(2)).await), refused, "no such part");
    remote.put_part(&session, 1, part(1)).await.unwrap();
    assert!(server.files(folder()).is_empty(), "nothing is visible before it is whole");
    let uploaded = remote.finalize(&session, &manifest).await.unwrap();
    assert_eq!(remote.probe(folder(), id("a")).await.unwrap(), Some(uploaded.revision));
    assert_eq!(server.file(folder(), id("a")).unwrap().blob, blob);
    assert_eq!(remote.session_status(&session).await.unwrap().state, SessionState::Finalized);
}

async fn lost_sessions_are_told(remote: &dyn Remote, server: &MemoryServer) {
    let (manifest, blob) = upload("a", 10, 1, None);
    let open = SessionOpen::cut(manifest.clone(), 1000).unwrap();
    let session = remote.open_session(&open).await.unwrap().id;
    remote.abort_session(&session).await.unwrap();
    remote.abort_session(&session).await.unwrap();
    assert_eq!(kind(remote.put_part(&session, 0, blob.clone()).await), RemoteErrorKind::NotFound);
    assert_eq!(kind(remote.session_status(&session).await), RemoteErrorKind::NotFound);
    assert_eq!(kind(remote.finalize(&session, &manifest).await), RemoteErrorKind::NotFound);
    let opened = remote.open_session(&open).await.unwrap();
    server.set_now(opened.expires_at);
    assert_eq!(kind(remote.put_part(&opened.id, 0, blob).await), RemoteErrorKind::NotFound);
}

async fn listings_are_paged_and_tagged(remote: &dyn Remote, server: &MemoryServer) {
    let Listing::Complete { rows: none, .. } = list_all(remote, folder(), None).await.unwrap() else { panic!() };
    assert!(none.is_empty(), "a folder nobody knows has no files");
    server.set_page_rows(2);
    for name in ["a", "b", "c", "d", "e"] {
        put(remote, name, 1, 1, None).await;
    }
    let Listing::Complete { rows, tag, pages } = list_all(remote, folder(), None).await.unwrap() else { panic!() };
    assert_eq!((rows.len(), pages), (5, 3));
    let tagged = server.health().has(capability::STATE_ETAG);
    assert_eq!(tag.is_some(), tagged);
    let again = list_all(remote, folder(), tag.as_ref()).await.unwrap();
    assert_eq!(again == Listing::Unchanged, tagged);
    put(remote, "f", 1, 1, None).await;
    let Listing::Complete { rows, tag: newer, .. } = list_all(remote, folder(), tag.as_ref()).await.unwrap() else {
        panic!("a change was missed")
    };
    assert_eq!(rows.len(), 6);
    assert!(!tagged || newer != tag);
    let mut known = newer;
    let f = remote.probe(folder(), id("f")).await.unwrap().unwrap();
    let renamed = remote.rename(&renames(&[("f", "g", f)])).await.unwrap().successes[0].revision();
    for (step, count) in [("renamed", 6), ("deleted", 5)] {
        let listing = list_all(remote, folder(), known.as_ref()).await.unwrap();
        let Listing::Complete { rows, tag, .. } = listing else { panic!("a file was {step}, and nothing said so") };
        assert_eq!(rows.len(), count, "{step}");
        known = tag;
        if step == "renamed" {
            remote.delete(folder(), id("g"), renamed).await.unwrap();
        }
    }
}

async fn broken_rows_stay_visible(remote: &dyn Remote, server: &MemoryServer) {
    put(remote, "a", 1, 1, None).await;
    put(remote, "b", 1, 1, None).await;
    server.break_row(folder(), id("b"));
    put(remote, "c", 1, 1, None).await;
    server.tamper(folder(), |files| files.get_mut(&id("c")).unwrap().revision.seq = 0);
    let Listing::Complete { rows, .. } = list_all(remote, folder(), None).await.unwrap() else { panic!() };
    let broken: Vec<_> = rows.iter().filter(|row| matches!(row, ListedFile::Broken(_))).collect();
    assert_eq!((rows.len(), broken.len()), (3, 2));
    assert!(broken.iter().all(|row| row.file_id() == Some(id("b")) || row.file_id() == Some(id("c"))));
}

async fn folders_are_registered_and_removed(remote: &dyn Remote, _: &MemoryServer) {
    assert!(remote.health().await.unwrap().status == "healthy");
    assert_eq!(remote.folders().await.unwrap(), []);
    remote.register_folder(&label(), "laptop").await.unwrap();
    remote.register_folder(&label(), "desk").await.unwrap();
    put(remote, "a", 7, 1, None).await;
    put(remote, "b", 8, 1, None).await;
    let folders = remote.folders().await.unwrap();
    assert_eq!(folders.len(), 1);
    assert_eq!((folders[0].folder, folders[0].label.as_str()), (folder(), "default"));
    assert_eq!((folders[0].files, folders[0].bytes), (2, 15));
    assert_eq!(remote.unregister_folder(folder()).await.unwrap(), 2);
    assert_eq!(kind(remote.unregister_folder(folder()).await), RemoteErrorKind::NotFound);
    assert!(rows(remote).await.is_empty());
}

async fn quota_stops_uploads_only(remote: &dyn Remote, server: &MemoryServer) {
    let a = put(remote, "a", 60, 1, None).await;
    server.set_quota(Some(100));
    let (manifest, blob) = upload("b", 60, 2, None);
    assert_eq!(
        kind(remote.upload(&manifest, blob).await),
        RemoteErrorKind::OverQuota { balance: None, required: None }
    );
    let a = put(remote, "a", 100, 3, Some(a)).await;
    assert_eq!(remote.delete(folder(), id("a"), a).await.unwrap(), Deleted::Done);
    put(remote, "b", 60, 2, None).await;
}

async fn the_fate_of_an_upload_can_be_asked_for(remote: &dyn Remote, _: &MemoryServer) {
    let (manifest, blob) = upload("a", 10, 1, None);
    assert_eq!(confirm_upload(remote, &manifest, &nonce(1)).await.unwrap(), None, "never committed");
    let first = remote.upload(&manifest, blob).await.unwrap().revision;
    assert_eq!(confirm_upload(remote, &manifest, &nonce(1)).await.unwrap(), Some(first));
    assert_eq!(confirm_upload(remote, &manifest, &nonce(2)).await.unwrap(), None, "another device's blob");
    let away = remote.rename(&renames(&[("a", "b", first)])).await.unwrap().successes[0].revision();
    assert_eq!(confirm_upload(remote, &manifest, &nonce(1)).await.unwrap(), None, "renamed since");
    let back = remote.rename(&renames(&[("b", "a", away)])).await.unwrap().successes[0].revision();
    assert_eq!(confirm_upload(remote, &manifest, &nonce(1)).await.unwrap(), None, "the blob, as another revision");
    put(remote, "a", 10, 3, Some(back)).await;
    assert_eq!(confirm_upload(remote, &manifest, &nonce(1)).await.unwrap(), None, "replaced since");
}
