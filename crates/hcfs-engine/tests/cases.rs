//! Names, sizes and files that behave oddly, and what stands in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hcfs_engine::FolderState;
use hcfs_model::ProblemCode;
use hcfs_remote::RemoteErrorKind;
use hcfs_remote::memory::{Call, Fault};
use kit::{Device, bytes, folder, id, server};

/// One name in its two Unicode forms.
const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

#[tokio::test]
async fn a_name_in_another_unicode_form_keeps_its_bytes() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write(DECOMPOSED, "1");
    a.settle().await;
    assert!(server.file(folder(), id(COMPOSED)).is_some());
    b.settle().await;
    assert_eq!(b.read(COMPOSED), b"1");
    b.write(COMPOSED, "2");
    b.settle().await;
    a.settle().await;
    let names: Vec<Vec<u8>> = fs::read_dir(a.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
        .filter(|name| name != b".hcfs")
        .collect();
    assert_eq!(names, [DECOMPOSED.as_bytes()]);
    assert_eq!(a.read(DECOMPOSED), b"2");
    a.rename(DECOMPOSED, "plain");
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree().keys().collect::<Vec<_>>(), ["plain"]);
}

#[tokio::test]
async fn a_row_whose_id_is_made_of_another_unicode_form_is_followed() {
    let server = server();
    let a = Device::new("a", &server);
    a.write(COMPOSED, "1");
    a.settle().await;
    // As a client that does not normalise names would have sent it.
    let owner = kit::owner();
    let nonce = hcfs_crypto::frame::BaseNonce::random().unwrap();
    let sealed = hcfs_crypto::blob::seal_blob(&owner.keys.encryption, nonce, DECOMPOSED.as_bytes()).unwrap();
    server.tamper(folder(), |files| {
        let mut file = files.remove(&id(COMPOSED)).unwrap();
        file.encrypted_path = sealed;
        files.insert(id(DECOMPOSED), file);
    });
    let b = Device::new("b", &server);
    b.settle().await;
    assert_eq!(b.read(COMPOSED), b"1");
    b.write(COMPOSED, "2");
    b.settle().await;
    assert_eq!(server.files(folder()).into_keys().collect::<Vec<_>>(), [id(DECOMPOSED)]);
    a.settle().await;
    assert_eq!(a.read(COMPOSED), b"2");
    a.delete(COMPOSED);
    a.settle().await;
    b.settle().await;
    assert!(b.tree().is_empty() && server.files(folder()).is_empty());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_still_known_after_a_restart() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("other", "1");
    a.settle().await;
    server.break_row(folder(), id("other"));
    for _ in 0..2 {
        let status = a.sync().await;
        assert_eq!((status.state, status.problems.len()), (FolderState::Attention, 1), "{status:#?}");
        assert_eq!(status.problems[0].code, ProblemCode::Quarantined);
        a.restart().await;
    }
    assert_eq!(a.read("other"), b"1");
}

#[tokio::test]
async fn a_conflict_copy_of_the_longest_name_fits() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    // 255 bytes each, the second in characters of three bytes.
    let names = [format!("{}.txt", "n".repeat(251)), "\u{4e00}".repeat(85)];
    for name in &names {
        a.write(name, "base");
    }
    a.settle().await;
    b.settle().await;
    for name in &names {
        a.write(name, "from a");
        b.write(name, "from b");
    }
    a.settle().await;
    assert_eq!(b.sync().await.conflicts, 2);
    a.settle().await;
    assert_eq!((a.tree().len(), a.tree() == b.tree()), (4, true));
}

#[tokio::test]
async fn a_file_grows_and_shrinks() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    for length in [0, 9 * 1024 * 1024, 0, 1, 256 * 1024, 256 * 1024 + 1, 0] {
        a.write("file", bytes(length, length as u64));
        a.settle().await;
        b.settle().await;
        assert_eq!(b.read("file"), bytes(length, length as u64));
    }
}

#[tokio::test]
async fn new_times_alone_send_nothing() {
    let server = server();
    let a = Device::new("a", &server);
    for name in ["past", "future", "before 1970"] {
        a.write(name, name);
    }
    a.settle().await;
    a.settle().await;
    a.remote.take_calls();
    let times = [
        ("past", SystemTime::UNIX_EPOCH + Duration::from_secs(5)),
        ("future", SystemTime::now() + Duration::from_secs(1_000_000_000)),
        ("before 1970", SystemTime::UNIX_EPOCH - Duration::from_secs(5)),
    ];
    for (name, time) in times {
        fs::OpenOptions::new().write(true).open(a.root().join(name)).unwrap().set_modified(time).unwrap();
    }
    a.settle().await;
    let calls = a.remote.take_calls();
    assert!(matches!(calls[..], [Call::ListingPage { tagged: true, .. }]), "{calls:?}");
}

fn keeps_changing(problem: &hcfs_model::Problem) -> bool {
    problem.code == ProblemCode::KeepsChanging
}

/// Somebody who writes into a file all the time, until told to stop.
struct Writer {
    going: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    fn start(path: std::path::PathBuf, write: impl Fn(&fs::File, u64) + Send + 'static) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let goes = Arc::clone(&going);
        let thread = std::thread::spawn(move || {
            let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
            let mut count = 0;
            while goes.load(Ordering::Relaxed) {
                count += 1;
                write(&file, count);
                std::thread::yield_now();
            }
        });
        Self { going, thread }
    }

    fn stop(self) {
        self.going.store(false, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_file_that_never_is_quiet_is_a_problem_until_it_is() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    // Large, so that it cannot be read between two writes; written at its beginning, so that no two looks are the same.
    a.write("mess", bytes(12 * 1024 * 1024, 1));
    let writer = Writer::start(a.root().join("mess"), |file, count| {
        std::os::unix::fs::FileExt::write_all_at(file, &count.to_le_bytes(), 0).unwrap();
    });
    a.until(|status| status.problems.iter().any(keeps_changing)).await;
    // Others do not wait for it, and looking at them does not make it be forgotten.
    a.write("other", "1");
    let status = a.until(|status| status.synced_files >= 1).await;
    assert!(status.problems.iter().any(keeps_changing), "{status:#?}");
    // It does not only grow: no state of it is taken, let alone sent.
    assert!(!status.problems.iter().any(|problem| problem.message.contains("goes on growing")), "{status:#?}");
    assert!(server.file(folder(), id("mess")).is_none(), "no two halves of different states are ever sent");
    writer.stop();
    a.settle().await;
    let b = Device::new("b", &server);
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_constantly_growing_file_is_sent_as_far_as_it_has_come() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    a.write("log", bytes(12 * 1024 * 1024, 1));
    let writer = Writer::start(a.root().join("log"), |file, _| {
        let end = file.metadata().unwrap().len();
        std::os::unix::fs::FileExt::write_all_at(file, b"a line\n", end).unwrap();
    });
    let status = a.until(|status| status.synced_files == 1).await;
    assert!(status.problems.iter().any(keeps_changing), "it is not said to be in step: {status:#?}");
    let b = Device::new("b", &server);
    b.settle().await;
    let (sent, now) = (b.read("log"), a.read("log"));
    assert!(sent.len() >= 12 * 1024 * 1024 && now.starts_with(&sent), "{} of {}", sent.len(), now.len());
    // It rests between two looks, however often it changes.
    let looks = server.file(folder(), id("log")).unwrap().revision.seq;
    assert!(looks <= 4, "{looks}");
    writer.stop();
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_file_takes_the_place_of_directories_without_files() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("name", "file");
    a.write("other", "file");
    a.settle().await;
    fs::create_dir_all(b.root().join("name/deep/er")).unwrap();
    fs::create_dir_all(b.root().join("name/beside")).unwrap();
    b.settle().await;
    assert_eq!(b.read("name"), b"file");
    fs::create_dir_all(b.root().join("moved")).unwrap();
    a.rename("other", "moved");
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_directory_with_something_in_it_is_never_removed_for_a_file() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::with("b", &server, |spec| spec.ignore.push("*.tmp".to_owned())));
    a.write("name", "file");
    a.settle().await;
    b.write("name/empty/../kept.tmp", "ignored");
    fs::create_dir_all(b.root().join("name/z")).unwrap();
    let status = b.sync().await;
    assert_eq!(status.problems[0].code, ProblemCode::PathBlocked, "{status:#?}");
    assert_eq!(b.read("name/kept.tmp"), b"ignored");
    b.delete("name/kept.tmp");
    b.settle().await;
    assert_eq!(b.read("name"), b"file");
}

#[tokio::test]
async fn a_file_whose_new_name_is_not_free_here_leaves_its_old_one_to_others() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::with("b", &server, |spec| spec.ignore.push("*.tmp".to_owned())));
    a.write("old", "moves");
    a.write("x/inside", "comes where it was");
    a.settle().await;
    b.settle().await;
    b.write("new/kept.tmp", "ignored");
    a.rename("old", "new");
    a.rename("x", "old");
    a.settle().await;
    let status = b.sync().await;
    let told: Vec<_> =
        status.problems.iter().map(|problem| (problem.code, problem.path.clone().unwrap().to_string())).collect();
    assert_eq!(told, [(ProblemCode::PathBlocked, "new".to_owned())], "{status:#?}");
    assert_eq!(b.read("old/inside"), b"comes where it was");
    b.delete("new/kept.tmp");
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_name_that_is_a_file_there_and_a_directory_with_a_link_here_is_told() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("name", "file");
    a.settle().await;
    b.write("name/inside", "only here");
    std::os::unix::fs::symlink("inside", b.root().join("name/link")).unwrap();
    let status = b.sync().await;
    let told = |status: &hcfs_engine::FolderStatus| -> Vec<_> {
        status.problems.iter().map(|problem| (problem.code, problem.path.clone().unwrap().to_string())).collect()
    };
    let (link, clash) = ((ProblemCode::Symlink, "name/link".into()), (ProblemCode::PathBlocked, "name".into()));
    assert_eq!(told(&status), [clash, link]);
    assert_eq!(b.read("name/inside"), b"only here");
    b.delete("name/link");
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn files_and_directories_change_places() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("one", "file");
    a.write("two/inside", "inside");
    a.settle().await;
    b.settle().await;
    a.rename("one", "three");
    a.rename("two", "one");
    a.rename("three", "two");
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().keys().collect::<Vec<_>>(), ["one/inside", "two"]);
}

#[tokio::test]
async fn where_nothing_can_be_staged_everything_else_goes_on() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    let staged = b.root().join(".hcfs/staged");
    fs::remove_dir(&staged).unwrap();
    fs::write(&staged, "in the way").unwrap();
    a.write("from a", "1");
    a.settle().await;
    b.write("from b", "2");
    let status = b.sync().await;
    assert_eq!((status.state, status.problems.len()), (FolderState::Attention, 1), "{status:#?}");
    a.settle().await;
    assert_eq!(a.read("from b"), b"2");
    fs::remove_file(&staged).unwrap();
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn over_quota_ends_when_there_is_room_or_nothing_to_send() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    server.set_quota(Some(10));
    a.write("too much", bytes(1000, 1));
    let status = a.sync().await;
    assert_eq!(status.state, FolderState::OverQuota);
    assert!(status.trouble.is_some());
    a.delete("too much");
    // Nobody asks for it.
    a.until(|status| status.state == FolderState::Idle).await;
    a.write("too much", bytes(1000, 2));
    assert_eq!(a.sync().await.state, FolderState::OverQuota);
    server.set_quota(None);
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 1);
}

#[tokio::test]
async fn a_folder_the_server_forgot_stays_as_it_is_however_often_it_is_asked() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("file", "1");
    a.settle().await;
    server.unregister(folder()).unwrap();
    for _ in 0..2 {
        for _ in 0..2 {
            let status = a.sync().await;
            assert_eq!(status.state, FolderState::Held);
            assert!(status.trouble.as_ref().unwrap().0.contains("does not know the folder"), "{status:?}");
            assert_eq!(a.read("file"), b"1");
            assert!(server.list_folders().is_empty());
        }
        a.restart().await;
    }
}

#[tokio::test]
async fn a_look_at_the_server_does_not_leave_changes_lying() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    a.write("file", "1");
    a.settle().await;
    assert_eq!(b.handle().list(None).await.unwrap().len(), 1);
    b.until(|status| status.state == FolderState::Idle && status.synced_files == 1).await;
    assert_eq!(b.read("file"), b"1");
}

#[tokio::test]
async fn a_server_that_refuses_one_file_is_asked_for_it_less_and_less() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    for _ in 0..100 {
        a.remote.fail_next(
            |call| matches!(call, Call::Upload { file, .. } if *file == id("refused")),
            Fault::Refused(RemoteErrorKind::TooLarge),
        );
    }
    a.write("refused", "1");
    a.write("other", "1");
    let status = a.sync().await;
    assert_eq!((status.state, status.problems[0].code), (FolderState::Attention, ProblemCode::TooLarge));
    assert_eq!(server.files(folder()).len(), 1);
    // Once in its cycle, and again only when it is asked for.
    assert_eq!(100 - a.remote.pending_faults(), 1);
    a.write("third", "1");
    a.until(|status| status.synced_files == 2).await;
    assert_eq!(100 - a.remote.pending_faults(), 1);
    a.sync().await;
    assert_eq!(100 - a.remote.pending_faults(), 2);
}
