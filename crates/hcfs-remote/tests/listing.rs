//! Whole listings from pages that change meanwhile, and the twin's faults and records.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod support;

use hcfs_model::Revision;
use hcfs_remote::memory::{Call, Fault, MemoryRemote, MemoryServer};
use hcfs_remote::*;
use proptest::prelude::*;
use support::{account, collect, folder, id, nonce, renames, upload};

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

fn server(tags: bool) -> MemoryServer {
    let server = MemoryServer::new(account());
    if !tags {
        server.set_capabilities(&[]);
    }
    server.set_page_rows(3);
    for name in NAMES {
        put(&server, name);
    }
    server
}

fn put(server: &MemoryServer, name: &str) -> Revision {
    let (manifest, blob) = upload(name, 1, 1, None);
    manifest.revision(server.upload(&manifest, blob).unwrap().revision_id)
}

fn ids(listing: Listing) -> Vec<hcfs_model::FileId> {
    let Listing::Complete { rows, .. } = listing else { panic!("unchanged") };
    rows.iter().map(|row| row.file_id().unwrap()).collect()
}

fn second_page(call: &Call) -> bool {
    matches!(call, Call::ListingPage { offset: 3, .. })
}

fn is_upload(call: &Call) -> bool {
    matches!(call, Call::Upload { .. })
}

fn is_download(call: &Call) -> bool {
    matches!(call, Call::Download { .. })
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, RemoteError>) -> RemoteErrorKind {
    outcome.unwrap_err().kind
}

#[tokio::test]
async fn a_deletion_between_two_pages_hides_no_row() {
    for tags in [true, false] {
        let server = server(tags);
        let remote = MemoryRemote::new(&server);
        // The first row goes, so the fourth would move onto the first page and never be seen.
        remote.before_next(second_page, |server| {
            let first = *server.files(folder()).keys().next().unwrap();
            server.delete(folder(), first, None).unwrap();
        });
        let listing = list_all(&remote, folder(), None).await.unwrap();
        assert_eq!(ids(listing), server.files(folder()).into_keys().collect::<Vec<_>>(), "tags: {tags}");
        assert_eq!(remote.take_calls().len(), 2 + 2, "begun again after the second page");
    }
}

#[tokio::test]
async fn a_replacement_between_two_pages_is_seen_without_tags_too() {
    let server = server(false);
    let remote = MemoryRemote::new(&server);
    // One goes and one comes, so the total says nothing; a row shows up twice.
    remote.before_next(second_page, |server| {
        let last = *server.files(folder()).keys().last().unwrap();
        server.delete(folder(), last, None).unwrap();
        let low = (0..)
            .map(|number| format!("x{number}"))
            .find(|name| id(name) < *server.files(folder()).keys().next().unwrap());
        put(server, &low.unwrap());
    });
    let listing = list_all(&remote, folder(), None).await.unwrap();
    assert_eq!(ids(listing), server.files(folder()).into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_that_moves_no_row_is_seen_by_the_tag() {
    let server = server(true);
    let remote = MemoryRemote::new(&server);
    remote.before_next(second_page, |server| {
        let first = *server.files(folder()).keys().next().unwrap();
        server.tamper(folder(), |files| files.get_mut(&first).unwrap().size = 77);
    });
    let Listing::Complete { rows, pages, .. } = list_all(&remote, folder(), None).await.unwrap() else { panic!() };
    assert!(matches!(&rows[0], ListedFile::File(row) if row.entry.size == 77));
    assert_eq!(pages, 2 + 3);
}

#[tokio::test]
async fn a_listing_that_never_stands_still_is_given_up() {
    let server = server(true);
    let remote = MemoryRemote::new(&server);
    for attempt in 1..=5_u64 {
        let mut pages = 0;
        let matches = move |call: &Call| {
            pages += u64::from(second_page(call));
            second_page(call) && pages == attempt
        };
        remote.before_next(matches, move |server| {
            server.tamper(folder(), |files| files.values_mut().next().unwrap().size = 100 + attempt);
        });
    }
    assert_eq!(kind(list_all(&remote, folder(), None).await), RemoteErrorKind::KeepsChanging);
    assert_eq!(remote.take_calls().len(), 5 * 2, "bounded");
    assert!(list_all(&remote, folder(), None).await.is_ok(), "now it stands still");
}

#[tokio::test]
async fn a_page_too_large_to_read_is_asked_for_in_smaller_ones() {
    let server = server(true);
    let remote = MemoryRemote::new(&server);
    remote.fail_next(|_| true, Fault::Refused(RemoteErrorKind::AnswerTooLarge));
    assert_eq!(ids(list_all(&remote, folder(), None).await.unwrap()).len(), NAMES.len());
    let limits: Vec<_> = remote
        .take_calls()
        .into_iter()
        .map(|call| match call {
            Call::ListingPage { limit, .. } => limit,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(limits, [5000, 1250, 1250, 1250]);
    remote.set_down(Some(RemoteErrorKind::AnswerTooLarge));
    assert_eq!(kind(list_all(&remote, folder(), None).await), RemoteErrorKind::AnswerTooLarge);
    assert!(remote.take_calls().len() < 10, "bounded");
}

#[tokio::test]
async fn an_unchanged_folder_costs_one_call() {
    let remote = MemoryRemote::new(&server(true));
    let Listing::Complete { tag, .. } = list_all(&remote, folder(), None).await.unwrap() else { panic!() };
    remote.take_calls();
    assert_eq!(list_all(&remote, folder(), tag.as_ref()).await.unwrap(), Listing::Unchanged);
    assert_eq!(remote.take_calls(), [Call::ListingPage { folder: folder(), offset: 0, limit: 5000, tagged: true }]);
}

#[tokio::test]
async fn two_devices_see_one_server_and_record_apart() {
    let server = server(true);
    let (one, two) = (MemoryRemote::new(&server), MemoryRemote::new(&server));
    let (manifest, blob) = upload("z", 1, 1, None);
    let revision = one.upload(&manifest, blob).await.unwrap().revision;
    assert_eq!(two.probe(folder(), id("z")).await.unwrap(), Some(revision));
    assert_eq!(one.take_calls(), [Call::Upload { file: id("z"), length: 49 }]);
    assert_eq!(two.take_calls(), [Call::Probe(id("z"))]);
}

#[tokio::test]
async fn the_same_requests_make_the_same_revisions() {
    let revisions = || server(true).files(folder()).values().map(|file| file.revision).collect::<Vec<_>>();
    assert_eq!(revisions(), revisions());
    let all = revisions();
    assert!(all.iter().enumerate().all(|(index, revision)| !all[..index].contains(revision)));
}

#[tokio::test]
async fn a_lost_answer_hides_what_was_done() {
    let server = server(true);
    let remote = MemoryRemote::new(&server);
    let (manifest, blob) = upload("z", 1, 7, None);
    remote.fail_next(is_upload, Fault::AnswerLost);
    assert_eq!(kind(remote.upload(&manifest, blob.clone()).await), RemoteErrorKind::Ambiguous);
    let done = server.file(folder(), id("z")).unwrap().revision;
    assert_eq!(confirm_upload(&remote, &manifest, &nonce(7)).await.unwrap(), Some(done));
    assert_eq!(kind(remote.upload(&manifest, blob).await), RemoteErrorKind::Conflict { current: Some(done) });
    remote.fail_next(|call| matches!(call, Call::Delete(_)), Fault::AnswerLost);
    assert_eq!(kind(remote.delete(folder(), id("z"), done).await), RemoteErrorKind::Unavailable);
    assert_eq!(remote.delete(folder(), id("z"), done).await.unwrap(), Deleted::WasGone);
    let a = server.file(folder(), id("a")).unwrap().revision;
    remote.fail_next(|call| matches!(call, Call::Rename { .. }), Fault::AnswerLost);
    assert_eq!(kind(remote.rename(&renames(&[("a", "y", a)])).await), RemoteErrorKind::Ambiguous);
    assert!(server.file(folder(), id("y")).is_some());
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_server() {
    let server = server(true);
    let remote = MemoryRemote::new(&server);
    let quota = RemoteErrorKind::OverQuota { balance: None, required: None };
    let kinds = [RemoteErrorKind::Unauthorized, quota, RemoteErrorKind::NotHcfs, RemoteErrorKind::Unavailable];
    for expected in &kinds {
        remote.fail_next(is_upload, Fault::Refused(expected.clone()));
    }
    let (manifest, blob) = upload("z", 1, 1, None);
    for expected in kinds {
        assert_eq!(kind(remote.upload(&manifest, blob.clone()).await), expected, "one fault for each request");
        assert_eq!(server.file(folder(), id("z")), None);
    }
    assert_eq!(remote.pending_faults(), 0);
    remote.set_down(Some(RemoteErrorKind::Unreachable(ConnectFailure::Dns)));
    assert_eq!(kind(remote.health().await), RemoteErrorKind::Unreachable(ConnectFailure::Dns));
    remote.set_down(None);
    remote.upload(&manifest, blob).await.unwrap();
}

#[tokio::test]
async fn bodies_are_cut_and_altered_as_asked() {
    let server = MemoryServer::new(account());
    let remote = MemoryRemote::new(&server);
    let (manifest, blob) = upload("z", 200_000, 5, None);
    let revision = remote.upload(&manifest, blob.clone()).await.unwrap().revision;
    let expected = Expected { revision, size: 200_000 };
    remote.fail_next(is_download, Fault::CutAfter(70_000));
    let mut download = remote.download(folder(), id("z"), &expected, None).await.unwrap();
    let (mut received, mut end) = (0, None);
    while let Some(piece) = futures_util::StreamExt::next(&mut download.body).await {
        match piece {
            Ok(piece) => received += piece.len(),
            Err(error) => end = Some(error.kind),
        }
    }
    assert_eq!((received, end), (70_000, Some(RemoteErrorKind::Unavailable)));
    remote.fail_next(is_download, Fault::Flipped(99_999));
    let altered = collect(remote.download(folder(), id("z"), &expected, None).await.unwrap()).await.unwrap();
    let differing: Vec<_> = (0..blob.len()).filter(|at| altered[*at] != blob[*at]).collect();
    assert_eq!(differing, [99_999]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens between the pages, a listing that is given out is one the server had.
    #[test]
    fn a_listing_is_a_state_the_server_was_in(
        changes in proptest::collection::vec((0_usize..6, 0_usize..3, 0_usize..9), 0..8),
        rows in 1_u32..4,
    ) {
        let server = server(true);
        server.set_page_rows(rows);
        let states = std::sync::Arc::new(std::sync::Mutex::new(vec![server.files(folder())]));
        let remote = MemoryRemote::new(&server);
        for (request, what, which) in changes {
            let (states, mut left) = (std::sync::Arc::clone(&states), request);
            let matches = move |_: &Call| {
                let due = left == 0;
                left = left.wrapping_sub(1);
                due
            };
            remote.before_next(matches, move |server| {
                let name = format!("n{which}");
                let known = server.files(folder());
                match (what, known.keys().nth(which)) {
                    (0, Some(file)) => server.delete(folder(), *file, None).unwrap(),
                    (1, Some(file)) => {
                        server.tamper(folder(), |files| files.get_mut(file).unwrap().size += 1);
                    }
                    _ if !known.contains_key(&id(&name)) => drop(put(server, &name)),
                    _ => {}
                }
                states.lock().unwrap().push(server.files(folder()));
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(list_all(&remote, folder(), None)) {
            Ok(Listing::Complete { rows, .. }) => {
                let listed: std::collections::BTreeMap<_, _> = rows
                    .iter()
                    .map(|row| match row {
                        ListedFile::File(row) => (row.entry.file_id, row.entry.clone()),
                        ListedFile::Broken(row) => panic!("{row:?}"),
                    })
                    .collect();
                let states = states.lock().unwrap();
                let found = states.iter().any(|state| {
                    state.len() == listed.len()
                        && state.iter().all(|(file, stored)| listed.get(file) == Some(&stored.remote_entry(*file)))
                });
                prop_assert!(found);
            }
            Ok(Listing::Unchanged) => prop_assert!(false, "no tag was given"),
            Err(error) => prop_assert_eq!(error.kind, RemoteErrorKind::KeepsChanging),
        }
    }
}
