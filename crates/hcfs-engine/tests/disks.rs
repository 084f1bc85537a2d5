//! Disks that refuse things: what cannot be read, written or exchanged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::sync::Arc;

use hcfs_engine::{FolderHandle, FolderState, ThisMachine};
use hcfs_model::ProblemCode;
use hcfs_remote::memory::MemoryServer;
use hcfs_remote::{ConnectFailure, RemoteErrorKind};
use kit::ground::{Refusing, on_a_thread, open, until};
use kit::{Device, folder, server};
use rustix::io::Errno;

/// A device with three files on a disk that can refuse things, and another that has them too.
async fn on_a_disk(server: &MemoryServer) -> (Device, FolderHandle, Arc<Refusing>, Device) {
    let (mut a, b) = (Device::new("a", server), Device::new("b", server));
    for path in ["d/one", "d/sub/two", "three"] {
        a.write(path, path);
    }
    a.settle().await;
    b.settle().await;
    a.stop().await;
    let disk = Refusing::nothing(&a.root());
    let handle = on_a_thread(open(&mut a, Some(Arc::clone(&disk) as _), Arc::new(ThisMachine)).await);
    assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
    (a, handle, disk, b)
}

#[tokio::test]
async fn an_unreadable_directory_or_file_is_unknown_and_nothing_below_is_deleted() {
    let server = server();
    let (a, handle, disk, b) = on_a_disk(&server).await;
    disk.denied.lock().unwrap().extend(["d/sub", "three"]);
    a.write("three", "edited, and cannot be read");
    a.write("four", "others go on");
    let status = handle.sync().await.unwrap();
    assert_eq!(status.state, FolderState::Attention, "{status:#?}");
    let unreadable: Vec<_> = status.problems.iter().filter(|problem| problem.code == ProblemCode::Unreadable).collect();
    let paths: Vec<_> = unreadable.iter().map(|problem| problem.path.as_ref().unwrap().as_str()).collect();
    assert_eq!(paths, ["d/sub", "three"], "{status:#?}");
    assert_eq!(server.files(folder()).len(), 4);
    // A deletion on the server is not carried out where nobody can look.
    b.settle().await;
    b.delete("d");
    b.settle().await;
    handle.sync().await.unwrap();
    assert_eq!(a.read("d/sub/two"), b"d/sub/two");
    assert!(!a.root().join("d/one").exists());
    disk.denied.lock().unwrap().clear();
    let status = handle.sync().await.unwrap();
    assert_eq!(status.state, FolderState::Idle, "{status:#?}");
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.read("three"), b"edited, and cannot be read");
    handle.stop().await;
}

#[tokio::test]
async fn after_a_suspend_or_a_lost_network_nothing_is_read_again() {
    let server = server();
    let (a, handle, disk, b) = on_a_disk(&server).await;
    // A hash taken within the clock's step of the last edit is taken again.
    let mut before = 0;
    for _ in 0..10_000 {
        let now = disk.reads(None);
        if now == before {
            break;
        }
        before = now;
        handle.sync().await.unwrap();
    }
    let away = [ConnectFailure::Dns, ConnectFailure::Unreachable, ConnectFailure::Timeout];
    for failure in away {
        a.remote.set_down(Some(RemoteErrorKind::Unreachable(failure)));
        assert_eq!(handle.sync().await.unwrap().state, FolderState::Offline);
        a.remote.set_down(None);
        assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
    }
    assert_eq!(disk.reads(None), before, "no file was opened");
    b.write("three", "edited meanwhile");
    b.settle().await;
    assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
    assert_eq!(a.read("three"), b"edited meanwhile");
    handle.stop().await;
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_defers_downloads_and_uploads_go_on_and_it_heals_alone() {
    for errno in [Errno::ROFS, Errno::NOSPC, Errno::DQUOT, Errno::ACCESS] {
        let server = server();
        let (a, handle, disk, b) = on_a_disk(&server).await;
        *disk.no_change.lock().unwrap() = Some(errno);
        b.write("three", "edited by b");
        b.delete("d/one");
        b.settle().await;
        a.write("four", "to be sent");
        let status = handle.sync().await.unwrap();
        assert_eq!(status.state, FolderState::Attention, "{errno:?}: {status:#?}");
        assert!(status.problems.iter().all(|problem| !problem.hint.is_empty()), "{errno:?}");
        assert_eq!((a.read("three"), a.read("d/one")), (b"three".to_vec(), b"d/one".to_vec()), "{errno:?}");
        assert_eq!(server.files(folder()).len(), 3, "{errno:?}: it was sent all the same");
        *disk.no_change.lock().unwrap() = None;
        let status = handle.sync().await.unwrap();
        assert_eq!(status.state, FolderState::Idle, "{errno:?}: {status:#?}");
        b.settle().await;
        assert_eq!(a.tree(), b.tree(), "{errno:?}");
        handle.stop().await;
    }
}

#[tokio::test]
async fn a_disk_without_exchange_and_without_no_replace_replaces_and_displaces_all_the_same() {
    for errno in [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP] {
        let server = server();
        let (a, handle, disk, b) = on_a_disk(&server).await;
        *disk.no_flags.lock().unwrap() = Some(errno);
        b.write("three", "edited by b");
        b.delete("d/one");
        b.rename("d/sub/two", "moved");
        b.write("new", "new");
        b.settle().await;
        let status = handle.sync().await.unwrap();
        assert_eq!(status.state, FolderState::Idle, "{errno:?}: {status:#?}");
        assert_eq!(a.tree(), b.tree(), "{errno:?}");
        let mut trashed: Vec<String> = a.trash().into_iter().map(|(path, _)| path).collect();
        trashed.sort();
        assert_eq!(trashed, ["d/one", "three"], "{errno:?}");
        handle.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_changes_all_the_time_is_not_read_at_every_event() {
    let server = server();
    let (a, handle, disk, _b) = on_a_disk(&server).await;
    disk.restless.lock().unwrap().insert("log");
    a.write("log", "a line\n");
    until(&handle, |status| status.problems.iter().any(|problem| problem.code == ProblemCode::KeepsChanging)).await;
    let before = disk.reads(Some("log"));
    // Each of these is a look at what changed, and the log changed each time.
    let synced = handle.status().borrow().synced_files;
    for number in 1..=20 {
        a.write("log", format!("line {number}\n"));
        a.write(&format!("other {number}"), "1");
        until(&handle, |status| status.synced_files >= synced + number).await;
    }
    let more = disk.reads(Some("log")) - before;
    assert!(more < 20, "{more} times in twenty looks");
    handle.stop().await;
}
