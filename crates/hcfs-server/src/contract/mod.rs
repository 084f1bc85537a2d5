//! What every store promises, as cases that run over any of them.
//!
//! A test brings a storage of its own: SQLite and a directory here, PostgreSQL and S3 in the tests above every crate. A
//! case has an account of its own, so cases share a storage. A new question to the metadata store gets a case
//! here; a failing case panics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "a case fails by panicking")]

mod accounts;
mod blobs;
mod collection;
mod feed;
mod metadata;
mod names;
mod renames;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, Revision, RevisionId, SaltedHash, UnixNanos};

use crate::blobs::{BlobPlace, BlobStore, ObjectId, ObjectName};
use crate::metadata::{FileKey, FolderKey, MetadataStore, NewRevision};
use crate::stores::{Sharing, open_blobs, open_metadata};
use crate::{Clock, Storage};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A case and its name.
type Case = (&'static str, fn(Subject) -> Running);

/// Names async functions as cases.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) fn cases() -> Vec<$crate::contract::Case> {
            vec![$((stringify!($name), |subject| Box::pin($name(subject)))),*]
        }
    };
}
use cases;

/// Runs every case over a storage that nothing else uses.
///
/// # Panics
/// A case fails; all that do are named.
pub async fn run(storage: &Storage) {
    let time = Arc::new(AtomicI64::new(1_800_000_000));
    let clock = {
        let time = Arc::clone(&time);
        Clock::new(move || UnixNanos(time.load(Ordering::Relaxed) * 1_000_000_000))
    };
    let metadata = open_metadata(storage).await.unwrap();
    let blobs = open_blobs(storage, &clock, Sharing::Alone { reserve_bytes: 0 }).await.unwrap();
    let mut failed = Vec::new();
    let of_metadata = [metadata::cases(), accounts::cases(), renames::cases(), feed::cases(), names::cases()];
    let all = of_metadata.into_iter().chain([blobs::cases(), collection::cases()]);
    for (name, case) in all.flatten() {
        let subject = Subject {
            metadata: Arc::clone(&metadata),
            blobs: Arc::clone(&blobs),
            account: AccountAddress::from_public_key(random()),
            clock: clock.clone(),
            time: Arc::clone(&time),
        };
        if tokio::spawn(case(subject)).await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "the storage breaks the contract: {}", failed.join(", "));
}

/// What a case works with.
struct Subject {
    metadata: Arc<dyn MetadataStore>,
    blobs: Arc<dyn BlobStore>,
    account: AccountAddress,
    clock: Clock,
    /// What the clock reads, in seconds.
    time: Arc<AtomicI64>,
}

impl Subject {
    fn folder(&self) -> FolderKey {
        FolderKey { account: self.account.clone(), folder: FolderHash::from_hex("0011223344556677").unwrap() }
    }

    fn key(&self, file: u8) -> FileKey {
        FileKey { folder: self.folder(), file: FileId([file; 32]) }
    }

    /// A first revision of a file; its content says its size and ids.
    fn first(&self, file: u8, content: u8) -> NewRevision {
        NewRevision {
            key: self.key(file),
            salted_hash: SaltedHash([content; 32]),
            size: u64::from(content),
            revision: Revision { seq: 1, id: RevisionId([content; 32]) },
            base: None,
            ciphertext: CiphertextHash([content; 32]),
            encrypted_path: vec![content; 3],
            file_name: None,
            relative_path: None,
            source: None,
            session: None,
            now: 100,
        }
    }

    /// The revision after one that has this content.
    fn next(&self, file: u8, content: u8, base: u8, seq: u64) -> NewRevision {
        let mut new = self.first(file, content);
        new.revision.seq = seq;
        new.base = Some(RevisionId([base; 32]));
        new
    }
}

/// A place in an object of its own.
fn somewhere() -> BlobPlace {
    BlobPlace::whole(ObjectName::Id(ObjectId(random())), 1)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_and_a_directory_keep_the_contract() {
        let directory = tempfile::TempDir::new().unwrap();
        run(&Storage::local(directory.path().to_owned())).await;
    }
}
