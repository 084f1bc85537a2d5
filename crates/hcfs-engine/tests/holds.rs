//! What waits for a person's word: every kind of hold, found, kept over restarts, accepted and restored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::sync::Arc;

use hcfs_engine::{FolderState, FolderStatus, OpenHold};
use hcfs_model::{RevisionId, UnixNanos};
use hcfs_remote::memory::MemoryServer;
use kit::{Device, folder, id, server};

/// Files of the folder before the loss.
const FILES: usize = 60;

/// What makes a hold, and what it must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    MassDeletionHere,
    TopDirectoryHere,
    MassDeletionThere,
    EmptyListing,
    UnknownFolder,
    Rollback,
    Equivocation,
    RootMissing,
    RootEmpty,
    RootReplaced,
    MarkerMissing,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::MassDeletionHere | Self::TopDirectoryHere => "mass_deletion_here",
            Self::MassDeletionThere | Self::EmptyListing => "mass_deletion_there",
            Self::UnknownFolder => "unknown_folder",
            Self::Rollback => "rollback",
            Self::Equivocation => "equivocation",
            Self::RootMissing => "root_missing",
            Self::RootEmpty => "root_empty",
            Self::RootReplaced | Self::MarkerMissing => "root_replaced",
        }
    }

    /// How many files there are before.
    fn files(self) -> usize {
        if self == Self::EmptyListing { 6 } else { FILES }
    }

    /// How many it concerns.
    fn count(self) -> usize {
        match self {
            Self::MassDeletionHere | Self::MassDeletionThere => 40,
            Self::TopDirectoryHere => 30,
            Self::Rollback | Self::Equivocation => 1,
            _ => self.files(),
        }
    }

    fn state(self) -> FolderState {
        match self {
            Self::Rollback | Self::Equivocation => FolderState::Attention,
            Self::RootMissing | Self::RootEmpty | Self::RootReplaced | Self::MarkerMissing => FolderState::Halted,
            _ => FolderState::Held,
        }
    }

    /// Whether the rest of the folder goes on.
    fn is_partial(self) -> bool {
        matches!(self.state(), FolderState::Attention)
            || matches!(self, Self::MassDeletionHere | Self::TopDirectoryHere | Self::MassDeletionThere)
    }

    /// Files here once it was accepted, or restored.
    fn left(self, accept: bool) -> usize {
        match self {
            _ if !accept => self.files(),
            Self::MassDeletionHere | Self::MassDeletionThere => FILES - 40,
            Self::TopDirectoryHere => FILES - 30,
            Self::Rollback | Self::Equivocation | Self::MarkerMissing => FILES,
            // One file was in the other directory.
            Self::RootReplaced => 1,
            Self::EmptyListing | Self::UnknownFolder | Self::RootMissing | Self::RootEmpty => 0,
        }
    }
}

fn name(number: usize) -> String {
    let top = if number < 30 { "d" } else { "e" };
    format!("{top}/{number:02}")
}

/// Loses something.
async fn lose(kind: Kind, server: &MemoryServer, a: &Device) {
    let gone: Vec<_> = (0..40).map(|number| id(&name(number))).collect();
    match kind {
        Kind::MassDeletionHere => (0..40).for_each(|number| a.delete(&name(number))),
        Kind::TopDirectoryHere => a.delete("d"),
        Kind::MassDeletionThere => server.tamper(folder(), |files| files.retain(|id, _| !gone.contains(id))),
        Kind::EmptyListing => server.tamper(folder(), std::collections::BTreeMap::clear),
        Kind::UnknownFolder => drop(server.unregister(folder()).unwrap()),
        Kind::Rollback => {
            let old = server.file(folder(), id(&name(0))).unwrap();
            a.write(&name(0), "newer");
            a.settle().await;
            server.tamper(folder(), |files| drop(files.insert(id(&name(0)), old)));
        }
        Kind::Equivocation => server.tamper(folder(), |files| {
            files.get_mut(&id(&name(0))).unwrap().revision.id = RevisionId([7; 32]);
        }),
        Kind::RootMissing => std::fs::rename(a.root(), a.place.path().join("away")).unwrap(),
        Kind::RootEmpty => {
            std::fs::rename(a.root(), a.place.path().join("away")).unwrap();
            std::fs::create_dir(a.root()).unwrap();
        }
        Kind::RootReplaced => {
            std::fs::rename(a.root(), a.place.path().join("away")).unwrap();
            a.write(&name(0), "0");
        }
        Kind::MarkerMissing => std::fs::remove_file(a.root().join(".hcfs/marker")).unwrap(),
    }
}

async fn only_hold(kind: Kind, a: &Device) -> OpenHold {
    let holds = a.handle().holds().await.unwrap();
    let [hold] = holds.as_slice() else { panic!("{kind:?}: {holds:#?}") };
    assert_eq!((hold.kind.as_str(), hold.count), (kind.word(), kind.count() as u64), "{kind:?}");
    assert!((1..=10).contains(&hold.examples.len()), "{kind:?}: {hold:?}");
    assert!(hold.of >= hold.count && hold.at > UnixNanos(0), "{kind:?}: {hold:?}");
    hold.clone()
}

async fn is_held(kind: Kind, a: &Device) -> Arc<FolderStatus> {
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (kind.state(), 1), "{kind:?}: {status:#?}");
    status
}

async fn story(kind: Kind, accept: bool, restarts: bool) {
    let server = server();
    let mut a = Device::new("a", &server);
    for number in 0..kind.files() {
        a.write(&name(number), number.to_string());
    }
    a.settle().await;
    lose(kind, &server, &a).await;
    let before = (a.tree().len(), server.files(folder()).len());
    is_held(kind, &a).await;
    let hold = only_hold(kind, &a).await;
    if restarts {
        a.restart().await;
        is_held(kind, &a).await;
    }
    // It is the same question, and nothing was done meanwhile.
    assert_eq!(only_hold(kind, &a).await, hold);
    assert_eq!((a.tree().len(), server.files(folder()).len()), before, "{kind:?}");
    let mut more = 0;
    if kind.is_partial() {
        more = 1;
        a.write("other", "goes on");
        is_held(kind, &a).await;
        assert!(server.file(folder(), id("other")).is_some(), "{kind:?}: others go on");
    }

    a.handle().settle_hold(hold.id, accept).await.unwrap();
    if restarts {
        a.restart().await;
    }
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (FolderState::Idle, 0), "{kind:?} {accept} {restarts}: {status:#?}");
    let left = kind.left(accept) + more;
    let found = (a.tree().len(), server.files(folder()).len());
    assert_eq!(found, (left, left), "{kind:?} {accept} {restarts}: files here and there");
    // Nobody is asked again.
    a.restart().await;
    a.settle().await;
    assert_eq!(a.tree().len(), left, "{kind:?}");
    if accept && matches!(kind, Kind::MassDeletionThere | Kind::EmptyListing | Kind::UnknownFolder) {
        assert_eq!(a.trash().len(), kind.count(), "{kind:?}: what was deleted here can be had back");
    }
    a.stop().await;
}

async fn stories(kinds: &[Kind]) {
    for &kind in kinds {
        for accept in [true, false] {
            for restarts in [false, true] {
                story(kind, accept, restarts).await;
            }
        }
    }
}

#[tokio::test]
async fn many_deletions_here_wait_and_are_accepted_or_restored() {
    stories(&[Kind::MassDeletionHere, Kind::TopDirectoryHere]).await;
}

#[tokio::test]
async fn a_shrinking_listing_waits_and_is_accepted_or_restored() {
    stories(&[Kind::MassDeletionThere]).await;
}

#[tokio::test]
async fn an_empty_listing_waits_and_is_accepted_or_restored() {
    stories(&[Kind::EmptyListing]).await;
}

#[tokio::test]
async fn a_folder_the_server_does_not_know_waits_and_is_accepted_or_sent_again() {
    stories(&[Kind::UnknownFolder]).await;
}

#[tokio::test]
async fn a_rollback_waits_and_is_taken_or_undone() {
    stories(&[Kind::Rollback]).await;
}

#[tokio::test]
async fn an_equivocation_waits_and_is_taken_or_undone() {
    stories(&[Kind::Equivocation]).await;
}

#[tokio::test]
async fn a_missing_root_waits_and_is_accepted_or_restored() {
    stories(&[Kind::RootMissing]).await;
}

#[tokio::test]
async fn an_emptied_or_unmounted_root_waits_and_is_accepted_or_restored() {
    stories(&[Kind::RootEmpty]).await;
}

#[tokio::test]
async fn a_replaced_root_waits_and_is_accepted_or_restored() {
    stories(&[Kind::RootReplaced, Kind::MarkerMissing]).await;
}

#[tokio::test]
async fn a_root_that_is_back_needs_no_answer() {
    for restarts in [false, true] {
        let server = server();
        let mut a = Device::new("a", &server);
        a.write("file", "1");
        a.settle().await;
        let away = a.place.path().join("away");
        std::fs::rename(a.root(), &away).unwrap();
        is_halted(&a).await;
        std::fs::create_dir(a.root()).unwrap();
        if restarts {
            a.restart().await;
        }
        is_halted(&a).await;
        // Nothing is written where the folder is not.
        assert_eq!(std::fs::read_dir(a.root()).unwrap().count(), 0);
        std::fs::remove_dir(a.root()).unwrap();
        std::fs::rename(&away, a.root()).unwrap();
        a.write("meanwhile", "2");
        a.settle().await;
        assert!(a.handle().holds().await.unwrap().is_empty());
        assert_eq!(server.files(folder()).len(), 2);
        // The directory is watched again.
        a.write("later", "3");
        a.until(|status| status.synced_files == 3).await;
        a.stop().await;
    }
}

async fn is_halted(a: &Device) {
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (FolderState::Halted, 1), "{status:#?}");
    assert!(status.trouble.as_ref().unwrap().1.contains("hcfs holds"), "{status:#?}");
}

#[tokio::test]
async fn a_root_that_became_a_file_halts_and_no_answer_helps() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("file", "1");
    a.settle().await;
    let away = a.place.path().join("away");
    std::fs::rename(a.root(), &away).unwrap();
    std::fs::write(a.root(), "a file").unwrap();
    let status = a.sync().await;
    assert_eq!((status.state, status.holds), (FolderState::Halted, 0), "{status:#?}");
    assert_eq!(std::fs::read(a.root()).unwrap(), b"a file");
    std::fs::remove_file(a.root()).unwrap();
    std::fs::rename(&away, a.root()).unwrap();
    a.settle().await;
    a.stop().await;
}

#[tokio::test]
async fn a_root_is_not_made_below_a_place_that_is_missing() {
    let server = server();
    let mut a = Device::with("a", &server, |spec| {
        spec.root = spec.root.join("drive/docs");
        if !spec.database.exists() {
            std::fs::create_dir_all(&spec.root).unwrap();
        }
    });
    let drive = a.root().join("drive");
    a.write("drive/docs/file", "1");
    a.settle().await;
    std::fs::rename(&drive, a.place.path().join("away")).unwrap();
    is_halted(&a).await;
    let hold = a.handle().holds().await.unwrap()[0].id;
    for accept in [true, false] {
        assert!(a.handle().settle_hold(hold, accept).await.is_err());
    }
    assert_eq!(server.files(folder()).len(), 1);
    std::fs::rename(a.place.path().join("away"), &drive).unwrap();
    a.settle().await;
    a.stop().await;
}

#[tokio::test]
async fn what_a_replaced_root_holds_is_joined_and_nothing_of_it_is_lost() {
    let server = server();
    let mut a = Device::new("a", &server);
    for (path, content) in [("same", "s"), ("other", "old"), ("gone", "g")] {
        a.write(path, content);
    }
    a.settle().await;
    std::fs::rename(a.root(), a.place.path().join("away")).unwrap();
    for (path, content) in [("same", "s"), ("other", "found here"), ("new", "n")] {
        a.write(path, content);
    }
    is_halted(&a).await;
    let hold = a.handle().holds().await.unwrap()[0].id;
    a.handle().settle_hold(hold, false).await.unwrap();
    let status = a.sync().await;
    assert_eq!((status.state, status.conflicts), (FolderState::Attention, 1), "{status:#?}");
    let contents: std::collections::BTreeSet<_> = a.tree().into_values().collect();
    let wanted = ["s", "old", "found here", "g", "n"].map(|text| text.as_bytes().to_vec());
    assert_eq!(contents, wanted.into_iter().collect());
    a.stop().await;
}

/// The one hold of a folder: its kind and how many files wait.
async fn waiting(device: &Device) -> (String, u64) {
    let holds = device.handle().holds().await.unwrap();
    let [hold] = holds.as_slice() else { panic!("{holds:#?}") };
    (hold.kind.clone(), hold.count)
}

#[tokio::test]
async fn deletions_that_come_in_portions_are_one() {
    let server = server();
    let (a, mut b) = (Device::new("a", &server), Device::new("b", &server));
    (0..FILES).for_each(|number| a.write(&name(number), number.to_string()));
    a.settle().await;
    b.settle().await;
    (0..20).for_each(|number| a.delete(&name(number)));
    a.settle().await;
    b.settle().await;
    (20..40).for_each(|number| a.delete(&name(number)));
    assert_eq!(a.sync().await.state, FolderState::Held);
    assert_eq!(waiting(&a).await, ("mass_deletion_here".to_owned(), 20));
    assert_eq!(server.files(folder()).len(), 40);

    // What one device was allowed is asked on the other as well.
    a.handle().settle_hold(a.handle().holds().await.unwrap()[0].id, true).await.unwrap();
    a.settle().await;
    assert_eq!(b.sync().await.state, FolderState::Held);
    assert_eq!(waiting(&b).await, ("mass_deletion_there".to_owned(), 20));
    // The question stays although a restart does not know of the first portion.
    b.restart().await;
    assert_eq!(b.sync().await.state, FolderState::Held);
    assert_eq!((waiting(&b).await.1, b.tree().len()), (20, 40));

    // Nobody is asked again for what comes after an answer.
    a.delete(&name(40));
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 19);
    b.handle().settle_hold(b.handle().holds().await.unwrap()[0].id, true).await.unwrap();
    b.settle().await;
    a.delete(&name(41));
    a.settle().await;
    b.settle().await;
    assert_eq!(a.tree(), b.tree());
}

#[tokio::test]
async fn files_that_come_and_go_and_rules_that_exclude_are_no_deletion() {
    let server = server();
    let a = Device::new("a", &server);
    (0..FILES).for_each(|number| a.write(&name(number), number.to_string()));
    a.settle().await;
    for round in 0..3 {
        (0..20).for_each(|number| a.write(&format!("t/{number}"), format!("{round} {number}")));
        a.settle().await;
        (0..20).for_each(|number| a.delete(&format!("t/{number}")));
        a.settle().await;
    }
    a.write(".hcfsignore", "/e\n");
    a.settle().await;
    a.delete(&name(0));
    a.settle().await;
}

#[tokio::test]
async fn an_answer_that_was_given_cannot_be_given_again() {
    let server = server();
    let a = Device::new("a", &server);
    (0..FILES).for_each(|number| a.write(&name(number), number.to_string()));
    a.settle().await;
    (0..40).for_each(|number| a.delete(&name(number)));
    a.sync().await;
    let handle = a.handle();
    let id = handle.holds().await.unwrap()[0].id;
    // It is accepted, and not carried out: the folder is paused.
    handle.pause().await.unwrap();
    handle.settle_hold(id, true).await.unwrap();
    for accept in [false, true] {
        let again = handle.settle_hold(id, accept).await;
        assert!(matches!(again, Err(hcfs_engine::CommandError::NoSuch { .. })), "{again:?}");
    }
    handle.resume().await.unwrap();
    a.settle().await;
    assert_eq!(server.files(folder()).len(), FILES - 40);
}
