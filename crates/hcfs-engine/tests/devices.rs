//! Two devices that keep each other in step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use hcfs_engine::{CommandError, FolderState};
use hcfs_model::RelPath;
use hcfs_plan::{Action, Resolution};
use hcfs_remote::memory::Call;
use kit::{Device, bytes, server};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

#[tokio::test]
async fn every_kind_of_change_arrives_on_the_other_device() {
    let server = server();
    let a = Device::new("a", &server);
    let b = Device::new("b", &server);
    a.write("notes.txt", "one");
    a.write("deep/er/empty", "");
    a.write("large.bin", bytes(700_000, 1));
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.tree().len(), 3);

    b.write("notes.txt", "two, from the other side");
    b.delete("deep");
    b.write("new/file", "new");
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.read("notes.txt"), b"two, from the other side");
    assert!(!a.root().join("deep").exists());
    // What was replaced and deleted is in the trash.
    let trash = a.trash();
    assert!(trash.contains(&("notes.txt".to_owned(), b"one".to_vec())), "{trash:?}");
    assert!(trash.contains(&("deep/er/empty".to_owned(), Vec::new())));
}

#[tokio::test]
async fn an_unchanged_folder_costs_one_request() {
    let server = server();
    server.set_page_rows(10);
    let a = Device::new("a", &server);
    for number in 0..35 {
        a.write(&format!("f{number}"), format!("{number}"));
    }
    a.settle().await;
    a.settle().await;
    a.remote.take_calls();
    a.settle().await;
    let calls = a.remote.take_calls();
    assert!(matches!(calls[..], [Call::ListingPage { tagged: true, offset: 0, .. }]), "{calls:?}");
}

#[tokio::test]
async fn a_renamed_directory_moves_no_content() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    for number in 0..1000 {
        // Some contents are equal: those are paired by their inodes here, and by their names there.
        a.write(&format!("old/{}/f{number}", number % 7), format!("{}", number / 2));
    }
    a.settle().await;
    b.settle().await;
    a.remote.take_calls();
    b.remote.take_calls();
    a.rename("old", "new/place");
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert!(!b.root().join("old").exists());
    for device in [&a, &b] {
        let calls = device.remote.take_calls();
        let moved = |call: &&Call| matches!(call, Call::Upload { .. } | Call::Download { .. } | Call::OpenSession(_));
        assert_eq!(calls.iter().filter(moved).count(), 0, "{}", device.name);
    }
}

#[tokio::test]
async fn swapped_names_arrive_as_renames() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("x", "first");
    a.write("y", "second");
    a.settle().await;
    b.settle().await;
    a.remote.take_calls();
    a.rename("x", "t");
    a.rename("y", "x");
    a.rename("t", "y");
    a.settle().await;
    b.settle().await;
    assert_eq!((a.read("x"), a.read("y")), (b"second".to_vec(), b"first".to_vec()));
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn a_moved_and_edited_file_arrives() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("draft", "one");
    a.settle().await;
    b.settle().await;
    a.rename("draft", "final/text");
    a.write("final/text", "one and more");
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.read("final/text"), b"one and more");
}

#[tokio::test]
async fn both_versions_of_a_conflict_are_kept_until_it_is_resolved() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("plan.txt", "base");
    a.settle().await;
    b.settle().await;
    a.write("plan.txt", "from a");
    b.write("plan.txt", "from b");
    a.settle().await;
    let status = b.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1));
    assert_eq!(b.read("plan.txt"), b"from a");
    let copies: Vec<_> = b.tree().into_iter().filter(|(name, _)| name.contains("(conflict, b, ")).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].1, b"from b");
    a.settle().await;
    assert_eq!(a.tree(), b.tree());

    let open = b.handle().conflicts().await.unwrap();
    b.handle().resolve(open[0].id, Resolution::KeepLocal).await.unwrap();
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().into_iter().collect::<Vec<_>>(), [("plan.txt".to_owned(), b"from b".to_vec())]);
    assert!(matches!(
        b.handle().resolve(open[0].id, Resolution::KeepBoth).await,
        Err(CommandError::NoSuch { what: "conflict", .. })
    ));
}

#[tokio::test]
async fn an_edit_survives_a_deletion_on_the_other_side() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("kept-there", "1");
    a.write("kept-here", "1");
    a.settle().await;
    b.settle().await;
    a.delete("kept-there");
    a.write("kept-here", "edited by a");
    b.write("kept-there", "edited by b");
    b.delete("kept-here");
    a.settle().await;
    b.settle().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.read("kept-there"), b"edited by b");
    assert_eq!(b.read("kept-here"), b"edited by a");
}

#[tokio::test]
async fn equal_files_on_a_first_run_are_adopted_and_different_ones_kept_both() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("same", "same");
    a.write("differs", "from a");
    a.settle().await;
    let mut b = Device::new("b", &server);
    b.stop().await;
    b.write("same", "same");
    b.write("differs", "from b");
    b.start();
    b.sync().await;
    a.settle().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().len(), 3);
    let calls = b.remote.take_calls();
    assert_eq!(calls.iter().filter(|call| matches!(call, Call::Upload { .. })).count(), 1, "{calls:?}");
}

#[tokio::test]
async fn a_change_is_noticed_without_being_asked() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    a.write("written", "by an editor");
    a.until(|status| status.state == FolderState::Idle && status.synced_files == 1).await;
}

#[tokio::test]
async fn files_are_read_written_moved_and_removed_on_the_server() {
    let server = server();
    let a = Device::new("a", &server);
    let content = bytes(600_000, 9);
    a.write("big", &content);
    a.settle().await;
    let handle = a.handle();
    let names = |listed: Vec<(RelPath, _)>| listed.into_iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>();
    assert_eq!(names(handle.list(None).await.unwrap()), ["big"]);
    let ranges = [(None, 0..600_000), (Some(10..20), 10..20), (Some(262_140..262_150), 262_140..262_150)];
    let cut = [(Some(599_990..700_000), 599_990..600_000), (Some(5..5), 5..5)];
    for (range, wanted) in ranges.into_iter().chain(cut) {
        let mut file = handle.read(path("big"), range).await.unwrap();
        let mut got = Vec::new();
        while let Some(piece) = file.content.recv().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, content[wanted]);
    }
    let source = a.place.path().join("elsewhere");
    std::fs::write(&source, "put").unwrap();
    let open = || std::fs::File::open(&source).unwrap();
    handle.put(path("sub/put"), open(), false).await.unwrap();
    assert!(matches!(handle.put(path("sub/put"), open(), false).await, Err(CommandError::Exists(_))));
    handle.rename(path("big"), path("sub/big")).await.unwrap();
    assert!(matches!(handle.rename(path("big"), path("x")).await, Err(CommandError::NotFound(_))));
    a.settle().await;
    assert_eq!(a.tree().keys().collect::<Vec<_>>(), ["sub/big", "sub/put"]);
    handle.remove(path("sub/put")).await.unwrap();
    assert!(matches!(handle.remove(path("sub/put")).await, Err(CommandError::NotFound(_))));
    a.settle().await;
    assert_eq!(a.tree().keys().collect::<Vec<_>>(), ["sub/big"]);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("both", "1");
    a.settle().await;
    a.write("theirs", "2");
    a.settle().await;
    b.remote.take_calls();
    b.until(|status| status.cycles > 0).await;
    b.settle().await;
    a.write("theirs", "2, edited");
    a.settle().await;
    let (tree, files) = (b.tree(), server.files(kit::folder()));
    let plan = b.handle().dry_run().await.unwrap();
    let [Action::Download { path, replaces: Some(_), .. }] = plan.actions().collect::<Vec<_>>()[..] else {
        panic!("{plan:#?}")
    };
    assert_eq!(path.as_str(), "theirs");
    assert_eq!(b.tree(), tree);
    assert!(server.files(kit::folder()) == files);
}
