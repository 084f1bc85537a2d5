use std::path::Path;

use hcfs_fs::*;

use crate::faults::{EACCES, EIO, Fault, Script, Scripted};
use crate::scratch::{Scratch, scan};

fn request(root: &Path) -> OpenRequest<'_> {
    OpenRequest { root, known: None, new_id: [3; 16], others: &[] }
}

fn refused(request: &OpenRequest<'_>) -> RootError {
    Folder::open(request).err().expect("the folder must not open")
}

#[test]
fn makes_its_state_once_and_knows_itself_again() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Folder::open(&request(dir.path())).unwrap().identity();
    assert_eq!(identity.id, [3; 16]);
    assert_eq!(
        std::fs::read_to_string(dir.path().join(".hcfs/marker")).unwrap(),
        "hcfs folder\nversion 1\nid 03030303030303030303030303030303\n"
    );
    // A marker that is there wins over the new id, and the remembered root opens.
    let other = OpenRequest { new_id: [4; 16], ..request(dir.path()) };
    assert_eq!(Folder::open(&other).unwrap().identity(), identity);
    let known = OpenRequest { known: Some(identity), ..request(dir.path()) };
    let folder = Folder::open(&known).unwrap();
    folder.recheck().unwrap();
    assert!(scan(&folder).0.is_empty(), "the state directory is never listed");
}

#[test]
fn a_marker_that_is_adopted_is_made_durable() {
    let scratch = Scratch::new();
    // Whoever made it may have been cut off before its name was.
    drop(scratch.open());
    scratch.script.log.lock().unwrap().clear();
    drop(scratch.open());
    assert_eq!(*scratch.script.log.lock().unwrap(), ["sync .hcfs", "sync "]);
}

#[test]
fn a_missing_root_and_a_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    assert!(matches!(refused(&request(&path)), RootError::Missing { .. }));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(refused(&request(&path)), RootError::NotADirectory { .. }));
}

#[test]
fn a_second_opener_is_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let held = Folder::open(&request(dir.path())).unwrap();
    match refused(&request(dir.path())) {
        RootError::HeldBy { pid, .. } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other}"),
    }
    drop(held);
    Folder::open(&request(dir.path())).unwrap();
}

#[test]
fn an_empty_root_that_was_not_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Folder::open(&request(dir.path())).unwrap().identity();
    std::fs::remove_dir_all(dir.path().join(".hcfs")).unwrap();
    let known = OpenRequest { known: Some(identity), ..request(dir.path()) };
    assert!(matches!(refused(&known), RootError::NotMounted { .. }));
    assert!(!dir.path().join(".hcfs").exists());
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(matches!(refused(&known), RootError::MarkerMissing { .. }));
}

#[test]
fn another_marker_and_another_directory_are_a_replaced_root() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    let identity = Folder::open(&request(&one)).unwrap().identity();
    Folder::open(&OpenRequest { new_id: [5; 16], ..request(&two) }).unwrap();
    let known = |root| OpenRequest { known: Some(identity), ..request(root) };
    assert!(matches!(refused(&known(&two)), RootError::Replaced { difference: Difference::Marker, .. }));
    // A copy of the whole folder, marker and all.
    std::fs::copy(one.join(".hcfs/marker"), two.join(".hcfs/marker")).unwrap();
    assert!(matches!(refused(&known(&two)), RootError::Replaced { difference: Difference::Directory, .. }));
    std::fs::write(one.join(".hcfs/marker"), "hello").unwrap();
    assert!(matches!(refused(&known(&one)), RootError::MarkerDamaged { .. }));
}

#[test]
fn a_root_that_goes_away_while_open_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let folder = Folder::open(&request(&root)).unwrap();
    folder.recheck().unwrap();
    std::fs::rename(&root, dir.path().join("away")).unwrap();
    assert!(matches!(folder.recheck(), Err(RootError::Missing { .. })));
    std::fs::write(&root, "").unwrap();
    assert!(matches!(folder.recheck(), Err(RootError::NotADirectory { .. })));
    std::fs::remove_file(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    assert!(matches!(folder.recheck(), Err(RootError::Replaced { difference: Difference::Directory, .. })));
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(dir.path().join("away"), &root).unwrap();
    folder.recheck().unwrap();
    std::fs::remove_file(root.join(".hcfs/marker")).unwrap();
    assert!(matches!(folder.recheck(), Err(RootError::MarkerMissing { .. })));
}

#[test]
fn folders_in_one_another_are_refused_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    std::fs::create_dir_all(&inner).unwrap();
    let outer = dir.path().canonicalize().unwrap();
    // Known only by the caller's list.
    let others = [inner.canonicalize().unwrap()];
    let request_outer = OpenRequest { others: &others, ..request(&outer) };
    assert!(matches!(refused(&request_outer), RootError::InsideAnother { other, .. } if other == others[0]));
    // Known by the marker above.
    drop(Folder::open(&request(&outer)).unwrap());
    assert!(matches!(refused(&request(&inner)), RootError::InsideAnother { other, .. } if other == outer));
}

#[test]
fn a_link_at_the_state_directory_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (dir.path().join("root"), dir.path().join("elsewhere"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join(".hcfs")).unwrap();
    refused(&request(&root));
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_folder_on_a_disk_that_refuses_writes_says_so() {
    for errno in [EACCES, 30 /* read-only */] {
        let scratch = Scratch::new();
        // The first call looks at the root, the second makes `.hcfs/`.
        scratch.script.arm(1, Fault::Once(errno));
        let disk = Scripted::over(scratch.dir.path(), &scratch.script);
        let error = Folder::over(disk, None, [1; 16]).err().unwrap();
        assert!(matches!(error, RootError::NotWritable { .. }), "{error}");
    }
}

#[test]
fn opening_can_die_anywhere_and_succeeds_the_next_time() {
    for at in 0.. {
        let scratch = Scratch::in_memory(Script::default());
        scratch.script.arm(at, Fault::Death);
        let disk = Scripted::over(scratch.dir.path(), &scratch.script);
        let opened = Folder::over(disk, None, [1; 16]).map(drop);
        let reached = scratch.script.disarm();
        let folder = scratch.open();
        folder.recheck().unwrap();
        if !reached {
            opened.unwrap();
            assert!(at > 8, "the loop went through the steps");
            break;
        }
    }
}

#[test]
fn every_refusal_has_a_sentence_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(&request(&dir.path().join("gone")));
    assert!(error.to_string().ends_with("gone\" does not exist"), "{error}");
    assert!(error.hint().contains("create the directory"));
}

#[test]
fn whether_case_is_folded_is_known_or_the_folder_does_not_open() {
    for at in 0.. {
        let scratch = Scratch::in_memory(Script { folds_case: true, no_sync: true, ..Script::default() });
        scratch.script.arm(at, Fault::Once(EIO));
        let opened = scratch.try_open();
        let reached = scratch.script.disarm();
        assert!(opened.is_err() || opened.is_ok_and(|folder| folder.is_case_insensitive()), "call {at}");
        if !reached {
            assert!(at > 10, "the loop went through the steps");
            break;
        }
    }
}
