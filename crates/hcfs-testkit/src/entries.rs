//! Entries made from small numbers.

use hcfs_model::{
    FileId, Fingerprint, Inode, LocalEntry, RelPath, RemoteEntry, Revision, RevisionId, Row, SaltedHash, SyncedEntry,
    UnixNanos,
};

/// A path.
///
/// # Panics
/// If the text is not a path.
#[must_use]
#[expect(clippy::panic, reason = "a wrong path is a mistake in the test that names it")]
pub fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The hash of content number `content`.
#[must_use]
pub fn hash(content: u8) -> SaltedHash {
    SaltedHash([content; 32])
}

/// Version number `seq` with the server's name number `id`.
#[must_use]
pub fn revision(seq: u64, id: u64) -> Revision {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&id.to_be_bytes());
    Revision { seq, id: RevisionId(bytes) }
}

fn inode(number: u64) -> Inode {
    Inode { device: 1, number }
}

/// A file on disk.
#[must_use]
pub fn local(content: u8, number: u64) -> LocalEntry {
    let time = UnixNanos(i64::from(content));
    let fingerprint = Fingerprint { size: u64::from(content), mtime: time, ctime: time, inode: inode(number) };
    LocalEntry { hash: hash(content), fingerprint, disk_path: None }
}

/// A version on the server, of a file with an id that tests need not care about.
#[must_use]
pub fn remote(content: u8, revision: Revision) -> RemoteEntry {
    RemoteEntry { hash: hash(content), size: u64::from(content), file_id: FileId([0; 32]), revision }
}

/// An agreed version, and the inode of the file that held it.
#[must_use]
pub fn synced(content: u8, revision: Revision, number: Option<u64>) -> SyncedEntry {
    let size = u64::from(content);
    SyncedEntry { hash: hash(content), size, file_id: FileId([0; 32]), revision, inode: number.map(inode) }
}

/// A row written as in protocol §6: three letters for local, remote and synced content, `-` for none.
///
/// The local file has inode `number`, and so has the synced row if its content is the local one or there is no local
/// file. The remote version has the synced revision if its content is the same, else a newer one.
#[must_use]
pub fn row(letters: [char; 3], number: u64) -> Row {
    let [here, there, agreed] = letters.map(|letter| u8::try_from(letter).ok().filter(|_| letter != '-'));
    let same = here.is_none() || here == agreed;
    Row {
        local: here.map(|content| local(content, number)),
        remote: there.map(|content| remote(content, if there == agreed { revision(1, 1) } else { revision(2, 2) })),
        synced: agreed.map(|content| synced(content, revision(1, 1), same.then_some(number))),
    }
}
