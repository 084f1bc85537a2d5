//! The change feed: its shape, and the order a reader may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use hcfs_model::{AccountAddress, FileId, FolderHash, FolderLabel, RevisionId, SaltedHash};
use hcfs_wire::{Feed, FeedChange, FeedError, ReadFeed, RemoteFileEntry, Row, limits, parse_json};

fn feed(changes: Vec<FeedChange>, next: u64, has_more: bool) -> Feed {
    Feed {
        ss58_address: AccountAddress::from_public_key([1; 32]),
        folder_hash: FolderHash::of_label(&FolderLabel::new("x").unwrap()),
        changes,
        next,
        has_more,
    }
}

fn file(seq: u64) -> FeedChange {
    let entry = RemoteFileEntry {
        path_hash: FileId([1; 32]),
        salted_hash: SaltedHash([2; 32]),
        size_bytes: 3,
        revision_seq: 4,
        revision_id: RevisionId([5; 32]),
        encrypted_path: vec![6; 40],
        file_name: None,
        relative_path: None,
        arion_hash: None,
        chunk_hashes: None,
        uploaded_by: None,
        created_at: 7,
        updated_at: 8,
    };
    FeedChange { seq, file: Some(entry), removed: None }
}

fn removed(seq: u64) -> FeedChange {
    FeedChange { seq, file: None, removed: Some(FileId([9; 32])) }
}

#[test]
fn a_feed_reads_as_it_was_written_and_one_bad_row_hides_no_other() {
    let written = feed(vec![file(3), removed(5)], 6, false);
    let text = serde_json::to_string(&written).unwrap();
    let read: Feed = parse_json(text.as_bytes(), limits::MAX_PAGE_BODY).unwrap();
    assert_eq!(read, written);
    assert!(text.contains(&format!("\"removed\":\"{}\"", FileId([9; 32]))), "{text}");
    assert!(!text.contains("null}"), "absent halves are not written: {text}");

    let text = text.replace("\"size_bytes\":3", "\"size_bytes\":-3");
    let read: ReadFeed = parse_json(text.as_bytes(), limits::MAX_PAGE_BODY).unwrap();
    assert!(matches!(&read.changes[0].file, Some(Row::Broken(row)) if row.file_id == Some(FileId([1; 32]))));
    assert_eq!(read.changes[1].removed, Some(FileId([9; 32])));
    assert_eq!(read.check(Some(2)), Ok(()));
}

#[test]
fn numbers_that_go_back_or_lead_nowhere_are_refused() {
    let check = |changes, next, more, after| feed(changes, next, more).check(after);
    assert_eq!(check(vec![file(3), removed(5)], 5, true, Some(2)), Ok(()));
    assert_eq!(check(vec![], 7, false, None), Ok(()));
    assert_eq!(check(vec![], 7, false, Some(7)), Ok(()));
    assert_eq!(check(vec![file(3)], 3, false, Some(3)), Err(FeedError::Order));
    assert_eq!(check(vec![removed(5), file(5)], 5, false, Some(2)), Err(FeedError::Order));
    assert_eq!(check(vec![file(3)], 2, false, Some(2)), Err(FeedError::Next));
    assert_eq!(check(vec![], 1, false, Some(2)), Err(FeedError::Next));
    assert_eq!(check(vec![], 2, true, Some(2)), Err(FeedError::Empty));
    assert_eq!(check(vec![file(1)], 1, false, None), Err(FeedError::Unasked));
    let both = FeedChange { removed: Some(FileId([1; 32])), ..file(3) };
    assert_eq!(check(vec![both], 3, false, Some(0)), Err(FeedError::Neither));
    let neither = FeedChange { seq: 3, file: None, removed: None };
    assert_eq!(check(vec![neither], 3, false, Some(0)), Err(FeedError::Neither));
}
