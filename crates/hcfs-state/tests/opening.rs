//! Opening: who holds it, whose it is, which version it has, and what happens to one that is damaged or was cut short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test that fails")]

mod kit;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hcfs_model::{AccountAddress, FolderHash, FolderLabel, Rows, UnixNanos};
use hcfs_state::{Baseline, Event, Identity, Opened, Outcome, StateError, Store};
use kit::{Scratch, existing, filled, found, identity, listed, open, path, synced};
use proptest::prelude::*;
use rusqlite::Connection;

fn rows(store: &Store) -> Rows {
    store.rows().collect::<Result<_, _>>().unwrap()
}

fn rebuilt(opened: &Opened) -> &Path {
    match &opened.outcome {
        Outcome::Rebuilt { moved_to, .. } => moved_to,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fresh_one_is_private_and_comes_back() {
    let scratch = filled();
    for (name, _, _) in scratch.files() {
        let mode = std::fs::metadata(scratch.directory.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let store = existing(&scratch.db);
    assert_eq!(rows(&store).len(), 402);
    assert_eq!(store.changed_count().unwrap(), 4);
    store.check_all().unwrap();
}

#[test]
fn closing_leaves_one_database_file_and_the_lock() {
    let scratch = filled();
    let names: Vec<String> = scratch.files().into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["state.db", "state.db.lock"]);
}

#[test]
fn a_second_one_in_the_same_process_is_refused() {
    let scratch = filled();
    let store = existing(&scratch.db);
    match Store::open(&scratch.db, &identity()) {
        Err(StateError::Held { pid }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(store);
    existing(&scratch.db);
}

#[test]
fn a_program_that_has_the_database_open_is_noticed() {
    let scratch = filled();
    let other = Connection::open(&scratch.db).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM local").unwrap();
    match Store::open(&scratch.db, &identity()) {
        Err(StateError::Held { pid: None }) => {}
        other => panic!("{other:?}"),
    }
    drop(other);
    existing(&scratch.db);
}

#[test]
fn another_identity_is_refused_and_nothing_touched() {
    let scratch = filled();
    let files = scratch.files();
    let account = Identity { account: AccountAddress::from_public_key([8; 32]), ..identity() };
    let folder = Identity { folder: FolderHash::of_label(&FolderLabel::new("photos").unwrap()), ..identity() };
    for other in [account, folder] {
        match Store::open(&scratch.db, &other) {
            Err(StateError::OtherIdentity { account, folder }) => {
                assert_eq!((account.as_str(), folder), (identity().account.as_str(), identity().folder.to_hex()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(database(&scratch.files()) == database(&files), "a file was changed");
    existing(&scratch.db);
}

/// The files but the lock, which every start writes.
fn database(files: &[(String, std::time::SystemTime, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    let files = files.iter().filter(|(name, _, _)| !name.ends_with(".lock"));
    files.map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

#[test]
fn a_newer_one_is_refused_and_nothing_touched() {
    let scratch = filled();
    let sql = Connection::open(&scratch.db).unwrap();
    let last: u32 = sql.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let next = last + 1;
    sql.execute_batch(&format!("INSERT INTO migration VALUES ({next}, zeroblob(32)); PRAGMA user_version = {next}"))
        .unwrap();
    drop(sql);
    let files = scratch.files();
    match Store::open(&scratch.db, &identity()) {
        Err(error @ StateError::Newer { found, known }) => {
            assert_eq!((found, known), (next, last));
            assert!(error.hint().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert!(database(&scratch.files()) == database(&files), "a file was changed");
}

#[test]
fn what_is_not_a_sound_database_of_ours_is_moved_aside_whole() {
    let damage: [(&str, &str); 8] = [
        ("another program's", "PRAGMA user_version = 0; PRAGMA application_id = 0"),
        ("checksum", "UPDATE migration SET checksum = zeroblob(32)"),
        ("version", "PRAGMA user_version = 99"),
        ("application", "PRAGMA application_id = 7"),
        ("schema", "DROP TABLE synced"),
        ("migrations", "DROP TABLE migration"),
        ("identity", "DELETE FROM folder"),
        ("stale mark", "INSERT INTO changed VALUES ('d0/file 0')"),
    ];
    for (name, sql) in damage {
        let scratch = filled();
        Connection::open(&scratch.db).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&scratch.db).unwrap();
        let opened = open(&scratch.db);
        let moved_to = rebuilt(&opened);
        assert_eq!(moved_to, scratch.directory.path().join("state.db.corrupt-1"), "{name}");
        assert!(std::fs::read(moved_to).unwrap() == before, "{name}");
        assert_eq!(opened.store.meta().unwrap().baseline, Baseline::default(), "{name}");
        assert_eq!(rows(&opened.store).len(), 0, "{name}");
    }
}

#[test]
fn a_text_file_and_a_cut_database_are_moved_aside_under_new_names() {
    let scratch = filled();
    std::fs::write(&scratch.db, "not a database, though long enough to be looked at ".repeat(200)).unwrap();
    rebuilt(&open(&scratch.db));
    let length = std::fs::metadata(&scratch.db).unwrap().len();
    std::fs::File::options().write(true).open(&scratch.db).unwrap().set_len(length / 2).unwrap();
    let opened = open(&scratch.db);
    assert_eq!(rebuilt(&opened), scratch.directory.path().join("state.db.corrupt-2"));
}

#[test]
fn a_log_without_its_database_is_not_read_into_a_fresh_one() {
    let scratch = filled();
    let mut store = existing(&scratch.db);
    store.settle(&[synced("more", 1, 1)], &[]).unwrap();
    let copy = copy_of(&scratch.db, None);
    std::fs::remove_file(&copy.db).unwrap();
    let opened = open(&copy.db);
    assert_eq!(opened.outcome, Outcome::Fresh);
    assert_eq!(rows(&opened.store).len(), 0);
    assert!(copy.directory.path().join("state.db.corrupt-1-wal").exists());
}

#[test]
fn a_log_that_cannot_be_moved_aside_is_not_read_into_a_fresh_database() {
    let scratch = Scratch::new();
    // Its log has a name that fits the file system, and what that would be called aside has not.
    let db = scratch.directory.path().join("d".repeat(243));
    let log = scratch.directory.path().join(format!("{}-wal", "d".repeat(243)));
    std::fs::write(&log, "a log").unwrap();
    match Store::open(&db, &identity()) {
        Err(StateError::File { path, .. }) => assert_eq!(path, log),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(&log).unwrap(), b"a log");
    assert!(!db.exists());
}

#[test]
fn damage_found_while_running_is_left_behind_by_a_rebuild() {
    let scratch = filled();
    let bytes = std::fs::read(&scratch.db).unwrap();
    let store = existing(&scratch.db);
    let reason = StateError::Corrupt { what: "found".to_owned() };
    let opened = store.rebuild(&reason).unwrap();
    assert!(std::fs::read(rebuilt(&opened)).unwrap() == bytes, "the old file was changed");
    assert!(matches!(Store::open(&scratch.db, &identity()), Err(StateError::Held { .. })), "the lock was let go");
    let mut store = opened.store;
    store.settle(&[synced("a", 1, 1)], &[]).unwrap();
    drop(store);
    assert_eq!(rows(&existing(&scratch.db)).len(), 1);
}

/// A copy of a database and its log as they are now; the log cut to `length`.
fn copy_of(db: &Path, length: Option<u64>) -> Scratch {
    let copy = Scratch::new();
    std::fs::copy(db, &copy.db).unwrap();
    let log = copy.directory.path().join("state.db-wal");
    std::fs::copy(db.with_file_name("state.db-wal"), &log).unwrap();
    if let Some(length) = length {
        std::fs::File::options().write(true).open(&log).unwrap().set_len(length).unwrap();
    }
    copy
}

#[test]
fn a_log_cut_anywhere_gives_one_of_the_states_that_were() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let mut states = vec![rows(&store)];
    for n in 0..12 {
        let files: Vec<_> = (0..30).map(|m| synced(&format!("d{n}/{m}"), 1, 1)).collect();
        store.settle(&files, &[]).unwrap();
        states.push(rows(&store));
    }
    let whole = std::fs::metadata(scratch.db.with_file_name("state.db-wal")).unwrap().len();
    let mut seen = BTreeSet::new();
    for step in 0..=24 {
        let copy = copy_of(&scratch.db, Some(whole * step / 24));
        let opened = open(&copy.db);
        // Cut before the tables were made: there never was anything.
        assert!(matches!(opened.outcome, Outcome::Existing | Outcome::Fresh), "{:?}", opened.outcome);
        opened.store.check_all().unwrap();
        let found = rows(&opened.store);
        seen.insert(states.iter().position(|state| *state == found).expect("a state that never was"));
    }
    assert!(seen.len() > 6 && seen.contains(&12), "{seen:?}");
}

#[test]
fn a_log_that_is_damaged_never_gives_a_state_that_never_was() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    store.settle(&[synced("a", 1, 1)], &[]).unwrap();
    let first = rows(&store);
    store.settle(&[synced("b", 1, 1)], &[]).unwrap();
    let copy = copy_of(&scratch.db, None);
    let log = copy.directory.path().join("state.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    assert!(rows(&existing(&copy.db)) == first);
}

#[test]
fn a_database_that_is_refused_or_moved_aside_keeps_its_log() {
    let scratch = filled();
    let mut store = existing(&scratch.db);
    store.settle(&[synced("more", 1, 1)], &[]).unwrap();
    let other = Identity { account: AccountAddress::from_public_key([8; 32]), ..identity() };
    let refused = copy_of(&scratch.db, None);
    let before = refused.files();
    assert!(matches!(Store::open(&refused.db, &other), Err(StateError::OtherIdentity { .. })));
    assert!(database(&refused.files()) == database(&before), "a file was changed");

    let read = |path: &Path, suffix: &str| std::fs::read(format!("{}{suffix}", path.display())).unwrap();
    let damaged = copy_of(&scratch.db, None);
    let mut bytes = std::fs::read(&damaged.db).unwrap();
    bytes[..16].fill(0);
    std::fs::write(&damaged.db, &bytes).unwrap();
    let opened = open(&damaged.db);
    assert!(read(rebuilt(&opened), "") == bytes, "the database was changed");
    assert!(read(rebuilt(&opened), "-wal") == read(&scratch.db, "-wal"), "the log was changed");

    let (db, log) = (read(&scratch.db, ""), read(&scratch.db, "-wal"));
    let opened = store.rebuild(&StateError::Corrupt { what: "found".to_owned() }).unwrap();
    assert!(read(rebuilt(&opened), "") == db, "the database was changed");
    assert!(read(rebuilt(&opened), "-wal") == log, "the log was changed");
}

#[test]
fn one_that_was_not_closed_is_read_whole() {
    let scratch = filled();
    let mut store = existing(&scratch.db);
    let event = Event { at: UnixNanos(0), kind: "k".into(), path: None, text: "a needle in the log ".repeat(100) };
    store.settle(&[], &vec![event; 50]).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&scratch.db).unwrap();
    let needle = bytes.windows(8).rposition(|window| window == b"a needle").unwrap();
    // The kind of a page is its first byte.
    bytes[needle / 4096 * 4096] = 0xff;
    std::fs::write(&scratch.db, &bytes).unwrap();
    // Closed properly: nothing that was checked says anything, and whoever reads the log is told.
    let store = existing(&scratch.db);
    assert!(store.events(0, 100).is_err_and(|error| error.is_damage()));
    drop(store);
    std::fs::write(scratch.directory.path().join("state.db-wal"), [7; 40]).unwrap();
    rebuilt(&open(&scratch.db));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn flipped_bytes_are_found_or_harmless_and_never_panic(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 1_u8..), 1..24),
        unclean in any::<bool>(),
    ) {
        let scratch = filled();
        let mut bytes = std::fs::read(&scratch.db).unwrap();
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        std::fs::write(&scratch.db, &bytes).unwrap();
        if unclean {
            // What a log with nothing valid in it looks like.
            std::fs::write(scratch.directory.path().join("state.db-wal"), [7; 40]).unwrap();
        }
        match Store::open(&scratch.db, &identity()) {
            Ok(opened) if opened.outcome == Outcome::Existing => use_all(opened.store),
            Ok(opened) => {
                let moved_to = rebuilt(&opened);
                prop_assert!(std::fs::read(moved_to).unwrap() == bytes, "the damaged file was changed");
                prop_assert_eq!(rows(&opened.store).len(), 0);
            }
            Err(StateError::OtherIdentity { .. }) => prop_assert!(std::fs::read(&scratch.db).unwrap() == bytes),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Everything that reads or writes; damage shows as damage.
fn use_all(mut store: Store) {
    let outcomes = [
        store.rows().try_for_each(|row| row.map(drop)),
        store.known_files().try_for_each(|row| row.map(drop)),
        store.changed_rows().map(drop),
        store.suspects().map(drop),
        store.totals().map(drop),
        store.meta().map(drop),
        store.check_all(),
        store.record_local(&found(&[("d1/file 1", 9), ("x/y", 9)]), true).map(drop),
        store.record_remote(&listed(&[("d1/file 1", 9, 9), ("x/y", 9, 1)]), true).map(drop),
        store.settle(&[synced("d3/file 3", 5, 5)], &[]).map(drop),
    ];
    for outcome in outcomes {
        match outcome {
            Ok(()) => {}
            Err(error) if error.is_damage() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let opened = store.rebuild(&StateError::Corrupt { what: "test".to_owned() }).unwrap();
    opened.store.check_all().unwrap();
}

#[test]
fn a_database_of_version_1_opens_with_everything_in_it() {
    let scratch = Scratch::new();
    Connection::open(&scratch.db).unwrap().execute_batch(include_str!("fixtures/v1.sql")).unwrap();
    let store = existing(&scratch.db);
    store.check_all().unwrap();
    assert_eq!(rows(&store).keys().map(ToString::to_string).collect::<Vec<_>>(), ["both.txt", "dir/here", "dir/there"]);
    assert_eq!(store.changed_paths().unwrap(), [path("dir/here"), path("dir/there")]);
    assert_eq!(store.conflicts().unwrap().len(), 1);
    assert_eq!(store.holds().unwrap().len(), 1);
    assert_eq!(store.events(0, 10).unwrap().len(), 1);
    let hints = store.all_hints().unwrap();
    assert_eq!((hints.uploads.len(), hints.downloads.len()), (1, 1));
    let meta = store.meta().unwrap();
    assert_eq!((meta.root, meta.device, meta.device_name.as_str()), (Some([1; 16]), Some([2; 16]), "home"));
    assert!(meta.baseline.is_complete());
}

/// Not a test of its own: the process that the tests below hold, and kill. It names the database without its directory.
#[test]
fn child() {
    let Ok(db) = std::env::var("HCFS_STATE_TEST_DB") else { return };
    let mut store = open(Path::new(&db)).store;
    let mut said = std::io::stdout();
    for n in 0.. {
        // A line is said when its commit is a promise.
        writeln!(said, "\nsettled {n}").unwrap();
        let name = format!("d{}/{n}", n % 3);
        store.settle(&[synced(&name, 1, 1)], &[]).unwrap();
    }
}

fn start_child(db: &Path) -> (Child, impl Iterator<Item = usize>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .current_dir(db.parent().unwrap())
        .env("HCFS_STATE_TEST_DB", db.file_name().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines.filter_map(|line| line.strip_prefix("settled ").and_then(|n| n.parse().ok())))
}

#[test]
fn a_process_that_is_killed_keeps_every_commit_it_told_of() {
    let scratch = Scratch::new();
    for round in 0..6 {
        let (mut child, mut said) = start_child(&scratch.db);
        // The number that is said has not been settled yet; all before it have.
        let told = said.find(|n| *n == 5 + 7 * round).unwrap();
        match Store::open(&scratch.db, &identity()) {
            Err(StateError::Held { pid }) => assert_eq!(pid, Some(child.id())),
            other => panic!("{other:?}"),
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = existing(&scratch.db);
        store.check_all().unwrap();
        let held = rows(&store);
        for n in 0..told {
            assert!(held[&path(&format!("d{}/{n}", n % 3))].is_agreed(), "{n} of {told}");
        }
    }
}

#[test]
fn a_damaged_one_is_moved_aside_also_where_its_directory_is_not_named() {
    let scratch = Scratch::new();
    std::fs::write(&scratch.db, "not a database").unwrap();
    let (mut child, mut said) = start_child(&scratch.db);
    assert_eq!(said.next(), Some(0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read(scratch.directory.path().join("state.db.corrupt-1")).unwrap(), b"not a database");
}

#[test]
fn of_damaged_databases_only_the_newest_three_are_kept() {
    let scratch = filled();
    for round in 1..=5 {
        std::fs::write(&scratch.db, format!("not a database, {round}")).unwrap();
        std::fs::write(scratch.directory.path().join("state.db-wal"), "nor its log").unwrap();
        drop(open(&scratch.db));
    }
    let names: Vec<String> = scratch.files().into_iter().map(|(name, _, _)| name).collect();
    let aside = |number: u64| [format!("state.db.corrupt-{number}"), format!("state.db.corrupt-{number}-wal")];
    let mut wanted = vec!["state.db".to_owned()];
    wanted.extend((3..=5).flat_map(aside));
    wanted.push("state.db.lock".to_owned());
    assert_eq!(names, wanted);
    let newest = std::fs::read_to_string(scratch.directory.path().join("state.db.corrupt-5")).unwrap();
    assert_eq!(newest, "not a database, 5");
}
