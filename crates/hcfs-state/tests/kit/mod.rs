//! What the tests of the state share: paths, entries of small numbers, and a look at the files as they are on disk.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use hcfs_model::{
    AccountAddress, FileId, Fingerprint, FolderHash, FolderLabel, Inode, LocalEntry, RelPath, RemoteEntry, Revision,
    RevisionId, SaltedHash, SyncedEntry, UnixNanos,
};
use hcfs_state::{Identity, Known, LocalUpdate, Opened, Outcome, RemoteUpdate, Settled, Store};

pub(crate) fn identity() -> Identity {
    let folder = FolderHash::of_label(&FolderLabel::new("documents").unwrap());
    Identity { account: AccountAddress::from_public_key([7; 32]), folder }
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

pub(crate) fn salted(content: u8) -> SaltedHash {
    SaltedHash([content; 32])
}

/// A moment far after every time in a fingerprint.
pub(crate) const LATER: UnixNanos = UnixNanos(1_000_000_000_000);

pub(crate) fn local(content: u8) -> LocalEntry {
    let inode = Inode { device: u64::MAX, number: u64::MAX - u64::from(content) };
    let fingerprint = Fingerprint { size: u64::from(content), mtime: UnixNanos(-5), ctime: UnixNanos(9), inode };
    LocalEntry { hash: salted(content), fingerprint, disk_path: None }
}

pub(crate) fn known(content: u8) -> Known {
    Known { entry: local(content), hashed_at: LATER }
}

pub(crate) fn revision(seq: u64, content: u8) -> Revision {
    Revision { seq, id: RevisionId([content; 32]) }
}

pub(crate) fn remote(path: &RelPath, content: u8, seq: u64) -> RemoteEntry {
    RemoteEntry {
        hash: salted(content),
        size: u64::from(content),
        file_id: FileId::of_path(path.as_str()),
        revision: revision(seq, content),
    }
}

/// What is agreed on; of every second size with the inode that had it.
pub(crate) fn agreed(remote: &RemoteEntry) -> SyncedEntry {
    SyncedEntry {
        hash: remote.hash,
        size: remote.size,
        file_id: remote.file_id,
        revision: remote.revision,
        inode: (remote.size % 2 == 1).then_some(Inode { device: 3, number: 4 }),
    }
}

/// Both sides hold `content`.
pub(crate) fn synced(text: &str, content: u8, seq: u64) -> Settled {
    let path = path(text);
    let remote = remote(&path, content, seq);
    Settled::Synced { synced: agreed(&remote), path, local: Some(known(content)), remote }
}

pub(crate) fn found(files: &[(&str, u8)]) -> LocalUpdate {
    let put = files.iter().map(|(text, content)| (path(text), local(*content))).collect();
    LocalUpdate { put, remove: Vec::new(), at: LATER }
}

pub(crate) fn listed(files: &[(&str, u8, u64)]) -> RemoteUpdate {
    let put = files.iter().map(|(text, content, seq)| (path(text), remote(&path(text), *content, *seq))).collect();
    RemoteUpdate { put, remove: Vec::new(), tag: None }
}

pub(crate) fn open(path: &Path) -> Opened {
    Store::open(path, &identity()).unwrap()
}

pub(crate) fn existing(path: &Path) -> Store {
    let Opened { store, outcome } = open(path);
    assert_eq!(outcome, Outcome::Existing);
    store
}

/// A store in a directory of its own.
pub(crate) struct Scratch {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) db: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let db = directory.path().join("state.db");
        Self { directory, db }
    }

    pub(crate) fn files(&self) -> Vec<(String, std::time::SystemTime, Vec<u8>)> {
        files_in(self.directory.path())
    }
}

/// A closed database with rows of every kind of agreement.
pub(crate) fn filled() -> Scratch {
    let scratch = Scratch::new();
    let Opened { mut store, outcome } = open(&scratch.db);
    assert_eq!(outcome, Outcome::Fresh);
    let names: Vec<String> = (0..400).map(|n| format!("d{}/file {n}", n % 5)).collect();
    let settled: Vec<_> = names.iter().map(|name| synced(name, 1, 3)).collect();
    store.settle(&settled, &[]).unwrap();
    store.record_local(&found(&[("d1/new", 2), ("d1/file 1", 3)]), true).unwrap();
    store.record_remote(&listed(&[("d2/new", 2, 1), ("d2/file 2", 4, 4)]), true).unwrap();
    scratch
}

/// Name, time and bytes of every file in a directory.
pub(crate) fn files_in(directory: &Path) -> Vec<(String, std::time::SystemTime, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().modified().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}
