//! What a person is asked, and what becomes of the answers: conflicts, holds, and folders that go one way only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::sync::Arc;

use hcfs_engine::{FolderState, FolderStatus};
use hcfs_model::ProblemCode;
use hcfs_plan::{Mode, Resolution};
use hcfs_remote::RemoteErrorKind;
use hcfs_remote::memory::{Call, Fault, MemoryServer};
use kit::{Device, folder, id, server};

/// Two devices that agree on "file", then change it each in its way; the second leaves conflicts open.
async fn conflicting(server: &MemoryServer) -> (Device, Device) {
    let a = Device::new("a", server);
    let b = Device::with("b", server, |spec| spec.conflicts = Resolution::Skip);
    a.write("file", "base");
    a.settle().await;
    b.settle().await;
    a.write("file", "from a");
    b.write("file", "from b");
    a.settle().await;
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    assert_eq!(b.read("file"), b"from b");
    (a, b)
}

async fn resolve(device: &Device, resolution: Resolution) -> Arc<FolderStatus> {
    let open = device.handle().conflicts().await.unwrap();
    device.handle().resolve(open[0].id, resolution).await.unwrap();
    device.sync().await
}

fn contents(device: &Device) -> Vec<String> {
    device.tree().into_values().map(|content| String::from_utf8(content).unwrap()).collect()
}

#[tokio::test]
async fn an_open_conflict_ends_as_it_is_resolved() {
    let ways: [(Resolution, &[&str]); 3] = [
        (Resolution::KeepLocal, &["from b"]),
        (Resolution::AcceptRemote, &["from a"]),
        (Resolution::KeepBoth, &["from a", "from b"]),
    ];
    for (way, expected) in ways {
        let server = server();
        let (a, b) = conflicting(&server).await;
        assert_eq!(resolve(&b, Resolution::Skip).await.conflicts, 1);
        let status = resolve(&b, way).await;
        assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0), "{way:?}: {status:#?}");
        a.settle().await;
        assert_eq!(a.tree(), b.tree(), "{way:?}");
        let mut found = contents(&b);
        found.sort();
        assert_eq!(found, expected, "{way:?}");
    }
}

#[tokio::test]
async fn an_answer_survives_a_restart() {
    let server = server();
    let (a, mut b) = conflicting(&server).await;
    b.remote.set_down(Some(RemoteErrorKind::Unavailable));
    resolve(&b, Resolution::KeepLocal).await;
    b.remote.set_down(None);
    b.restart().await;
    b.settle().await;
    a.settle().await;
    assert_eq!((contents(&a), contents(&b)), (vec!["from b".to_owned()], vec!["from b".to_owned()]));
}

#[tokio::test]
async fn an_answer_counts_for_the_versions_that_were_shown() {
    let server = server();
    let (a, b) = conflicting(&server).await;
    b.remote.set_down(Some(RemoteErrorKind::Unavailable));
    resolve(&b, Resolution::KeepLocal).await;
    a.write("file", "from a, later");
    a.settle().await;
    b.remote.set_down(None);
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    a.settle().await;
    assert_eq!((contents(&a), contents(&b)), (vec!["from a, later".to_owned()], vec!["from b".to_owned()]));
}

#[tokio::test]
async fn a_kept_copy_ends_as_it_is_resolved() {
    let ways: [(Resolution, &[&str]); 3] = [
        (Resolution::KeepLocal, &["from b"]),
        (Resolution::AcceptRemote, &["from a"]),
        (Resolution::KeepBoth, &["from a", "from b"]),
    ];
    for (way, expected) in ways {
        let server = server();
        let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
        b.stop().await;
        a.write("new", "from a");
        b.write("new", "from b");
        a.settle().await;
        b.start();
        assert_eq!(b.sync().await.conflicts, 1);
        // It stays open over a restart.
        b.restart().await;
        assert_eq!(b.sync().await.conflicts, 1);
        let status = resolve(&b, way).await;
        assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0), "{way:?}: {status:#?}");
        a.settle().await;
        assert_eq!(a.tree(), b.tree(), "{way:?}");
        let mut found = contents(&b);
        found.sort();
        assert_eq!(found, expected, "{way:?}");
    }
}

/// Two devices whose second keeps its version of "new" as a copy.
async fn with_a_copy(server: &MemoryServer) -> (Device, Device, String) {
    let (a, mut b) = (Device::new("a", server), Device::new("b", server));
    b.stop().await;
    server.set_now(1_000_000);
    a.write("new", "from a");
    b.write("new", "from b, longer");
    a.settle().await;
    b.start();
    assert_eq!(b.sync().await.conflicts, 1);
    let copy = b.tree().into_keys().find(|name| name.contains("conflict")).unwrap();
    (a, b, copy)
}

#[tokio::test]
async fn a_conflict_shows_both_sides_with_size_time_and_device() {
    let server = server();
    let (_a, b, copy) = with_a_copy(&server).await;
    let open = b.handle().conflicts().await.unwrap();
    let [conflict] = open.as_slice() else { panic!("{open:#?}") };
    assert_eq!((conflict.path.as_str(), conflict.copy.as_ref().unwrap().as_str()), ("new", copy.as_str()));
    let here = conflict.local.as_ref().unwrap();
    let changed = std::fs::metadata(b.root().join(&copy)).unwrap().modified().unwrap();
    let changed = i64::try_from(changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    assert_eq!((here.size, here.at.unwrap().0, here.device.as_deref()), (14, changed, Some("b")));
    let there = conflict.remote.as_ref().unwrap();
    assert_eq!((there.size, there.at.unwrap().seconds()), (6, 1_000_000));
}

#[tokio::test]
async fn a_skipped_conflict_is_not_asked_again_and_can_still_be_resolved() {
    for is_copy in [true, false] {
        let server = server();
        let (a, mut b) = if is_copy {
            let (a, b, _) = with_a_copy(&server).await;
            (a, b)
        } else {
            conflicting(&server).await
        };
        resolve(&b, Resolution::Skip).await;
        for _ in 0..2 {
            let open = b.handle().conflicts().await.unwrap();
            assert_eq!(open.iter().map(|one| one.is_skipped).collect::<Vec<_>>(), [true], "{is_copy}");
            b.restart().await;
            assert_eq!(b.sync().await.conflicts, 1);
        }
        let status = resolve(&b, Resolution::KeepLocal).await;
        assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0), "{is_copy}: {status:#?}");
        a.settle().await;
        assert_eq!(a.tree(), b.tree());
    }
}

#[tokio::test]
async fn nothing_is_asked_twice_after_an_answer_and_both_sides_moving_on() {
    for way in [Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth] {
        let server = server();
        let (a, mut b, copy) = with_a_copy(&server).await;
        resolve(&b, way).await;
        a.settle().await;
        a.write("new", "a goes on");
        a.settle().await;
        b.settle().await;
        b.write("new", "b goes on");
        b.restart().await;
        b.settle().await;
        assert!(b.handle().conflicts().await.unwrap().is_empty(), "{way:?}");
        a.settle().await;
        assert_eq!(a.tree(), b.tree(), "{way:?}");
        assert_eq!(b.root().join(&copy).exists(), way == Resolution::KeepBoth, "{way:?}");
    }
}

#[tokio::test]
async fn an_answer_takes_the_copy_as_it_is_at_that_moment() {
    let server = server();
    let (a, b, copy) = with_a_copy(&server).await;
    let id = b.handle().conflicts().await.unwrap()[0].id;
    b.write(&copy, "edited a moment ago, longer than before");
    b.handle().resolve(id, Resolution::KeepLocal).await.unwrap();
    b.settle().await;
    a.settle().await;
    assert_eq!(contents(&a), ["edited a moment ago, longer than before"]);
}

#[tokio::test]
async fn an_open_conflict_stays_one_question_while_both_sides_move_on() {
    let server = server();
    let (a, mut b, copy) = with_a_copy(&server).await;
    let id = b.handle().conflicts().await.unwrap()[0].id;
    a.write("new", "a goes on");
    a.settle().await;
    b.write(&copy, "b goes on in its copy");
    b.sync().await;
    b.restart().await;
    b.sync().await;
    let open = b.handle().conflicts().await.unwrap();
    assert_eq!(open.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    // The copy as it is now takes the name, and what stood there is in the trash.
    let status = resolve(&b, Resolution::KeepLocal).await;
    assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0), "{status:#?}");
    assert_eq!(contents(&b), ["b goes on in its copy"]);
    assert!(b.trash().iter().any(|(_, content)| content == b"a goes on"));

    // One that nobody put aside: other versions are one other question, not one more.
    let server = kit::server();
    let (a, b) = conflicting(&server).await;
    a.write("file", "a goes on");
    b.write("file", "b goes on");
    a.settle().await;
    b.sync().await;
    assert_eq!(b.handle().conflicts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_copy_that_is_removed_by_hand_ends_its_conflict() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "base");
    a.settle().await;
    b.settle().await;
    a.write("file", "from a");
    b.write("file", "from b");
    a.settle().await;
    assert_eq!(b.sync().await.conflicts, 1);
    let copy = b.tree().into_keys().find(|name| name.contains("conflict")).unwrap();
    b.delete(&copy);
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0));
}

#[tokio::test]
async fn a_version_displaced_at_the_last_moment_is_a_conflict_to_resolve() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "base");
    a.settle().await;
    b.settle().await;
    a.write("file", "from a");
    a.settle().await;
    let target = b.root().join("file");
    b.remote.before_next(
        |call| matches!(call, Call::Download { .. }),
        move |_| std::fs::write(&target, "edited at the last moment").unwrap(),
    );
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    let status = resolve(&b, Resolution::KeepLocal).await;
    assert_eq!((status.state, status.conflicts), (FolderState::Idle, 0), "{status:#?}");
    a.settle().await;
    assert_eq!(contents(&a), ["edited at the last moment"]);
    assert_eq!(a.tree(), b.tree());
}

/// A device on which sixty files were deleted, which waits.
async fn held(server: &MemoryServer) -> (Device, u64) {
    let a = Device::new("a", server);
    for number in 0..60 {
        a.write(&format!("d/{number:02}"), format!("{number}"));
    }
    a.settle().await;
    a.delete("d");
    assert_eq!(a.sync().await.state, FolderState::Held);
    let holds = a.handle().holds().await.unwrap();
    (a, holds[0].id)
}

#[tokio::test]
async fn restoring_goes_on_after_it_was_interrupted() {
    let server = server();
    let (mut a, hold) = held(&server).await;
    // All but the last ten come back; ten deletions would pass without a question.
    let last: Vec<_> = (50..60).map(|number| id(&format!("d/{number}"))).collect();
    for file in last {
        let is_it = move |call: &Call| matches!(call, Call::Download { file: asked, .. } if *asked == file);
        a.remote.fail_next(is_it, Fault::Flipped(40));
    }
    a.handle().settle_hold(hold, false).await.unwrap();
    let status = a.sync().await;
    assert_eq!((status.state, status.problems.len()), (FolderState::Attention, 10), "{status:#?}");
    a.restart().await;
    a.settle().await;
    assert_eq!((a.tree().len(), server.files(folder()).len()), (60, 60));
}

#[tokio::test]
async fn restoring_is_remembered_even_if_nothing_came_of_it_yet() {
    let server = server();
    let (mut a, hold) = held(&server).await;
    a.remote.set_down(Some(RemoteErrorKind::Unavailable));
    a.handle().settle_hold(hold, false).await.unwrap();
    a.stop().await;
    a.remote.set_down(None);
    a.start();
    a.settle().await;
    assert_eq!((a.tree().len(), server.files(folder()).len()), (60, 60));
}

#[tokio::test]
async fn accepting_survives_a_restart() {
    let server = server();
    let (mut a, hold) = held(&server).await;
    a.remote.set_down(Some(RemoteErrorKind::Unavailable));
    a.handle().settle_hold(hold, true).await.unwrap();
    a.stop().await;
    a.remote.set_down(None);
    a.start();
    a.settle().await;
    assert_eq!((a.tree().len(), server.files(folder()).len()), (0, 0));
    assert!(a.handle().holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn accepting_counts_for_what_was_shown() {
    let server = server();
    let (mut a, hold) = held(&server).await;
    a.handle().settle_hold(hold, false).await.unwrap();
    for number in 0..40 {
        a.write(&format!("e/{number}"), format!("e {number}"));
    }
    a.settle().await;
    a.delete("d");
    assert_eq!(a.sync().await.holds, 1);
    let hold = a.handle().holds().await.unwrap()[0].id;
    a.remote.set_down(Some(RemoteErrorKind::Unavailable));
    a.handle().settle_hold(hold, true).await.unwrap();
    a.stop().await;
    a.delete("e");
    a.remote.set_down(None);
    a.start();
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (FolderState::Held, 1), "{status:#?}");
    assert_eq!(a.handle().holds().await.unwrap()[0].count, 100);
    assert_eq!(server.files(folder()).len(), 100);
}

/// A device that sees an older version of a file than before.
async fn rolled_back(server: &MemoryServer) -> (Device, Device, u64) {
    let (a, b) = (Device::new("a", server), Device::new("b", server));
    a.write("file", "old");
    a.settle().await;
    let old = server.file(folder(), id("file")).unwrap();
    a.write("file", "new");
    a.settle().await;
    b.settle().await;
    server.tamper(folder(), |files| drop(files.insert(id("file"), old)));
    let status = b.sync().await;
    assert_eq!((status.state, status.problems[0].code), (FolderState::Attention, ProblemCode::Rollback));
    let holds = b.handle().holds().await.unwrap();
    assert_eq!((holds[0].kind.as_str(), holds[0].count), ("rollback", 1));
    (a, b, holds[0].id)
}

#[tokio::test]
async fn a_rollback_is_still_known_after_a_restart() {
    let server = server();
    let (_a, mut b, hold) = rolled_back(&server).await;
    b.restart().await;
    let status = b.sync().await;
    assert_eq!((status.state, status.problems[0].code), (FolderState::Attention, ProblemCode::Rollback));
    assert_eq!(b.handle().holds().await.unwrap()[0].id, hold);
}

#[tokio::test]
async fn a_rollback_is_taken_or_undone_as_the_user_says() {
    for (is_accepted, expected) in [(true, b"old"), (false, b"new")] {
        let server = server();
        let (_a, b, hold) = rolled_back(&server).await;
        b.handle().settle_hold(hold, is_accepted).await.unwrap();
        b.settle().await;
        assert_eq!(b.read("file"), expected);
        assert!(b.handle().holds().await.unwrap().is_empty());
        let account = kit::owner().account;
        let hash = hcfs_crypto::hash::salted_hash(&account, expected);
        assert_eq!(server.file(folder(), id("file")).unwrap().salted_hash, hash);
    }
}

#[tokio::test]
async fn a_folder_that_only_sends_changes_nothing_here() {
    let server = server();
    let a = Device::with("a", &server, |spec| spec.mode = Mode::SendOnly);
    let b = Device::new("b", &server);
    for name in ["edited here", "edited there", "deleted here", "deleted there", "edited here, deleted there"] {
        a.write(name, "base");
    }
    a.write("deleted here, edited there", "base");
    a.settle().await;
    b.settle().await;
    b.write("edited there", "by b");
    b.write("new there", "by b");
    b.write("deleted here, edited there", "by b");
    b.delete("deleted there");
    b.delete("edited here, deleted there");
    b.settle().await;
    a.write("edited here", "by a");
    a.write("new here", "by a");
    a.write("edited here, deleted there", "by a");
    a.delete("deleted here");
    a.delete("deleted here, edited there");
    let here = a.tree();
    let status = a.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    assert_eq!(a.tree(), here);
    b.settle().await;
    assert_eq!(b.read("edited here"), b"by a");
    assert_eq!(b.read("new here"), b"by a");
    assert_eq!(b.read("edited here, deleted there"), b"by a");
    assert_eq!(b.read("new there"), b"by b");
    assert!(!b.root().join("deleted here").exists());
    let status = resolve(&a, Resolution::KeepLocal).await;
    assert_eq!(status.conflicts, 0, "{status:#?}");
    b.settle().await;
    assert!(!b.root().join("deleted here, edited there").exists());
    assert_eq!(a.tree(), here);
}

#[tokio::test]
async fn a_folder_that_only_receives_changes_nothing_there() {
    let server = server();
    let a = Device::new("a", &server);
    for name in ["edited here", "edited there", "deleted here", "deleted there", "deleted here, edited there"] {
        a.write(name, "base");
    }
    a.write("edited here, deleted there", "base");
    a.settle().await;
    let b = Device::with("b", &server, |spec| spec.mode = Mode::ReceiveOnly);
    b.settle().await;
    a.write("edited there", "by a");
    a.write("new there", "by a");
    a.write("deleted here, edited there", "by a");
    a.delete("deleted there");
    a.delete("edited here, deleted there");
    a.settle().await;
    b.write("edited here", "by b");
    b.write("new here", "by b");
    b.write("edited here, deleted there", "by b");
    b.delete("deleted here");
    b.delete("deleted here, edited there");
    let there = server.files(folder());
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    assert!(server.files(folder()) == there);
    assert_eq!(b.read("edited there"), b"by a");
    assert_eq!(b.read("new there"), b"by a");
    assert_eq!(b.read("deleted here, edited there"), b"by a");
    assert_eq!(b.read("edited here"), b"by b");
    assert!(!b.root().join("deleted there").exists());
    let status = resolve(&b, Resolution::AcceptRemote).await;
    assert_eq!(status.conflicts, 0, "{status:#?}");
    assert!(!b.root().join("edited here, deleted there").exists());
    assert!(server.files(folder()) == there);
    assert!(b.trash().iter().any(|(_, content)| content == b"by b"));
}
