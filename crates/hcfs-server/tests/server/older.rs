//! A directory that the first release left: blobs named by their hash, a database of the first schema.

use std::path::Path;

use hcfs_model::{CiphertextHash, Revision, RevisionId};
use hcfs_server::maintenance;
use hcfs_server::{Clock, MetadataError, ServerError, tokens};

use crate::harness::{Rig, ciphertext, hash, id, rig};

const FIRST: &str = include_str!("../../../../migrations/server/sqlite/0001_store.sql");

/// Puts the database back to the first schema, with two files of one folder that share a blob.
fn make_old(data: &Path, account: &str, folder: [u8; 8], blob: &[u8], size: i64) {
    for name in ["metadata.sqlite3", "metadata.sqlite3-wal", "metadata.sqlite3-shm"] {
        let path = data.join(name);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let db = rusqlite::Connection::open(data.join("metadata.sqlite3")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(
        "CREATE TABLE migrations (
            number INTEGER PRIMARY KEY, checksum BLOB NOT NULL CHECK (length(checksum) = 32)
        ) STRICT",
    )
    .unwrap();
    db.execute_batch(FIRST).unwrap();
    let checksum = *blake3::hash(FIRST.as_bytes()).as_bytes();
    db.execute("INSERT INTO migrations VALUES (1, ?1)", [checksum]).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    db.execute("INSERT INTO accounts (ss58, created_at) VALUES (?1, 5)", [account]).unwrap();
    db.execute("INSERT INTO folders (account_id, hash, created_at, updated_at) VALUES (1, ?1, 5, 5)", [folder])
        .unwrap();
    for path in ["a", "b"] {
        db.execute(
            "INSERT INTO files (folder_id, path_hash, salted_hash, size_bytes, revision_seq, revision_id,
                                ciphertext_hash, encrypted_path, created_at, updated_at)
             VALUES (1, ?1, ?2, ?3, 3, ?1, ?2, x'', 5, 5)",
            (id(path).0, hash(blob).0, size),
        )
        .unwrap();
    }
}

#[tokio::test]
async fn a_directory_of_the_first_release_goes_on() {
    let rig = rig().await;
    let (size, blob) = (600_000, ciphertext(600_000, 7));
    let CiphertextHash(digest) = hash(&blob);
    let (account, token) = (rig.account.to_string(), rig.token.clone());
    let mut folder = [0; 8];
    hex::decode_to_slice(rig.folder.to_hex(), &mut folder).unwrap();
    let rig = rig
        .restart_after(|data| {
            make_old(data, &account, folder, &blob, size);
            let name = hex::encode(digest);
            std::fs::write(data.join("blobs").join(&name[..2]).join(&name), &blob).unwrap();
            // The token the first release stored.
            let (selector, secret) = token.strip_prefix("hcfs_").unwrap().split_at(16);
            let db = rusqlite::Connection::open(data.join("metadata.sqlite3")).unwrap();
            let digest = *blake3::hash(&hex::decode(secret).unwrap()).as_bytes();
            db.execute(
                "INSERT INTO tokens (selector, account_id, digest, label, created_at) VALUES (?1, 1, ?2, 'old', 5)",
                (hex::decode(selector).unwrap(), digest),
            )
            .unwrap();
        })
        .await;

    let listing = rig.listing().await;
    assert_eq!(listing.total_count, 2);
    assert_eq!((listing.files[0].revision_seq, listing.files[0].size_bytes), (3, 600_000));
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.body, blob);
    let report = maintenance::check(&rig.storage(), true, &Clock::system()).await.unwrap();
    assert_eq!((report.rows, report.objects, report.missing, report.damaged, report.stray), (2, 1, 0, 0, 0));

    let old = Revision { seq: 3, id: RevisionId(id("a").0) };
    rig.put("a", 50, 9, Some(old)).await;
    assert_eq!(rig.needed_files().await.len(), 2, "the other file has the old blob");
    assert_eq!(rig.get(&rig.file_route("download", "b")).await.body, blob);
    rig.put("b", 50, 10, Some(Revision { seq: 3, id: RevisionId(id("b").0) })).await;
    let needed = rig.needed_files().await;
    assert!(needed.iter().all(|path| path.file_name().unwrap().len() == 32), "the old blob is gone: {needed:?}");
    let report = maintenance::check(&rig.storage(), true, &Clock::system()).await.unwrap();
    assert_eq!((report.rows, report.missing, report.damaged), (2, 0, 0));
}

#[tokio::test]
async fn a_directory_from_before_the_feed_and_the_names_has_both() {
    let rig = rig().await;
    let account = rig.account.clone();
    let mut folder = [0; 8];
    hex::decode_to_slice(rig.folder.to_hex(), &mut folder).unwrap();
    let rig = rig
        .restart_after(|data| {
            make_old(data, account.as_str(), folder, b"old", 600);
            let db = rusqlite::Connection::open(data.join("metadata.sqlite3")).unwrap();
            let named = "INSERT INTO files (folder_id, path_hash, salted_hash, size_bytes, revision_seq, revision_id,
                             ciphertext_hash, encrypted_path, relative_path, created_at, updated_at)
                         VALUES (1, ?1, ?1, 7, 1, ?1, ?1, x'', ?2, 5, 5)";
            db.execute(named, (id("c").0, "Pictures/Alps.JPG")).unwrap();
            db.execute(named, (id("gone").0, "gone")).unwrap();
            // The counter of changes is beyond the number of files: one was changed, one is gone.
            db.execute("UPDATE files SET revision_seq = 4 WHERE path_hash = ?1", [id("a").0]).unwrap();
            db.execute("DELETE FROM files WHERE path_hash = ?1", [id("gone").0]).unwrap();
            db.execute("INSERT INTO tombstones VALUES (1, ?1, 1)", [id("gone").0]).unwrap();
        })
        .await;
    let token = tokens::create(&rig.storage(), &account, "again").await.unwrap();
    let rig = Rig { token, ..rig };

    // Of what was before, the feed can tell nobody.
    assert_eq!(rig.changes("").await.next, 6);
    for known in [0, 5, 7] {
        let reply = rig.get(&rig.changes_route(&format!("?after={known}"))).await;
        assert_eq!(reply.failure(), (410, "feed_reset".to_owned()), "after {known}");
    }
    assert!(rig.changes("?after=6").await.changes.is_empty());
    rig.put("d", 50, 9, None).await;
    rig.put("gone", 50, 10, None).await;
    let old = Revision { seq: 3, id: RevisionId(id("b").0) };
    rig.put("b", 50, 11, Some(old)).await;
    let told: Vec<_> =
        rig.changes("?after=6").await.changes.into_iter().map(|change| (change.seq, change.file)).collect();
    let told: Vec<_> = told.into_iter().map(|(seq, file)| (seq, file.unwrap().path_hash)).collect();
    assert_eq!(told, [(7, id("d")), (8, id("gone")), (9, id("b"))]);
    // Every file has a number of its own.
    let db = rusqlite::Connection::open(rig.directory.path().join("metadata.sqlite3")).unwrap();
    let numbers = "SELECT count(DISTINCT change_seq), min(change_seq), max(change_seq) FROM files";
    let numbers: (i64, i64, i64) =
        db.query_row(numbers, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!((numbers.0, numbers.2), (5, 9), "{numbers:?}");
    assert!(numbers.1 > 0);

    let names = "SELECT directory, extension, search_name FROM files WHERE path_hash = ?1";
    let names: (String, String, String) =
        db.query_row(names, [id("c").0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(names, ("Pictures".to_owned(), "jpg".to_owned(), "pictures/alps.jpg".to_owned()));
    let found = rig.get(&format!("/search_files/{account}?q=alps")).await;
    assert!(String::from_utf8_lossy(&found.body).contains("Pictures/Alps.JPG"), "{found:?}");
}

#[tokio::test]
async fn a_check_names_what_is_missing_and_what_is_damaged() {
    let rig = rig().await;
    for (path, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        rig.put(path, 1_000, seed, None).await;
    }
    let check = |hashes| {
        let storage = rig.storage();
        async move { maintenance::check(&storage, hashes, &Clock::system()).await.unwrap() }
    };
    assert!(check(true).await.is_sound());
    let path = |seed| rig.blob_path(hash(&ciphertext(1_000, seed)));
    let mut bytes = std::fs::read(path(2)).unwrap();
    bytes[500] ^= 1;
    std::fs::write(path(2), bytes).unwrap();
    assert!(check(false).await.is_sound(), "bytes are not read");
    let report = check(true).await;
    assert_eq!((report.missing, report.damaged, report.faults.len()), (0, 1, 1));
    assert_eq!(report.faults[0].ciphertext_hash, hash(&ciphertext(1_000, 2)).to_hex());
    std::fs::remove_file(path(1)).unwrap();
    std::fs::File::options().write(true).open(path(3)).unwrap().set_len(100).unwrap();
    let stray = rig.object_path(&"ab".repeat(32));
    std::fs::write(stray, "nobody's").unwrap();
    let report = check(false).await;
    assert_eq!((report.rows, report.missing, report.damaged, report.stray), (3, 2, 0, 1));
    assert!(!report.is_sound() && report.faults.iter().all(|fault| !fault.damaged));
    let stats = maintenance::stats(&rig.storage()).await.unwrap();
    assert_eq!((stats.accounts, stats.folders, stats.files, stats.bytes), (1, 1, 3, 3_000));
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let rig = rig().await;
    rig.put("a", 10, 1, None).await;
    let storage = rig.storage();
    let data = storage.data.clone();
    rig.running.shutdown().await.unwrap();
    let db = rusqlite::Connection::open(data.join("metadata.sqlite3")).unwrap();
    db.execute("UPDATE migrations SET checksum = zeroblob(32) WHERE number = 2", ()).unwrap();
    let Err(ServerError::Database { source, .. }) = maintenance::stats(&storage).await else { panic!("taken") };
    assert!(matches!(source, MetadataError::ForeignMigration(2)));
}
