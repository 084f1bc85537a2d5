use std::io;
use std::path::PathBuf;

use hcfs_fs::*;

use crate::scratch::*;

#[test]
fn a_folder_is_let_go_of_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("a"), "1").unwrap();
    let request = OpenRequest { root: &root, known: None, new_id: [3; 16], others: &[] };
    let folder = Folder::open(&request).unwrap();
    let known = folder.identity();
    assert!(!folder.is_absent() && folder.can_reopen());
    let absent = folder.let_go();
    drop(folder);
    assert!(absent.is_absent() && absent.can_reopen());
    assert_eq!((absent.identity(), absent.root()), (known, root.canonicalize().unwrap().as_path()));
    assert_eq!(absent.fingerprint(&rel("a"), None).unwrap(), None);
    assert!(absent.stage("ab", 1).is_err());
    let folder = absent.reopen(Some(known), [4; 16]).unwrap();
    assert!(!folder.is_absent() && folder.identity() == known);
    drop(folder);

    std::fs::remove_dir_all(&root).unwrap();
    assert!(matches!(absent.reopen(Some(known), [4; 16]).err(), Some(RootError::Missing { .. })));
    absent.make_root().unwrap();
    assert_eq!(absent.reopen(None, [4; 16]).unwrap().identity().id, [4; 16]);
    assert!(!Scratch::new().open().can_reopen(), "a disk that is none of the system's");
}

#[test]
fn what_is_missing_or_another_is_lost_and_what_only_fails_is_not() {
    let path = || PathBuf::from("root");
    let source = || io::Error::from(io::ErrorKind::PermissionDenied);
    for lost in [
        RootError::Missing { path: path() },
        RootError::NotADirectory { path: path() },
        RootError::NotMounted { path: path() },
        RootError::MarkerMissing { path: path() },
        RootError::MarkerDamaged { path: path() },
        RootError::Replaced { path: path(), difference: Difference::Marker },
    ] {
        assert!(lost.is_loss(), "{lost}");
    }
    for other in [
        RootError::NotReadable { path: path(), source: source() },
        RootError::NotWritable { path: path(), source: source() },
        RootError::InsideAnother { path: path(), other: path() },
        RootError::HeldBy { path: path(), pid: None },
        RootError::Io { path: path(), doing: "look", source: source() },
    ] {
        assert!(!other.is_loss(), "{other}");
    }
}
