//! Pauses, stops and crashes at awkward moments, and who waits meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::time::Duration;

use hcfs_engine::{CommandError, FolderState};
use hcfs_model::{ProblemCode, RelPath, blob};
use hcfs_remote::memory::{Call, Fault};
use hcfs_remote::{ConnectFailure, RemoteErrorKind};
use kit::{Device, bytes, folder, id, server};

const REFUSED: RemoteErrorKind = RemoteErrorKind::Unreachable(ConnectFailure::Refused);

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.unwrap()
}

fn uploads(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::Upload { .. } | Call::OpenSession(_))).count()
}

fn downloads(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::Download { .. })).count()
}

#[tokio::test]
async fn who_waits_for_a_sync_is_answered_by_a_pause() {
    let server = server();
    let (a, noise) = Device::gated("a", &server);
    a.settle().await;
    noise.hold_uploads();
    a.write("file", "1");
    let handle = a.handle().clone();
    let waiting = tokio::spawn(async move { handle.sync().await });
    a.until(|status| !status.transfers.is_empty()).await;
    a.handle().pause().await.unwrap();
    assert_eq!(within(waiting).await.unwrap().unwrap().state, FolderState::Paused);
    assert_eq!(a.sync().await.state, FolderState::Paused);
    noise.let_uploads(10);
    a.handle().resume().await.unwrap();
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_sync_is_told_of_the_end() {
    let server = server();
    let (mut a, noise) = Device::gated("a", &server);
    a.settle().await;
    noise.hold_uploads();
    a.write("file", "1");
    let handle = a.handle().clone();
    let waiting = tokio::spawn(async move { handle.sync().await });
    a.until(|status| !status.transfers.is_empty()).await;
    a.stop().await;
    assert!(matches!(within(waiting).await.unwrap(), Err(CommandError::Stopped)));
}

#[tokio::test]
async fn a_paused_folder_still_answers_what_it_is_asked() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("file", "content");
    a.settle().await;
    a.handle().pause().await.unwrap();
    a.until(|status| status.state == FolderState::Paused).await;
    assert_eq!(a.handle().list(None).await.unwrap().len(), 1);
    let mut file = a.handle().read(path("file"), None).await.unwrap();
    assert_eq!(file.content.recv().await.unwrap().unwrap().as_ref(), b"content");
    a.write("other", "waits");
    assert_eq!(a.handle().dry_run().await.unwrap().actions().count(), 1);
    a.handle().rename(path("file"), path("moved")).await.unwrap();
    assert_eq!(a.handle().status().borrow().state, FolderState::Paused);
    assert_eq!(a.tree().keys().collect::<Vec<_>>(), ["file", "other"]);
    a.handle().resume().await.unwrap();
    a.settle().await;
    assert_eq!(a.tree().keys().collect::<Vec<_>>(), ["moved", "other"]);
}

#[tokio::test]
async fn a_command_waits_for_one_transfer_and_not_for_all() {
    let server = server();
    let (a, noise) = Device::gated("a", &server);
    a.settle().await;
    noise.hold_uploads();
    for number in 0..20 {
        a.write(&format!("{number}"), "1");
    }
    let handle = a.handle().clone();
    let syncing = tokio::spawn(async move { handle.sync().await });
    a.until(|status| !status.transfers.is_empty()).await;
    let handle = a.handle().clone();
    let asked = tokio::spawn(async move { handle.list(None).await });
    // The log is answered at once, and shows that the question before it was taken.
    a.handle().log(0, 1).await.unwrap();
    noise.let_uploads(1);
    let listed = within(asked).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1);
    noise.let_uploads(100);
    assert_eq!(within(syncing).await.unwrap().unwrap().state, FolderState::Idle);
    assert_eq!(server.files(folder()).len(), 20);
}

#[tokio::test]
async fn a_folder_that_was_let_go_can_be_started_again_at_once() {
    let server = server();
    let mut a = Device::new("a", &server);
    for round in 0..5 {
        for number in 0..30 {
            a.write(&format!("{number}"), format!("{round}"));
        }
        a.handle().scan(true).await.unwrap();
        a.until(|status| status.pending > 0).await;
        a.abandon().await;
        a.start();
    }
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 30);
}

#[tokio::test]
async fn trouble_in_the_middle_of_a_cycle_is_over_when_the_server_is_back() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(|call| matches!(call, Call::Upload { .. }), Fault::Refused(REFUSED));
    a.write("file", "1");
    a.until(|status| status.state == FolderState::Offline).await;
    // Nobody asks for it, and the next look at the server is an hour away.
    a.until(|status| status.state == FolderState::Idle && status.synced_files == 1).await;
}

#[tokio::test]
async fn what_was_done_on_disk_and_not_recorded_is_found_and_not_done_again() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    for name in ["replaced", "renamed", "deleted", "same"] {
        a.write(name, name);
    }
    a.settle().await;
    b.settle().await;
    b.stop().await;
    a.write("replaced", "new content");
    a.rename("renamed", "new/name");
    a.delete("deleted");
    a.write("added", "added");
    a.settle().await;
    // As if the process had died right after it had done the same here.
    b.write("replaced", "new content");
    b.rename("renamed", "new/name");
    b.delete("deleted");
    b.write("added", "added");
    let before = server.files(folder());
    b.remote.take_calls();
    b.start();
    b.settle().await;
    let calls = b.remote.take_calls();
    assert_eq!((uploads(&calls), downloads(&calls)), (0, 0), "{calls:?}");
    assert!(server.files(folder()) == before);
    assert!(b.handle().conflicts().await.unwrap().is_empty());
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn what_was_done_there_and_not_recorded_is_found_and_not_done_again() {
    let server = server();
    let (mut a, b) = (Device::new("a", &server), Device::new("b", &server));
    for name in ["edited", "renamed", "deleted"] {
        a.write(name, name);
    }
    a.settle().await;
    b.settle().await;
    a.stop().await;
    // What a sent before it died, done by b.
    b.write("edited", "edited, and more");
    b.rename("renamed", "new/name");
    b.delete("deleted");
    b.settle().await;
    a.write("edited", "edited, and more");
    a.rename("renamed", "new/name");
    a.delete("deleted");
    let before = server.files(folder());
    a.remote.take_calls();
    a.start();
    a.settle().await;
    let calls = a.remote.take_calls();
    assert_eq!((uploads(&calls), downloads(&calls)), (0, 0), "{calls:?}");
    assert!(server.files(folder()) == before);
    assert!(a.handle().conflicts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_to_renames_moves_no_content() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    for number in 0..30 {
        a.write(&format!("old/{number}"), format!("{number}"));
    }
    a.settle().await;
    b.settle().await;
    for fault in [Fault::AnswerLost, Fault::Refused(RemoteErrorKind::Unavailable)] {
        a.remote.take_calls();
        b.remote.take_calls();
        a.remote.fail_next(|call| matches!(call, Call::Rename { .. }), fault.clone());
        if fault == Fault::AnswerLost {
            a.rename("old", "new");
        } else {
            a.rename("new", "old");
        }
        if fault != Fault::AnswerLost {
            assert_eq!(a.sync().await.problems[0].code, ProblemCode::ServerError);
        }
        a.settle().await;
        b.settle().await;
        assert_eq!(a.tree(), b.tree());
        for device in [&a, &b] {
            let calls = device.remote.take_calls();
            assert_eq!((uploads(&calls), downloads(&calls)), (0, 0), "{fault:?}: {calls:?}");
        }
    }
}

#[tokio::test]
async fn a_swap_that_stopped_in_the_middle_comes_to_its_end() {
    for steps in 1..=2 {
        let server = server();
        let (mut a, b) = (Device::new("a", &server), Device::new("b", &server));
        a.write("x", "first");
        a.write("y", "second");
        a.settle().await;
        b.settle().await;
        a.rename("x", "z");
        a.rename("y", "x");
        a.rename("z", "y");
        let mut seen = 0;
        let is_late = move |call: &Call| {
            seen += usize::from(matches!(call, Call::Rename { .. }));
            seen == steps
        };
        a.remote.fail_next(is_late, Fault::Refused(REFUSED));
        assert_eq!(a.sync().await.state, FolderState::Offline);
        // The other device may see what is half done.
        b.sync().await;
        a.remote.take_calls();
        a.restart().await;
        a.settle().await;
        b.settle().await;
        assert_eq!(uploads(&a.remote.take_calls()), 0);
        assert_eq!((a.read("x"), a.read("y")), (b"second".to_vec(), b"first".to_vec()));
        assert_eq!((a.tree().len(), a.tree() == b.tree()), (2, true), "{:?}", b.tree());
    }
}

/// A device with a download that broke off, its part staged.
async fn interrupted(a: &Device, b: &mut Device) {
    a.write("large", bytes(20 * 1024 * 1024, 1));
    a.settle().await;
    b.remote.fail_next(|call| matches!(call, Call::Download { .. }), Fault::CutAfter(40 * blob::FRAME));
    b.remote.fail_next(|call| matches!(call, Call::Download { bytes: Some(_), .. }), Fault::Refused(REFUSED));
    b.start();
    b.until(|status| status.state == FolderState::Offline).await;
    b.stop().await;
    assert_eq!(b.staged().len(), 1);
}

#[tokio::test]
async fn a_staged_part_that_nothing_is_wanted_of_any_more_goes() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    b.stop().await;
    interrupted(&a, &mut b).await;
    a.delete("large");
    a.settle().await;
    b.start();
    b.settle().await;
    assert!(b.staged().is_empty());
}

#[tokio::test]
async fn a_session_opened_on_a_version_that_was_replaced_is_given_up() {
    let server = server();
    let (mut a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("large", "small yet");
    a.settle().await;
    b.settle().await;
    let content = bytes(20 * 1024 * 1024, 2);
    a.remote.fail_next(|call| matches!(call, Call::PutPart { index: 1, .. }), Fault::Refused(REFUSED));
    a.write("large", &content);
    a.until(|status| status.state == FolderState::Offline).await;
    a.stop().await;
    b.delete("large");
    b.settle().await;
    a.start();
    a.settle().await;
    b.settle().await;
    assert_eq!(b.read("large"), content);
}

#[tokio::test]
async fn a_staged_part_of_an_older_version_goes() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    b.stop().await;
    interrupted(&a, &mut b).await;
    a.write("large", "small now");
    a.settle().await;
    b.start();
    b.settle().await;
    assert!(b.staged().is_empty());
    assert_eq!(b.read("large"), b"small now");
}

#[tokio::test]
async fn a_staged_part_that_vanished_is_fetched_again() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    b.stop().await;
    interrupted(&a, &mut b).await;
    for name in b.staged() {
        std::fs::remove_file(b.root().join(".hcfs/staged").join(name)).unwrap();
    }
    b.start();
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_version_that_is_fetched_and_deleted_meanwhile_is_no_problem() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    a.write("gone", "1");
    a.write("stays", "1");
    a.settle().await;
    b.remote.before_next(
        |call| matches!(call, Call::Download { .. }),
        |server| server.delete(folder(), id("gone"), None).unwrap(),
    );
    b.settle().await;
    assert_eq!(b.tree().keys().collect::<Vec<_>>(), ["stays"]);
}

#[tokio::test]
async fn a_sync_ends_when_what_another_device_was_faster_with_is_settled() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.settle().await;
    b.settle().await;
    for _ in 0..2 {
        let conflict = RemoteErrorKind::Conflict { current: None };
        a.remote.fail_next(|call| matches!(call, Call::Upload { .. }), Fault::Refused(conflict));
    }
    a.write("file", "1");
    // The first refusal is tried again at once, the second after a moment.
    a.settle().await;
    assert_eq!(a.remote.pending_faults(), 0);
}

#[tokio::test]
async fn a_pause_between_downloads_and_a_change_of_mind_lose_nothing() {
    let server = server();
    let a = Device::new("a", &server);
    for number in 0..10 {
        a.write(&format!("{number}"), format!("{number}"));
    }
    a.settle().await;
    let (b, noise) = Device::gated("b", &server);
    noise.hold_downloads();
    b.until(|status| !status.transfers.is_empty()).await;
    noise.let_downloads(3);
    b.until(|status| status.received >= 3 && !status.transfers.is_empty()).await;
    b.handle().pause().await.unwrap();
    b.until(|status| status.state == FolderState::Paused && status.transfers.is_empty()).await;
    assert_eq!(b.tree().len(), 3);
    b.delete(b.tree().keys().next().unwrap());
    noise.let_downloads(100);
    b.handle().resume().await.unwrap();
    b.settle().await;
    a.settle().await;
    assert_eq!((b.tree().len(), a.tree() == b.tree()), (9, true));
}
