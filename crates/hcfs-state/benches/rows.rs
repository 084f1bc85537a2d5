//! What the state costs for a folder of 200,000 files: `cargo bench -p hcfs-state`.
#![allow(clippy::unwrap_used, reason = "a measurement that fails")]

use std::time::Instant;

use hcfs_model::{
    AccountAddress, FileId, Fingerprint, FolderHash, FolderLabel, Inode, LocalEntry, RelPath, RemoteEntry, Revision,
    RevisionId, SaltedHash, SyncedEntry, UnixNanos,
};
use hcfs_state::{Identity, LocalUpdate, RemoteUpdate, Settled, Store};

const FILES: u64 = 200_000;
const CHANGED: usize = 1_000;

fn main() {
    // Only `cargo bench` says so; test runs over all targets start this program too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let db = directory.path().join("state.db");
    let folder = FolderHash::of_label(&FolderLabel::new("documents").unwrap());
    let identity = Identity { account: AccountAddress::from_public_key([7; 32]), folder };
    let mut store = Store::open(&db, &identity).unwrap().store;

    let mut scan = LocalUpdate { at: UnixNanos(i64::MAX), ..LocalUpdate::default() };
    let mut listing = RemoteUpdate { tag: Some("tag".to_owned()), ..RemoteUpdate::default() };
    let mut settled = Vec::new();
    for n in 0..FILES {
        let path = RelPath::new(&format!("directory {}/part {}/file number {n}.txt", n % 40, n % 997)).unwrap();
        let (local, remote) = entries(&path, n, 1);
        let synced = SyncedEntry {
            hash: remote.hash,
            size: remote.size,
            file_id: remote.file_id,
            revision: remote.revision,
            inode: Some(local.fingerprint.inode),
        };
        scan.put.push((path.clone(), local));
        listing.put.push((path.clone(), remote.clone()));
        settled.push(Settled::Synced { path, local: None, remote, synced });
    }
    settled.sort_by(|one, other| path_of(one).cmp(path_of(other)));

    measure("first scan recorded", || store.record_local(&scan, true).unwrap());
    measure("first listing recorded", || store.record_remote(&listing, true).unwrap());
    measure("changed_rows, all of them", || assert_eq!(store.changed_rows().unwrap().len(), settled.len()));
    measure("settled, 1,000 a commit", || {
        for batch in settled.chunks(1_000) {
            store.settle(batch, &[]).unwrap();
        }
    });
    measure("the same scan again", || assert!(store.record_local(&scan, true).unwrap().is_empty()));
    measure("the same listing again", || assert!(store.record_remote(&listing, true).unwrap().is_empty()));
    measure("known_files", || assert_eq!(store.known_files().count(), settled.len()));
    measure("three trees merged", || assert_eq!(store.rows().count(), settled.len()));
    measure("check_all", || store.check_all().unwrap());

    let some: Vec<_> = listing.put.iter().step_by(settled.len() / CHANGED).collect();
    let put = some.iter().map(|(path, _)| (path.clone(), entries(path, 1, 2).1)).collect();
    let update = RemoteUpdate { put, ..RemoteUpdate::default() };
    measure("1,000 changes listed", || store.record_remote(&update, true).unwrap());
    measure("changed_rows, 1,000", || assert_eq!(store.changed_rows().unwrap().len(), CHANGED));
    measure("totals", || drop(store.totals().unwrap()));

    let copy = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    measure("closed", || drop(store));
    let store = measure("opened", || Store::open(&db, &identity).unwrap().store);
    println!("{:>10} bytes on disk", std::fs::metadata(&db).unwrap().len());
    drop(store);
    measure("opened after a kill", || drop(Store::open(&copy.path().join("state.db"), &identity).unwrap()));
}

fn path_of(settled: &Settled) -> &RelPath {
    match settled {
        Settled::Synced { path, .. } => path,
        other => unreachable!("{other:?}"),
    }
}

fn entries(path: &RelPath, number: u64, seq: u64) -> (LocalEntry, RemoteEntry) {
    let hash = SaltedHash(*blake(number ^ seq << 32).as_bytes());
    let inode = Inode { device: 2049, number };
    let fingerprint = Fingerprint { size: number, mtime: UnixNanos(1 << 60), ctime: UnixNanos(1 << 60), inode };
    let revision = Revision { seq, id: RevisionId(hash.0) };
    let remote = RemoteEntry { hash, size: number, file_id: FileId::of_path(path.as_str()), revision };
    (LocalEntry { hash, fingerprint, disk_path: None }, remote)
}

fn blake(number: u64) -> blake3::Hash {
    blake3::hash(&number.to_le_bytes())
}

fn measure<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    println!("{:>8.1} ms  {what}", start.elapsed().as_secs_f64() * 1e3);
    value
}
