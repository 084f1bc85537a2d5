//! What can go wrong on the way, and that nothing is lost by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hcfs_engine::{FolderState, StartError};
use hcfs_model::{ProblemCode, blob};
use hcfs_remote::RemoteErrorKind;
use hcfs_remote::memory::{Call, Fault};
use kit::{Device, bytes, folder, id, server};

const LARGE: usize = 20 * 1024 * 1024;

#[tokio::test]
async fn a_lost_answer_to_an_upload_makes_no_second_version() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    for (name, length) in [("small", 1000), ("large", LARGE)] {
        a.remote.fail_next(|call| matches!(call, Call::Upload { .. } | Call::Finalize(_)), Fault::AnswerLost);
        a.write(name, bytes(length, 3));
        a.settle().await;
        assert_eq!(a.remote.pending_faults(), 0);
        assert_eq!(server.file(folder(), id(name)).unwrap().revision.seq, 1);
    }
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_in_its_session_after_a_restart() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(
        |call| matches!(call, Call::PutPart { index: 2, .. }),
        Fault::Refused(RemoteErrorKind::Unreachable(hcfs_remote::ConnectFailure::Refused)),
    );
    a.write("large", bytes(LARGE, 4));
    let status = a.until(|status| status.state == FolderState::Offline).await;
    assert!(status.trouble.is_some());
    a.stop().await;
    a.remote.take_calls();
    a.start();
    a.settle().await;
    let calls = a.remote.take_calls();
    let parts: Vec<u32> = calls
        .iter()
        .filter_map(|call| match call {
            Call::PutPart { index, .. } => Some(*index),
            _ => None,
        })
        .collect();
    assert!(!calls.iter().any(|call| matches!(call, Call::OpenSession(_))), "{calls:?}");
    assert!(parts.contains(&2) && parts.len() < 3, "{parts:?}");
    let b = Device::new("b", &server);
    b.settle().await;
    assert_eq!(b.read("large"), bytes(LARGE, 4));
}

#[tokio::test]
async fn a_session_is_not_continued_with_another_content() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(
        |call| matches!(call, Call::PutPart { index: 1, .. }),
        Fault::Refused(RemoteErrorKind::Unreachable(hcfs_remote::ConnectFailure::Refused)),
    );
    a.write("large", bytes(LARGE, 5));
    a.until(|status| status.state == FolderState::Offline).await;
    a.stop().await;
    // The same length and time of change, so that only the content tells.
    let path = a.root().join("large");
    let meta = std::fs::metadata(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"another", 100).unwrap();
    file.set_modified(meta.modified().unwrap()).unwrap();
    drop(file);
    a.start();
    a.settle().await;
    let b = Device::new("b", &server);
    b.settle().await;
    assert_eq!(b.read("large"), a.read("large"));
}

#[tokio::test]
async fn a_download_that_is_cut_goes_on_at_the_frame_it_reached() {
    let server = server();
    let a = Device::new("a", &server);
    // Below what comes over several connections.
    a.write("large", bytes(12 * 1024 * 1024, 6));
    a.settle().await;
    let b = Device::new("b", &server);
    let cut = 9 * blob::FRAME + 1000;
    b.remote.fail_next(|call| matches!(call, Call::Download { .. }), Fault::CutAfter(cut));
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    let ranges: Vec<_> = b
        .remote
        .take_calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Download { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    let [None, Some(rest)] = &ranges[..] else { panic!("{ranges:?}") };
    assert!(rest.start >= blob::HEADER + 4 * blob::FRAME, "{rest:?}");
}

#[tokio::test]
async fn a_damaged_blob_is_never_put_in_place() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("file", bytes(600_000, 7));
    a.settle().await;
    let b = Device::new("b", &server);
    b.remote.fail_next(|call| matches!(call, Call::Download { .. }), Fault::Flipped(400_000));
    let status = b.sync().await;
    assert_eq!(status.problems[0].code, ProblemCode::Damaged);
    assert_eq!(status.state, FolderState::Attention);
    assert!(b.tree().is_empty());
    // Asked again, it heals.
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
}

#[tokio::test]
async fn files_a_server_swaps_or_shortens_are_refused() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("one", "first content");
    a.write("two", "other content");
    a.settle().await;
    server.tamper(folder(), |files| {
        let blob = files[&id("one")].blob.clone();
        files.get_mut(&id("two")).unwrap().blob = blob;
    });
    let b = Device::new("b", &server);
    let status = b.sync().await;
    assert_eq!(b.tree().keys().collect::<Vec<_>>(), ["one"]);
    assert_eq!(status.problems[0].code, ProblemCode::Damaged);
}

#[tokio::test]
async fn a_row_that_is_only_missing_from_the_listing_deletes_nothing() {
    let server = server();
    server.set_capabilities(&[]);
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("stays", "1");
    a.write("other", "1");
    a.settle().await;
    b.settle().await;
    // The probe finds what the listing hides.
    b.remote.before_next(
        |call| matches!(call, Call::ListingPage { .. }),
        |server| {
            server.tamper(folder(), |files| {
                files.remove(&id("stays"));
            });
        },
    );
    let kept = server.file(folder(), id("stays")).unwrap();
    b.remote.before_next(
        |call| matches!(call, Call::Probe(_)),
        move |server| server.tamper(folder(), |files| drop(files.insert(id("stays"), kept))),
    );
    b.sync().await;
    assert_eq!(b.read("stays"), b"1");
    b.settle().await;
    assert_eq!(b.tree().len(), 2);
}

#[tokio::test]
async fn many_deletions_wait_and_can_be_accepted_or_restored() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    for number in 0..60 {
        a.write(&format!("d/{number}"), format!("{number}"));
    }
    a.write("stays", "1");
    a.settle().await;
    b.settle().await;
    a.delete("d");
    a.write("stays", "2");
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (FolderState::Held, 1), "{status:#?}");
    assert_eq!(server.files(folder()).len(), 61);
    // Everything else goes on.
    b.settle().await;
    assert_eq!(b.read("stays"), b"2");
    let held = a.handle().holds().await.unwrap();
    assert_eq!((held[0].count, held[0].examples.len()), (60, 10));
    a.handle().settle_hold(held[0].id, false).await.unwrap();
    a.settle().await;
    assert_eq!(a.tree(), b.tree());

    a.delete("d");
    a.sync().await;
    let held = a.handle().holds().await.unwrap();
    a.handle().settle_hold(held[0].id, true).await.unwrap();
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 1);
    let status = b.sync().await;
    assert_eq!(status.state, FolderState::Held);
    assert_eq!(b.tree().len(), 61);
    let held = b.handle().holds().await.unwrap();
    b.handle().settle_hold(held[0].id, true).await.unwrap();
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    assert_eq!(b.trash().len(), 61);
}

#[tokio::test]
async fn a_folder_the_server_forgot_is_not_emptied() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("file", "1");
    a.settle().await;
    server.unregister(folder()).unwrap();
    let status = a.sync().await;
    assert_eq!(status.state, FolderState::Held);
    assert!(status.trouble.as_ref().unwrap().0.contains("does not know the folder"), "{status:?}");
    assert_eq!(a.read("file"), b"1");
}

#[tokio::test]
async fn an_edit_between_plan_and_replacement_is_kept_beside() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "base");
    a.settle().await;
    b.settle().await;
    a.write("file", "from a");
    a.settle().await;
    let target = b.root().join("file");
    let written = Arc::new(AtomicBool::new(false));
    let by = Arc::clone(&written);
    b.remote.before_next(
        |call| matches!(call, Call::Download { .. }),
        move |_| {
            std::fs::write(&target, "edited at the last moment").unwrap();
            by.store(true, Ordering::SeqCst);
        },
    );
    b.sync().await;
    b.sync().await;
    assert!(written.load(Ordering::SeqCst));
    let contents: Vec<Vec<u8>> = b.tree().into_values().collect();
    assert!(contents.contains(&b"edited at the last moment".to_vec()), "{:?}", b.tree());
    assert!(contents.contains(&b"from a".to_vec()));
}

#[tokio::test]
async fn a_wrong_token_stops_the_folder_once_and_a_right_one_starts_it() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    a.remote.set_down(Some(RemoteErrorKind::Unauthorized));
    for number in 0..20 {
        a.write(&format!("{number}"), "1");
    }
    let status = a.sync().await;
    assert_eq!(status.state, FolderState::Unauthorised);
    assert!(status.problems.is_empty());
    a.remote.set_down(None);
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 20);
}

#[tokio::test]
async fn over_quota_stops_uploads_only() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "1");
    a.settle().await;
    b.settle().await;
    server.set_quota(Some(10));
    a.write("too much", bytes(1000, 1));
    let status = a.sync().await;
    assert_eq!(status.state, FolderState::OverQuota);
    b.write("file", "22");
    b.settle().await;
    a.sync().await;
    assert_eq!(a.read("file"), b"22");
}

#[tokio::test]
async fn a_pause_in_a_transfer_keeps_what_has_arrived() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("large", bytes(LARGE, 8));
    a.settle().await;
    let mut b = Device::new("b", &server);
    let reached = 40 * blob::FRAME;
    b.remote.fail_next(|call| matches!(call, Call::Download { .. }), Fault::CutAfter(reached));
    b.remote.fail_next(
        |call| matches!(call, Call::Download { bytes: Some(_), .. }),
        Fault::Refused(RemoteErrorKind::Unreachable(hcfs_remote::ConnectFailure::Refused)),
    );
    b.until(|status| status.state == FolderState::Offline).await;
    b.handle().pause().await.unwrap();
    b.until(|status| status.state == FolderState::Paused).await;
    b.remote.take_calls();
    b.restart().await;
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    let whole = |call: &Call| matches!(call, Call::Download { bytes: None, .. });
    assert!(!b.remote.take_calls().iter().any(whole));
}

#[tokio::test]
async fn a_lost_or_damaged_database_deletes_nothing() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    for name in ["one", "two", "three"] {
        a.write(name, name);
    }
    a.settle().await;
    b.settle().await;
    b.stop().await;
    std::fs::write(b.database(), "this is no database").unwrap();
    a.delete("one");
    a.write("two", "2");
    a.settle().await;
    b.start();
    b.sync().await;
    b.sync().await;
    a.sync().await;
    // Without a base the deletion cannot be told from a new file: the file stays.
    assert_eq!(b.read("one"), b"one");
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_root_that_is_not_the_one_it_was_stops_the_folder() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("file", "1");
    a.settle().await;
    let (root, away) = (a.root(), a.place.path().join("away"));
    std::fs::rename(&root, &away).unwrap();
    assert_eq!(a.sync().await.state, FolderState::Halted);
    std::fs::create_dir(&root).unwrap();
    assert_eq!(a.sync().await.state, FolderState::Halted);
    assert_eq!(server.files(folder()).len(), 1);
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    a.settle().await;
    a.stop().await;
}

#[tokio::test]
async fn a_second_instance_is_refused() {
    let server = server();
    let a = Device::new("a", &server);
    let spec = hcfs_engine::FolderSpec { database: a.place.path().join("other.db"), ..a.spec() };
    let remote = Arc::new(a.remote);
    let second = hcfs_engine::start(spec, kit::owner(), remote, Arc::new(hcfs_engine::SystemClock), &[]);
    assert!(matches!(second, Err(StartError::Root(hcfs_fs::RootError::HeldBy { .. }))));
}

#[tokio::test]
async fn what_cannot_be_synced_is_a_problem_and_nothing_else_waits_for_it() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("file", "1");
    std::os::unix::fs::symlink("file", a.root().join("link")).unwrap();
    let status = a.sync().await;
    assert_eq!((status.state, status.problems[0].code), (FolderState::Attention, ProblemCode::Symlink));
    assert_eq!(server.files(folder()).len(), 1);
    a.delete("link");
    a.settle().await;
}

#[tokio::test]
async fn an_ignore_rule_for_a_synced_file_deletes_it_nowhere() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("build/out.o", "1");
    a.write("source", "1");
    a.settle().await;
    b.settle().await;
    a.write(".hcfsignore", "build/\n");
    a.settle().await;
    a.write("build/out.o", "2");
    a.settle().await;
    b.settle().await;
    assert_eq!(b.read("build/out.o"), b"1");
    assert_eq!(a.read("build/out.o"), b"2");
}

#[tokio::test]
async fn an_older_version_than_one_seen_is_not_taken() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "1");
    a.settle().await;
    let old = server.file(folder(), id("file")).unwrap();
    a.write("file", "2");
    a.settle().await;
    b.settle().await;
    server.tamper(folder(), |files| drop(files.insert(id("file"), old)));
    let status = b.sync().await;
    assert_eq!(status.problems[0].code, ProblemCode::Rollback);
    assert_eq!(b.read("file"), b"2");
}

#[tokio::test]
async fn a_file_made_again_is_no_rollback() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "1");
    a.settle().await;
    a.write("file", "2");
    a.settle().await;
    b.settle().await;
    a.delete("file");
    a.settle().await;
    a.write("file", "3");
    a.settle().await;
    b.settle().await;
    assert_eq!(b.read("file"), b"3");
}
