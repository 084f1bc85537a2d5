//! The ledger of the sources: what it keeps, over a restart too, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test that fails")]

use std::path::{Path, PathBuf};

use hcfs_model::{RelPath, UnixNanos};
use hcfs_state::StateError;
use hcfs_state::sources::{Arrival, Brought, ItemProblem, Ledger, PartRecord, Run, RunFailure, Version};

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sources.sqlite");
    (directory, path)
}

fn open(path: &Path) -> Ledger {
    let opened = Ledger::open(path).unwrap();
    assert_eq!(opened.rebuilt, None);
    opened.ledger
}

fn version() -> Version {
    Version { etag: Some("\"1\"".into()), last_modified: Some("then".into()), size: Some(3), mark: Some("m".into()) }
}

fn brought(path: &str) -> Brought {
    Brought {
        folder: "documents".into(),
        path: RelPath::new(path).unwrap(),
        version: version(),
        size: 3,
        hash: [7; 32],
        verified: true,
        at: UnixNanos(5),
    }
}

fn part(name: &str) -> PartRecord {
    PartRecord { folder: "documents".into(), name: name.into(), record: "{}".into() }
}

fn arrival(target: Option<&str>) -> Arrival {
    Arrival {
        name: "a.pdf".into(),
        version: version(),
        size: 3,
        hash: [7; 32],
        verified: false,
        target: target.map(|path| RelPath::new(path).unwrap()),
    }
}

fn problem() -> ItemProblem {
    let failure = RunFailure { code: "locked".into(), message: "m".into(), hint: "h".into() };
    ItemProblem { failure, at: UnixNanos(1), tries: 2, again: Some(UnixNanos(9)) }
}

#[test]
fn everything_comes_back_after_a_restart() {
    let (_directory, path) = scratch();
    let mut ledger = open(&path);
    ledger.keep_part("s", "one", &part("aa")).unwrap();
    ledger.keep_part("s", "one", &PartRecord { record: "{\"len\":1}".into(), ..part("aa") }).unwrap();
    ledger.arrive("s", "one", &arrival(None)).unwrap();
    ledger.arrive("s", "one", &arrival(Some("in/a.pdf"))).unwrap();
    ledger.settle("s", "two", &brought("in/b.pdf")).unwrap();
    ledger.keep_problem("s", "one", &problem()).unwrap();
    let failure = Some(RunFailure { code: "unauthorized".into(), message: "m".into(), hint: "h".into() });
    let run = Run {
        began: UnixNanos(1),
        ended: None,
        brought: 2,
        unchanged: 3,
        failures: 4,
        failure,
        again: Some(UnixNanos(7)),
    };
    ledger.keep_run("s", &run).unwrap();
    drop(ledger);
    let ledger = open(&path);
    assert_eq!(ledger.part("s", "one").unwrap().unwrap().record, "{\"len\":1}");
    assert_eq!(ledger.arrival("s", "one").unwrap(), Some(arrival(Some("in/a.pdf"))));
    assert_eq!(ledger.items("s").unwrap(), [("two".to_owned(), brought("in/b.pdf"))]);
    assert_eq!(ledger.item("s", "two").unwrap(), Some(brought("in/b.pdf")));
    assert_eq!(ledger.problems("s").unwrap(), [("one".to_owned(), problem())]);
    assert_eq!(ledger.run("s").unwrap(), Some(run));
    assert_eq!(ledger.run("other").unwrap(), None);
}

#[test]
fn an_item_that_lies_under_its_name_leaves_no_part_and_no_problem() {
    let (_directory, path) = scratch();
    let mut ledger = open(&path);
    ledger.keep_part("s", "one", &part("aa")).unwrap();
    ledger.arrive("s", "one", &arrival(Some("a.pdf"))).unwrap();
    ledger.keep_problem("s", "one", &problem()).unwrap();
    ledger.settle("s", "one", &brought("a.pdf")).unwrap();
    assert_eq!(ledger.part("s", "one").unwrap(), None);
    assert_eq!(ledger.arrival("s", "one").unwrap(), None);
    assert_eq!(ledger.problems("s").unwrap(), []);
    assert!(ledger.parts().unwrap().is_empty());
    let path = RelPath::new("a.pdf").unwrap();
    assert_eq!(ledger.owner("documents", &path).unwrap(), Some(("s".into(), "one".into())));
    assert_eq!(ledger.owner("photos", &path).unwrap(), None);
}

#[test]
fn what_is_dropped_or_forgotten_is_gone_and_the_rest_stays() {
    let (_directory, path) = scratch();
    let mut ledger = open(&path);
    for item in ["one", "two"] {
        ledger.keep_part("s", item, &part(item)).unwrap();
        ledger.keep_problem("s", item, &problem()).unwrap();
        ledger.settle("t", item, &brought(item)).unwrap();
    }
    ledger.drop_part("s", "one").unwrap();
    assert_eq!(ledger.parts().unwrap(), [("s".to_owned(), "two".to_owned(), part("two"))]);
    ledger.drop_problem("s", "one").unwrap();
    assert_eq!(ledger.problems("s").unwrap(), [("two".to_owned(), problem())]);
    ledger.forget_item("t", "one").unwrap();
    assert_eq!(ledger.items("t").unwrap(), [("two".to_owned(), brought("two"))]);
    let unsaid = Brought { version: Version::default(), ..brought("three") };
    ledger.settle("t", "three", &unsaid).unwrap();
    assert_eq!(ledger.item("t", "three").unwrap(), Some(unsaid));
}

#[test]
fn a_path_has_one_item_and_a_refused_call_changes_nothing() {
    let (_directory, path) = scratch();
    let mut ledger = open(&path);
    ledger.settle("s", "one", &brought("a.pdf")).unwrap();
    ledger.keep_part("t", "two", &part("bb")).unwrap();
    assert!(ledger.settle("t", "two", &brought("a.pdf")).is_err());
    assert_eq!(ledger.part("t", "two").unwrap(), Some(part("bb")));
    assert!(ledger.arrive("t", "three", &arrival(None)).is_err(), "what arrives was fetched");
    ledger.settle("s", "one", &brought("b.pdf")).unwrap();
    ledger.settle("t", "two", &brought("a.pdf")).unwrap();
    ledger.forget("s").unwrap();
    assert_eq!(ledger.items("s").unwrap(), []);
    assert_eq!(ledger.items("t").unwrap().len(), 1);
}

#[test]
fn a_damaged_one_is_moved_aside_and_a_newer_one_left_alone() {
    let (directory, path) = scratch();
    drop(open(&path));
    std::fs::write(&path, "no database").unwrap();
    let opened = Ledger::open(&path).unwrap();
    let (moved_to, _) = opened.rebuilt.unwrap();
    assert_eq!(std::fs::read(moved_to).unwrap(), b"no database");
    drop(opened.ledger);
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("INSERT INTO migration VALUES (2, zeroblob(32)); PRAGMA user_version = 2").unwrap();
    drop(sql);
    assert!(matches!(Ledger::open(&path).err(), Some(StateError::Newer { found: 2, known: 1 })));
    assert!(directory.path().join("sources.sqlite").exists());
}

/// The tables as the first migration made them, so that a change to that file is noticed.
#[test]
fn the_first_migration_never_changes() {
    let sql = include_str!("../../../migrations/sources/0001_ledger.sql");
    let hash = blake3::hash(sql.as_bytes()).to_hex();
    assert_eq!(hash.as_str(), "2a089d19b0d94f41e6c24b57ec2467ca2492c2338685b89544333c20af84093e");
}
