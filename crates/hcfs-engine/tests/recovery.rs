//! What can be had back, and why a path stands as it does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::time::Duration;

use hcfs_engine::{CommandError, Explained, FolderState, PathState, VersionPlace};
use hcfs_model::RelPath;
use hcfs_plan::{Mode, Resolution};
use hcfs_remote::RemoteErrorKind;
use kit::{Device, bytes, folder, server};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

async fn explain(device: &Device, text: &str) -> Explained {
    device.handle().explain(path(text)).await.unwrap()
}

async fn in_trash(device: &Device) -> Vec<String> {
    let all = device.handle().trash().await.unwrap();
    all.into_iter().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test]
async fn what_a_cycle_displaced_is_listed_and_comes_back_on_all_devices() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("deleted/here", "1");
    a.write("replaced", "first");
    a.settle().await;
    b.settle().await;
    a.delete("deleted");
    a.write("replaced", "second");
    a.settle().await;
    b.settle().await;
    let mut names = in_trash(&b).await;
    names.sort();
    assert_eq!(names, ["deleted/here", "replaced"]);
    for entry in b.handle().trash().await.unwrap() {
        let restored = b.handle().restore_trashed(entry.id.clone()).await.unwrap();
        assert_eq!(restored.beside, entry.path.as_str() == "replaced", "{restored:?}");
        let again = b.handle().restore_trashed(entry.id).await;
        assert!(matches!(again, Err(CommandError::NotInTrash(_))));
    }
    // Seen without being asked to look, and sent.
    b.until(|status| status.synced_files == 3).await;
    a.settle().await;
    assert_eq!(a.read("deleted/here"), b"1");
    assert_eq!((a.read("replaced"), a.read("replaced (restored)")), (b"second".to_vec(), b"first".to_vec()));
    let log = b.handle().log(0, 100).await.unwrap();
    assert_eq!(log.iter().filter(|event| event.kind.as_str() == "restored").count(), 2);
    assert!(in_trash(&b).await.is_empty());
}

#[tokio::test]
async fn the_trash_answers_while_a_transfer_is_on_its_way() {
    let server = server();
    let (a, noise) = Device::gated("a", &server);
    let b = Device::new("b", &server);
    for name in ["one", "two"] {
        a.write(name, name);
    }
    a.settle().await;
    b.settle().await;
    b.delete("one");
    b.delete("two");
    b.settle().await;
    a.settle().await;
    noise.hold_uploads();
    a.write("waits", "for its turn");
    a.until(|status| !status.transfers.is_empty()).await;
    let within = async {
        assert_eq!(explain(&a, "waits").await.state, PathState::Moving);
        let id = a.handle().trash().await.unwrap()[0].id.clone();
        a.handle().restore_trashed(id).await.unwrap();
        assert_eq!(a.handle().history(path("two")).await.unwrap().len(), 1);
        assert_eq!(a.handle().empty_trash().await.unwrap().files, 1);
    };
    tokio::time::timeout(Duration::from_secs(20), within).await.unwrap();
    assert!(a.root().join("one").exists());
    noise.let_uploads(10);
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn the_trash_is_kept_to_its_size_as_it_grows() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::with("b", &server, |spec| spec.trash_bytes = 2_500));
    let names = ["1", "2", "3", "4"];
    names.iter().for_each(|name| a.write(name, bytes(1_000, 1)));
    a.settle().await;
    b.settle().await;
    for name in names {
        a.delete(name);
        a.settle().await;
        b.settle().await;
    }
    assert_eq!(in_trash(&b).await, ["3", "4"], "the oldest went first");
}

#[tokio::test]
async fn the_trash_is_kept_to_its_days() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::with("b", &server, |spec| spec.trash_days = 2));
    a.write("file", "1");
    a.settle().await;
    b.settle().await;
    let old = b.root().join(".hcfs/trash/00000000000000000005-000000");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("long ago"), "x").unwrap();
    a.delete("file");
    a.settle().await;
    b.settle().await;
    assert_eq!(in_trash(&b).await, ["long ago", "file"]);
    // It is looked through at the start, and once a day.
    b.restart().await;
    b.settle().await;
    assert_eq!(in_trash(&b).await, ["file"]);
}

#[tokio::test]
async fn a_history_names_every_version_that_can_be_had() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("file", "1");
    a.settle().await;
    b.settle().await;
    for content in ["22", "333"] {
        a.write("file", content);
        a.settle().await;
        b.settle().await;
    }
    b.remote.set_down(Some(RemoteErrorKind::Unavailable));
    b.write("file", "55555, not sent yet");
    b.sync().await;
    let versions = b.handle().history(path("file")).await.unwrap();
    let seen: Vec<_> = versions.iter().map(|version| (version.place, version.size, version.revision)).collect();
    let wanted = [(VersionPlace::Server, 3, Some(3)), (VersionPlace::Trash, 2, None), (VersionPlace::Trash, 1, None)];
    assert_eq!((seen[0].0, &seen[1..]), (VersionPlace::Here, &wanted[..]));
    assert!(versions[2].at > versions[3].at && versions[2].trash_id.is_some());
    b.remote.set_down(None);

    // A conflict's copy is a version of the file, whatever it is called.
    a.write("file", "by a");
    a.settle().await;
    b.sync().await;
    let versions = b.handle().history(path("file")).await.unwrap();
    let copy = versions.iter().find(|version| version.place == VersionPlace::ConflictCopy).unwrap();
    assert!(copy.path.as_str().contains("conflict"), "{copy:?}");
    assert!(b.handle().history(path("never")).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_state_of_a_path_is_explained() {
    let server = server();
    let a = Device::new("a", &server);
    let b = Device::with("b", &server, |spec| {
        spec.conflicts = Resolution::Skip;
        spec.ignore = vec!["*.tmp".to_owned()];
    });
    for name in ["synced", "conflict", "d/file"] {
        a.write(name, "1");
    }
    a.settle().await;
    b.settle().await;
    let fine = explain(&b, "synced").await;
    assert_eq!((fine.state, fine.next, fine.hint.as_str()), (PathState::Synced, None, ""));
    assert!(fine.row.is_agreed() && fine.row.synced.is_some());
    assert_eq!(explain(&b, "d").await.state, PathState::Directory);
    let absent = explain(&b, "nowhere").await;
    assert_eq!(absent.state, PathState::Absent);
    assert!(absent.hint.contains("hcfs trash list"));

    a.write("conflict", "by a");
    a.settle().await;
    b.write("conflict", "by b");
    b.write("x.tmp", "x");
    std::os::unix::fs::symlink("synced", b.root().join("link")).unwrap();
    b.sync().await;
    let conflict = explain(&b, "conflict").await;
    assert_eq!(conflict.state, PathState::Conflict);
    assert!(conflict.hint.contains("hcfs conflicts resolve") && conflict.conflict.is_some(), "{conflict:?}");
    assert_eq!(explain(&b, "x.tmp").await.state, PathState::Ignored);
    let problem = explain(&b, "link").await;
    assert_eq!((problem.state, problem.problem.is_some()), (PathState::Problem, true), "{problem:?}");

    // Known and not done yet, and what keeps it.
    b.remote.fail_next(|call| matches!(call, hcfs_remote::memory::Call::Upload { .. }), {
        hcfs_remote::memory::Fault::Refused(RemoteErrorKind::OverQuota { balance: None, required: None })
    });
    b.write("new", "to be sent");
    assert_eq!(b.sync().await.state, FolderState::OverQuota);
    let waiting = explain(&b, "new").await;
    assert_eq!((waiting.state, waiting.next), (PathState::Waiting, Some("upload")), "{waiting:?}");
    assert!(waiting.hint.contains("used up"), "{waiting:?}");
}

#[tokio::test]
async fn a_held_path_names_its_hold_and_one_that_is_left_alone_its_reason() {
    let server = server();
    let a = Device::new("a", &server);
    for number in 0..60 {
        a.write(&format!("d/{number:02}"), format!("{number}"));
    }
    a.settle().await;
    let sends = Device::with("sends", &server, |spec| spec.mode = Mode::SendOnly);
    assert_eq!(sends.sync().await.state, FolderState::Attention);
    let left = explain(&sends, "d/07").await;
    assert_eq!(left.state, PathState::LeftAlone);
    assert!(left.reason.contains("only sends"), "{left:?}");

    a.delete("d");
    assert_eq!(a.sync().await.state, FolderState::Held);
    let held = explain(&a, "d/55").await;
    assert_eq!(held.state, PathState::Held, "{held:?}");
    let hold = held.hold.unwrap();
    assert_eq!((hold.count, hold.id), (60, a.handle().holds().await.unwrap()[0].id));
    assert!(held.reason.contains("60 files"), "{}", held.reason);
    assert_eq!(server.files(folder()).len(), 60);
}
