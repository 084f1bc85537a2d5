use hcfs_model::{CiphertextHash, FileId, FolderHash, Revision, RevisionId, SaltedHash};
use tempfile::TempDir;

use super::*;
use crate::blobs::{BlobPlace, ObjectId, ObjectName};
use crate::metadata::{FileKey, Files, FolderKey, NewRevision};

fn open() -> (TempDir, Sqlite) {
    let directory = TempDir::new().unwrap();
    let metadata = Sqlite::open(&directory.path().join("db")).unwrap();
    (directory, metadata)
}

fn folder() -> FolderKey {
    let account = AccountAddress::from_public_key([1; 32]);
    FolderKey { account, folder: FolderHash::from_hex("0011223344556677").unwrap() }
}

fn file(number: u8) -> FileId {
    FileId([number; 32])
}

fn new(file: FileId, content: u8) -> NewRevision {
    NewRevision {
        key: FileKey { folder: folder(), file },
        salted_hash: SaltedHash([content; 32]),
        size: u64::from(content),
        revision: Revision { seq: 1, id: RevisionId([content; 32]) },
        base: None,
        ciphertext: CiphertextHash([content; 32]),
        encrypted_path: Vec::new(),
        file_name: None,
        relative_path: None,
        source: None,
        session: None,
        now: 1,
    }
}

fn place(number: u8) -> BlobPlace {
    BlobPlace::whole(ObjectName::Id(ObjectId([number; 16])), 1)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn a_commit_is_a_promise() {
    let (_directory, metadata) = open();
    let read =
        |pragma: &'static str| {
            block_on(metadata.write(move |db| {
                Ok(db.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0))?)
            }))
        };
    assert_eq!(read("journal_mode").unwrap(), rusqlite::types::Value::Text("wal".to_owned()));
    assert_eq!(read("synchronous").unwrap(), rusqlite::types::Value::Integer(2), "FULL");
    assert_eq!(read("foreign_keys").unwrap(), rusqlite::types::Value::Integer(1));
}

#[test]
fn one_failing_request_of_a_group_takes_no_other_with_it() {
    let (_directory, metadata) = open();
    block_on(async {
        let insert = |text: &'static str, fails: bool| {
            metadata.write(move |db| {
                db.execute("INSERT INTO accounts (ss58, created_at) VALUES (?1, 0)", [text])?;
                if fails { Err(MetadataError::SessionGone) } else { Ok(()) }
            })
        };
        let (first, second, third) = tokio::join!(insert("a", false), insert("b", true), insert("c", false));
        assert!(first.is_ok() && third.is_ok());
        assert!(matches!(second, Err(MetadataError::SessionGone)));
        let count: i64 =
            metadata.read(|db| Ok(db.query_row("SELECT count(*) FROM accounts", (), |row| row.get(0))?)).await.unwrap();
        assert_eq!(count, 2);
    });
}

#[test]
fn a_commit_goes_on_without_its_client() {
    let (_directory, metadata) = open();
    block_on(async {
        let (start, started) = std::sync::mpsc::channel::<()>();
        let wait = metadata.write(move |_| Ok(started.recv().is_ok()));
        let commit = metadata.commit(new(file(1), 1), place(1));
        let mut both = Box::pin(async { tokio::join!(wait, commit) });
        assert!(futures_util::poll!(&mut both).is_pending());
        drop(both);
        start.send(()).unwrap();
        // The writer works in order: this answer comes after that commit.
        metadata.write(|_| Ok(())).await.unwrap();
        assert!(metadata.file(FileKey { folder: folder(), file: file(1) }).await.unwrap().is_some());
    });
}
