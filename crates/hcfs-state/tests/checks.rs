//! What makes a database contradict itself: found, named, and at the price that was promised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test that fails")]

mod kit;

use hcfs_state::Outcome;
use kit::{filled, open};
use rusqlite::Connection;

/// The reason for which the database was not trusted after `sql`; closed properly or not.
fn reason_after(sql: &str, unclean: bool) -> Option<String> {
    let scratch = filled();
    Connection::open(&scratch.db).unwrap().execute_batch(sql).unwrap();
    if unclean {
        std::fs::write(scratch.directory.path().join("state.db-wal"), [7; 40]).unwrap();
    }
    let opened = open(&scratch.db);
    match opened.outcome {
        Outcome::Rebuilt { reason, .. } => Some(reason),
        _ => opened.store.check_all().err().map(|error| error.to_string()),
    }
}

fn contradicts(what: &str) -> Option<String> {
    Some(format!("the state contradicts itself: {what}"))
}

#[test]
fn every_contradiction_is_found_and_named() {
    const ITS: &str = "WHERE file_id = (SELECT file_id FROM remote WHERE path = 'd0/file 0')";
    const AT: &str = "WHERE path = 'd0/file 0'";
    let unmarked = "\"d1/new\" differs and is not marked";
    let stale = |path: &str| format!("{path:?} is marked and does not differ");
    let uncovered = "\"d0/file 0\" has a revision that its mark does not cover";
    for (sql, what) in [
        ("DELETE FROM changed WHERE path = 'd1/new'", unmarked),
        ("INSERT INTO changed VALUES ('d0/file 0')", &stale("d0/file 0")),
        ("INSERT INTO changed VALUES ('a')", &stale("a")),
        ("INSERT INTO changed VALUES ('z')", &stale("z")),
        (&format!("DELETE FROM seen {ITS}"), uncovered),
        (&format!("UPDATE seen SET seq = 2 {ITS}"), uncovered),
        (&format!("UPDATE seen SET ended = 1 {ITS}"), uncovered),
        (&format!("UPDATE synced SET file_id = zeroblob(32) {AT}"), uncovered),
        (&format!("DELETE FROM seen {ITS}; DELETE FROM remote {AT}"), uncovered),
    ] {
        assert_eq!(reason_after(sql, true), contradicts(what), "{sql}");
    }
    for tree in ["local", "remote", "synced"] {
        let what = format!("the totals of the {tree} tree are not those of its rows");
        for change in ["files = files + 1", "bytes = bytes + 1"] {
            let sql = format!("UPDATE totals SET {change} WHERE tree = '{tree}' AND top = ''");
            assert_eq!(reason_after(&sql, false), contradicts(&what), "{sql}");
        }
    }
}

#[test]
fn a_mark_with_none_or_too_many_hashes_is_damage() {
    for hashes in ["x''", "zeroblob(31)", "zeroblob(33)", "zeroblob(9 * 32)"] {
        let sql = format!("PRAGMA ignore_check_constraints = 1; UPDATE seen SET hashes = {hashes}");
        let reason = reason_after(&sql, false).unwrap();
        assert!(reason.ends_with("the hashes of a mark have a wrong length"), "{hashes}: {reason}");
    }
}

#[test]
fn what_is_marked_is_checked_though_it_was_closed_properly() {
    for (sql, path) in [
        ("UPDATE seen SET ended = 1 WHERE file_id = (SELECT file_id FROM remote WHERE path = 'd2/new')", "d2/new"),
        ("DELETE FROM seen WHERE file_id = (SELECT file_id FROM synced WHERE path = 'd2/file 2')", "d2/file 2"),
    ] {
        let what = format!("{path:?} has a revision that its mark does not cover");
        assert_eq!(reason_after(sql, false), contradicts(&what));
    }
}
