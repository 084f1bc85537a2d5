//! Rows of the list of cases that two devices and a server in memory can show: changes, races and names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use hcfs_engine::{EventKind, FolderState};
use hcfs_model::ProblemCode;
use hcfs_remote::RemoteErrorKind;
use hcfs_remote::memory::{Call, Fault, MemoryServer};
use kit::{Device, bytes, folder, id, server};

/// Two devices that agree on some files.
async fn agreed(server: &MemoryServer, files: &[(&str, &str)]) -> (Device, Device) {
    let (a, b) = (Device::new("a", server), Device::new("b", server));
    for (path, content) in files {
        a.write(path, content);
    }
    a.settle().await;
    b.settle().await;
    a.remote.take_calls();
    b.remote.take_calls();
    (a, b)
}

fn moves_content(call: &Call) -> bool {
    matches!(call, Call::Upload { .. } | Call::OpenSession(_) | Call::Download { .. })
}

fn uploads(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::Upload { .. })).count()
}

fn contents(device: &Device) -> BTreeSet<String> {
    device.tree().into_values().map(|content| String::from_utf8(content).unwrap()).collect()
}

async fn said(device: &Device, path: &str, what: &str) -> bool {
    let log = device.handle().log(0, 1000).await.unwrap();
    log.iter().any(|event| event.path.as_ref().is_some_and(|of| of.as_str() == path) && event.text.contains(what))
}

#[tokio::test]
async fn the_same_change_on_both_sides_is_adopted_without_moving_bytes() {
    let server = server();
    let (a, b) = agreed(&server, &[("edited", "1"), ("deleted", "1")]).await;
    for device in [&a, &b] {
        device.write("edited", "the same");
        device.write("new", "the same too");
        device.delete("deleted");
    }
    a.settle().await;
    b.settle().await;
    let calls = b.remote.take_calls();
    assert!(!calls.iter().any(moves_content), "{calls:?}");
    assert!(b.handle().conflicts().await.unwrap().is_empty());
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.tree().len(), 2);
    let log = b.handle().log(0, 1000).await.unwrap();
    assert_eq!(log.iter().filter(|event| event.kind == EventKind::Adopted).count(), 2);
}

#[tokio::test]
async fn a_deletion_that_an_edit_overrules_is_an_event_in_the_log() {
    let server = server();
    let (a, b) = agreed(&server, &[("edited here", "1"), ("edited there", "1")]).await;
    a.delete("edited here");
    a.write("edited there", "by a");
    b.write("edited here", "by b");
    b.delete("edited there");
    a.settle().await;
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(contents(&b), BTreeSet::from(["by a".to_owned(), "by b".to_owned()]));
    assert!(said(&b, "edited here", "deleted on the server, and changed here").await);
    assert!(said(&b, "edited there", "deleted here, and changed on the server").await);
}

#[tokio::test]
async fn a_new_file_in_a_directory_that_was_deleted_elsewhere_comes_with_its_ancestors() {
    let server = server();
    let (a, b) = agreed(&server, &[("d/one", "1"), ("d/sub/two", "2")]).await;
    a.delete("d");
    b.write("d/sub/deeper/new", "3");
    a.settle().await;
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().into_keys().collect::<Vec<_>>(), ["d/sub/deeper/new"]);
}

#[tokio::test]
async fn what_a_proxy_says_is_never_a_deletion() {
    let kinds = [
        RemoteErrorKind::NotHcfs,
        RemoteErrorKind::Unavailable,
        RemoteErrorKind::Inconsistent,
        RemoteErrorKind::RateLimited,
    ];
    for kind in kinds {
        let server = server();
        let (a, b) = agreed(&server, &[("file", "1"), ("other", "2")]).await;
        // The row is hidden, and the question whether the file is there gets no answer of the server's own.
        server.tamper(folder(), |files| drop(files.remove(&id("file"))));
        b.remote.fail_next(|call| matches!(call, Call::Probe(_)), Fault::Refused(kind.clone()));
        b.sync().await;
        assert_eq!(b.read("file"), b"1", "{kind:?}");
        // A listing that is none of the server's says nothing either.
        let refused = |call: &Call| matches!(call, Call::ListingPage { .. });
        b.remote.fail_next(refused, Fault::Refused(kind.clone()));
        b.sync().await;
        assert_eq!(b.read("file"), b"1", "{kind:?}");
        assert_eq!(b.remote.pending_faults(), 0);
        // The server itself says so: now it is a deletion.
        b.settle().await;
        assert_eq!(b.tree().into_keys().collect::<Vec<_>>(), ["other"], "{kind:?}");
        drop(a);
    }
}

#[tokio::test]
async fn what_a_proxy_sends_is_never_written_into_a_file() {
    let server = server();
    let (a, b) = agreed(&server, &[("file", "1")]).await;
    a.write("file", "2");
    a.settle().await;
    b.remote.fail_next(|call| matches!(call, Call::Download { .. }), Fault::Refused(RemoteErrorKind::NotHcfs));
    b.sync().await;
    assert!(matches!(&b.read("file")[..], b"1" | b"2"));
    b.settle().await;
    assert_eq!((b.read("file"), b.trash().len()), (b"2".to_vec(), 1));
}

#[tokio::test]
async fn a_remote_edit_that_races_a_deletion_wins() {
    let server = server();
    let (mut a, b) = agreed(&server, &[("file", "1")]).await;
    let old = server.file(folder(), id("file")).unwrap();
    // What b is to write in the very moment of the deletion, made ready.
    a.stop().await;
    b.write("file", "edited by b");
    b.settle().await;
    let new = server.file(folder(), id("file")).unwrap();
    server.tamper(folder(), |files| drop(files.insert(id("file"), old)));
    a.start();
    a.settle().await;
    a.remote.before_next(
        |call| matches!(call, Call::Delete(_)),
        move |server| server.tamper(folder(), |files| drop(files.insert(id("file"), new))),
    );
    a.delete("file");
    a.settle().await;
    assert!(a.remote.take_calls().iter().any(|call| matches!(call, Call::Delete(_))));
    assert_eq!(a.read("file"), b"edited by b");
    assert!(server.file(folder(), id("file")).is_some());
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_not_made_again_on_what_came_after_it() {
    let server = server();
    let (a, b) = agreed(&server, &[("file", "1"), ("other", "2")]).await;
    a.remote.fail_next(|call| matches!(call, Call::Delete(_)), Fault::AnswerLost);
    a.delete("file");
    a.sync().await;
    b.settle().await;
    assert_eq!(b.tree().len(), 1);
    b.write("file", "made anew");
    b.settle().await;
    a.settle().await;
    assert_eq!(a.read("file"), b"made anew");
    assert_eq!(b.tree(), a.tree());
}

#[tokio::test]
async fn what_editors_do_to_save_is_one_modification_and_never_a_deletion() {
    type Save = fn(&Device, &str);
    let ways: [(&str, Save); 3] = [
        ("write beside and rename over", |device, content| {
            device.write("file.tmp", content);
            device.rename("file.tmp", "file");
        }),
        ("move out, write new, delete old", |device, content| {
            device.rename("file", "file~");
            device.write("file", content);
            device.delete("file~");
        }),
        ("truncate and write", |device, content| device.write("file", content)),
    ];
    for (what, save) in ways {
        let server = server();
        let (a, b) = agreed(&server, &[("file", "before")]).await;
        save(&a, "after the save");
        a.settle().await;
        let calls = a.remote.take_calls();
        assert_eq!(uploads(&calls), 1, "{what}: {calls:?}");
        let is_more = |call: &Call| matches!(call, Call::Delete(_) | Call::Rename { .. });
        assert!(!calls.iter().any(is_more), "{what}: {calls:?}");
        assert_eq!(server.file(folder(), id("file")).unwrap().revision.seq, 2, "{what}");
        b.settle().await;
        assert_eq!(b.tree(), a.tree(), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_never_sent_in_two_halves() {
    let server = server();
    let (a, noise) = Device::gated("a", &server);
    let large = 20 * 1024 * 1024;
    a.settle().await;
    let path = a.root().join("large");
    a.remote.before_next(
        |call| matches!(call, Call::PutPart { index: 1, .. }),
        move |_| {
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            // In what was sent already, and in what is still to come.
            file.write_all_at(b"changed", 1000).unwrap();
            file.write_all_at(b"changed", 19 * 1024 * 1024).unwrap();
        },
    );
    a.write("large", bytes(large, 3));
    a.settle().await;
    assert_eq!(noise.reused_nonces(), Vec::<String>::new());
    let finished = a.remote.take_calls().into_iter().filter(|call| matches!(call, Call::Finalize(_))).count();
    assert_eq!(finished, 1, "what had begun was broken off");
    let b = Device::new("b", &server);
    b.settle().await;
    assert_eq!(b.read("large"), a.read("large"));
    assert_eq!(&b.read("large")[1000..1007], b"changed");
}

#[tokio::test]
async fn no_clock_decides_which_version_is_newer() {
    let server = server();
    let (a, b) = agreed(&server, &[("past", "1"), ("future", "1"), ("before 1970", "1")]).await;
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let times = [
        ("past", at(0)),
        ("future", at(4_102_444_800)),
        ("before 1970", SystemTime::UNIX_EPOCH - Duration::from_secs(86_400 * 365)),
    ];
    for (name, time) in times {
        a.write(name, format!("edited, {name}"));
        fs::OpenOptions::new().write(true).open(a.root().join(name)).unwrap().set_modified(time).unwrap();
    }
    a.settle().await;
    b.settle().await;
    for (name, time) in times {
        assert_eq!(b.read(name), format!("edited, {name}").as_bytes());
        assert_eq!(fs::metadata(a.root().join(name)).unwrap().modified().unwrap(), time, "{name}: the value is kept");
    }
    // An edit with a time before that of the version it replaces is an edit.
    b.write("future", "edited again");
    let file = fs::OpenOptions::new().write(true).open(b.root().join("future")).unwrap();
    file.set_modified(at(1)).unwrap();
    b.settle().await;
    a.settle().await;
    assert_eq!(a.read("future"), b"edited again");
}

#[tokio::test]
async fn chains_swaps_and_case_only_renames_arrive_as_renames() {
    let server = server();
    let names = ["a", "b", "c", "x", "y", "Readme"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let (a, b) = agreed(&server, &files).await;
    for (from, to) in [("c", "d"), ("b", "c"), ("a", "b"), ("x", "tmp"), ("y", "x"), ("tmp", "y"), ("Readme", "README")]
    {
        a.rename(from, to);
    }
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!((b.read("d"), b.read("x"), b.read("README")), (b"c".to_vec(), b"y".to_vec(), b"Readme".to_vec()));
    for device in [&a, &b] {
        let calls = device.remote.take_calls();
        assert!(!calls.iter().any(moves_content), "{}: {calls:?}", device.name);
        assert!(!calls.iter().any(|call| matches!(call, Call::Delete(_))), "{}: {calls:?}", device.name);
    }
}

#[tokio::test]
async fn directories_that_two_devices_move_into_one_another_lose_nothing() {
    let server = server();
    let (a, b) = agreed(&server, &[("x/f", "of x"), ("x/g", "of x too"), ("y/h", "of y")]).await;
    a.rename("x", "y/x");
    b.rename("y", "x/y");
    for device in [&a, &b, &a, &b, &a] {
        device.sync().await;
    }
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(contents(&a), ["of x", "of x too", "of y"].map(str::to_owned).into());
}

#[tokio::test]
async fn equal_contents_under_many_names_are_not_taken_for_one_another() {
    let server = server();
    let (a, b) = agreed(&server, &[("one", "same"), ("two", "same"), ("three", "same"), ("other", "o")]).await;
    a.rename("one", "moved/one");
    a.delete("two");
    a.write("four", "same");
    b.write("three", "edited");
    a.settle().await;
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().into_keys().collect::<Vec<_>>(), ["four", "moved/one", "other", "three"]);
    assert_eq!(a.read("three"), b"edited");
}

#[tokio::test]
async fn odd_names_arrive_and_impossible_ones_are_problems() {
    use std::os::unix::ffi::OsStrExt;
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    let long = format!("{}.txt", "é".repeat(125));
    let odd =
        ["CON", "nul.txt", "dot.", "blank ", " ", "new\nline", "a:b", "-rf", "#hash %41", "\u{202e}turned", &long];
    for name in odd {
        a.write(name, name);
    }
    fs::write(a.root().join(std::ffi::OsStr::from_bytes(b"not \xff utf-8")), "x").unwrap();
    fs::write(a.root().join("back\\slash"), "x").unwrap();
    let status = a.sync().await;
    assert_eq!((status.state, status.problems.len()), (FolderState::Attention, 2), "{status:#?}");
    assert!(status.problems.iter().all(|problem| !problem.hint.is_empty()));
    b.settle().await;
    let names: BTreeSet<String> = b.tree().into_keys().collect();
    assert_eq!(names, odd.map(str::to_owned).into());
    // Nothing was done to what cannot be synced.
    assert_eq!(a.tree().len(), odd.len() + 2);
}

#[tokio::test]
async fn two_local_names_equal_under_nfc_are_a_problem_and_neither_is_touched() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("caf\u{e9}", "composed");
    a.write("cafe\u{301}", "decomposed");
    a.write("other", "1");
    let status = a.sync().await;
    assert_eq!(status.state, FolderState::Attention);
    assert!(status.problems.iter().any(|problem| problem.code == ProblemCode::DuplicateName), "{status:#?}");
    assert_eq!((a.tree().len(), server.files(folder()).len()), (3, 1));
    a.delete("cafe\u{301}");
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 2);
}

#[tokio::test]
async fn hard_links_are_independent_files() {
    let server = server();
    let (a, b) = agreed(&server, &[("one", "shared")]).await;
    fs::hard_link(a.root().join("one"), a.root().join("two")).unwrap();
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    b.write("one", "edited by b");
    b.settle().await;
    a.settle().await;
    assert_eq!((a.read("one"), a.read("two")), (b"edited by b".to_vec(), b"shared".to_vec()));
    assert_eq!(fs::metadata(a.root().join("two")).unwrap().nlink(), 2, "the displaced name lies in the trash");
}

#[tokio::test]
async fn a_fifo_is_skipped_and_listed_and_nothing_waits_for_it() {
    let server = server();
    let a = Device::new("a", &server);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, a.root().join("pipe"), kind, rustix::fs::Mode::RWXU, 0).unwrap();
    a.write("file", "1");
    let status = a.sync().await;
    assert_eq!((status.problems.len(), status.problems[0].code), (1, ProblemCode::SpecialFile), "{status:#?}");
    assert_eq!(server.files(folder()).len(), 1);
}

#[tokio::test]
async fn an_ignored_file_inside_a_directory_deleted_remotely_keeps_the_directory() {
    let server = server();
    let (a, b) = agreed(&server, &[("d/file", "1"), (".hcfsignore", "*.o\n")]).await;
    b.write("d/made.o", "made here");
    b.settle().await;
    a.delete("d");
    a.settle().await;
    let status = b.sync().await;
    assert_eq!(status.state, FolderState::Attention, "{status:#?}");
    let problem = &status.problems[0];
    assert_eq!((problem.code, problem.path.as_ref().unwrap().as_str()), (ProblemCode::IgnoredInside, "d"));
    assert_eq!(b.read("d/made.o"), b"made here");
    assert!(!b.root().join("d/file").exists());
    // It is over as soon as the directory is gone, or has something to sync again.
    b.write("d/again", "2");
    b.settle().await;
    b.delete("d");
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn empty_and_sparse_files_and_directories_of_many_arrive_whole() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("empty", "");
    a.write("sparse", "");
    let sparse = fs::OpenOptions::new().write(true).open(a.root().join("sparse")).unwrap();
    sparse.set_len(9 * 1024 * 1024).unwrap();
    sparse.write_all_at(b"in the middle", 5_000_000).unwrap();
    for number in 0..1_500 {
        a.write(&format!("many/{number:04}"), "");
    }
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree().len(), 1_502);
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn the_executable_bit_is_kept_through_a_replacement() {
    let server = server();
    let (a, b) = agreed(&server, &[("run.sh", "#!/bin/sh\n")]).await;
    fs::set_permissions(b.root().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    b.settle().await;
    a.write("run.sh", "#!/bin/sh\necho more\n");
    a.settle().await;
    b.settle().await;
    assert_eq!(b.read("run.sh"), a.read("run.sh"));
    assert_eq!(fs::metadata(b.root().join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(!b.remote.take_calls().iter().any(|call| matches!(call, Call::Upload { .. })), "a mode is no content");
}

#[tokio::test]
async fn a_database_older_than_the_tree_deletes_nothing_and_catches_up() {
    let server = server();
    let (a, mut b) = agreed(&server, &[("one", "1"), ("two", "2")]).await;
    b.stop().await;
    let backup = fs::read(b.database()).unwrap();
    b.start();
    b.write("made later", "3");
    b.write("one", "edited later");
    b.delete("two");
    b.settle().await;
    a.settle().await;
    b.stop().await;
    fs::write(b.database(), backup).unwrap();
    b.start();
    let status = b.sync().await;
    assert_eq!(status.conflicts, 0, "{status:#?}");
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(contents(&b), ["3", "edited later"].map(str::to_owned).into());
}
