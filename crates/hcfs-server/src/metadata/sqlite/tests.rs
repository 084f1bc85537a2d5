use std::collections::BTreeMap;

use hcfs_model::{CiphertextHash, FileId, FolderHash, Revision, RevisionId, SaltedHash};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::blobs::{BlobPlace, ObjectId, ObjectName};
use crate::metadata::{
    Change, Changed, Committed, FeedPage, Feeds, FileKey, Files, FolderKey, NewRevision, Rename, RenameFailure,
};

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

#[test]
fn a_page_is_bounded_in_bytes_and_paging_goes_on() {
    let (_directory, metadata) = open();
    block_on(async {
        let commits = (0..1_200_u32).map(|number| {
            let mut new = new(FileId(*blake3::hash(&number.to_le_bytes()).as_bytes()), 1);
            new.encrypted_path = vec![7; 8_192];
            metadata.commit(new, place(1))
        });
        futures_util::future::join_all(commits).await.into_iter().for_each(|committed| {
            assert!(matches!(committed, Ok(Committed::Stored { .. })));
        });
        let first = metadata.listing(folder(), 0, 5_000).await.unwrap();
        assert!((500..1_200).contains(&first.files.len()), "{}", first.files.len());
        assert_eq!(first.total, 1_200);
        let second = metadata.listing(folder(), first.files.len() as u64, 5_000).await.unwrap();
        assert_eq!(first.files.len() + second.files.len(), 1_200);
    });
}

/// The rule of a batch, said plainly: entries drop out until nothing blocks the rest.
fn model(files: &BTreeMap<u8, u8>, batch: &[(u8, u8)]) -> (BTreeMap<u8, u8>, Vec<Result<(), RenameFailure>>) {
    let mut outcomes = vec![Ok(()); batch.len()];
    for (index, (old, new)) in batch.iter().enumerate() {
        let earlier = |check: &dyn Fn(&(u8, u8)) -> bool| {
            (0..index).any(|before| outcomes[before].is_ok() && check(&batch[before]))
        };
        outcomes[index] = if !files.contains_key(old) || earlier(&|before| before.0 == *old) {
            Err(RenameFailure::NotFound)
        } else if earlier(&|before| before.1 == *new) {
            Err(RenameFailure::TargetExists)
        } else {
            Ok(())
        };
    }
    loop {
        let moves = |path: u8| (0..batch.len()).any(|other| outcomes[other].is_ok() && batch[other].0 == path);
        let stuck = (0..batch.len())
            .find(|index| outcomes[*index].is_ok() && files.contains_key(&batch[*index].1) && !moves(batch[*index].1));
        match stuck {
            Some(index) => outcomes[index] = Err(RenameFailure::TargetExists),
            None => break,
        }
    }
    let going: Vec<_> = (0..batch.len()).filter(|index| outcomes[*index].is_ok()).map(|index| batch[index]).collect();
    let mut after = files.clone();
    for (old, _) in &going {
        after.remove(old);
    }
    for (old, new) in &going {
        after.insert(*new, files[old]);
    }
    (after, outcomes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_of_renames_is_a_permutation(
        paths in prop::collection::btree_set(0_u8..8, 0..8),
        batches in prop::collection::vec(prop::collection::vec((0_u8..8, 0_u8..8), 0..8), 1..4),
    ) {
        let (_directory, metadata) = open();
        block_on(async {
            let mut files: BTreeMap<u8, u8> = paths.iter().map(|path| (*path, *path + 1)).collect();
            for (path, content) in &files {
                metadata.commit(new(file(*path), *content), place(*content)).await.unwrap();
            }
            let mut highest: BTreeMap<FileId, u64> = BTreeMap::new();
            for (round, batch) in batches.iter().enumerate() {
                let mut renames = Vec::new();
                for (index, (old, to)) in batch.iter().enumerate() {
                    let row = metadata.file(FileKey { folder: folder(), file: file(*old) }).await.unwrap();
                    renames.push(Rename {
                        old: file(*old),
                        new: file(*to),
                        encrypted_path: Vec::new(),
                        file_name: None,
                        relative_path: None,
                        base: row.map_or(RevisionId([0; 32]), |row| row.revision.id),
                        revision_id: RevisionId([u8::try_from(100 + 10 * round + index).unwrap(); 32]),
                    });
                }
                let outcomes = metadata.rename(folder(), renames, 2).await.unwrap();
                let (after, expected) = model(&files, batch);
                prop_assert_eq!(outcomes.iter().map(|outcome| outcome.map(|_| ())).collect::<Vec<_>>(), expected);
                let listing = metadata.listing(folder(), 0, 100).await.unwrap();
                let found: BTreeMap<_, _> = listing.files.iter().map(|row| (row.file, row.ciphertext.0[0])).collect();
                prop_assert_eq!(&found, &after.iter().map(|(path, content)| (file(*path), *content)).collect());
                prop_assert_eq!(listing.total, after.len() as u64);
                for row in &listing.files {
                    let seen = highest.insert(row.file, row.revision.seq).unwrap_or(0);
                    prop_assert!(row.revision.seq >= seen, "the number of a path went back");
                }
                files = after;
            }
            Ok(())
        })?;
    }
}

/// The numbers and ids of a feed's page.
fn told(page: FeedPage) -> Vec<(u64, FileId, bool)> {
    let FeedPage::Changes { changes, .. } = page else { panic!("reset") };
    let told = |change: Change| match change.what {
        Changed::Listed(file) => (change.seq, file.file, true),
        Changed::Removed(file) => (change.seq, file, false),
    };
    changes.into_iter().map(told).collect()
}

#[test]
fn old_removals_leave_the_feed_and_those_who_do_not_know_them_begin_anew() {
    let (_directory, metadata) = open();
    block_on(async {
        for number in 1..=4 {
            metadata.commit(new(file(number), number), place(number)).await.unwrap();
        }
        for (number, now) in [(1, 100), (2, 200), (3, 300)] {
            metadata.remove(FileKey { folder: folder(), file: file(number) }, None, now).await.unwrap();
        }
        let all = told(metadata.changes(folder(), Some(0), 100).await.unwrap());
        assert_eq!(all, [(4, file(4), true), (5, file(1), false), (6, file(2), false), (7, file(3), false)]);
        assert_eq!(metadata.forget_removals(250, 1).await.unwrap(), 1, "as many as asked for");
        assert_eq!(metadata.forget_removals(250, 10).await.unwrap(), 1);
        assert_eq!(metadata.forget_removals(250, 10).await.unwrap(), 0);
        assert_eq!(metadata.changes(folder(), Some(5), 100).await.unwrap(), FeedPage::Reset);
        let rest = told(metadata.changes(folder(), Some(6), 100).await.unwrap());
        assert_eq!(rest, [(7, file(3), false)]);
        // The numbers of the paths themselves are kept.
        let mut again = new(file(5), 5);
        again.revision.seq = 1;
        metadata.commit(again, place(5)).await.unwrap();
        let batch = vec![rename(file(5), file(1), [5; 32])];
        let renamed = metadata.rename(folder(), batch, 400).await.unwrap();
        assert_eq!(renamed[0].map(|revision| revision.seq), Ok(2));
    });
}

fn rename(old: FileId, new: FileId, base: [u8; 32]) -> Rename {
    Rename {
        old,
        new,
        encrypted_path: Vec::new(),
        file_name: None,
        relative_path: None,
        base: RevisionId(base),
        revision_id: RevisionId([77; 32]),
    }
}

#[test]
fn a_page_of_the_feed_is_bounded_in_bytes_and_leads_on() {
    let (_directory, metadata) = open();
    block_on(async {
        let commits = (0..1_200_u32).map(|number| {
            let mut new = new(FileId(*blake3::hash(&number.to_le_bytes()).as_bytes()), 1);
            new.encrypted_path = vec![7; 8_192];
            (new, place(1))
        });
        metadata.commit_all(commits.collect()).await.unwrap();
        let FeedPage::Changes { changes, next, has_more } = metadata.changes(folder(), Some(0), 5_000).await.unwrap()
        else {
            panic!("reset")
        };
        assert!((500..1_200).contains(&changes.len()) && has_more, "{}", changes.len());
        assert_eq!(changes.last().unwrap().seq, next);
        let rest = told(metadata.changes(folder(), Some(next), 5_000).await.unwrap());
        assert_eq!(changes.len() + rest.len(), 1_200);
    });
}

#[test]
fn a_batch_is_committed_in_its_order_and_in_one_transaction() {
    let (_directory, metadata) = open();
    block_on(async {
        let mut second = new(file(1), 2);
        second.base = Some(RevisionId([1; 32]));
        second.revision.seq = 2;
        let batch = vec![(new(file(1), 1), place(1)), (new(file(1), 9), place(9)), (second, place(2))];
        let done = metadata.commit_all(batch).await.unwrap();
        assert!(matches!(done[0], Committed::Stored(_)));
        assert_eq!(done[1], Committed::Conflict(Some(Revision { seq: 1, id: RevisionId([1; 32]) })));
        assert!(matches!(done[2], Committed::Stored(_)));
        let rows = metadata.files(folder(), vec![file(2), file(1)]).await.unwrap();
        assert_eq!(rows[0], None);
        assert_eq!(rows[1].map(|row| row.revision.seq), Some(2));
        assert_eq!(told(metadata.changes(folder(), Some(0), 10).await.unwrap()), [(2, file(1), true)]);
    });
}
