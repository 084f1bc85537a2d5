//! The three trees against a model: any sequence of updates gives the rows, marks, totals and revision marks that a
//! map in memory gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test that fails")]

mod kit;

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{FileId, LocalEntry, RelPath, RemoteEntry, Revision, Row, Rows, SaltedHash, SyncedEntry};
use hcfs_state::{LocalUpdate, RemoteUpdate, Settled, Store, Suspicion, TreeTotals};
use kit::{Scratch, agreed, existing, known, local, open, path, remote};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names that stand in each other's way, and some that only look so.
const NAMES: [&str; 12] = ["a", "a!", "a-b", "a/b", "a/b/c", "a/b0", "a/c", "a0", "ab/c", "b", "b/é/c", "é"];

#[derive(Debug, Clone)]
enum Step {
    Local { put: Vec<(usize, u8)>, remove: Vec<usize>, full: bool },
    Remote { put: Vec<(usize, u8, u64)>, remove: Vec<usize>, full: bool },
    Settle(Vec<Outcome>),
    AcceptListed(usize),
    Reopen,
}

#[derive(Debug, Clone)]
enum Outcome {
    Synced(usize, u8, u64, bool),
    Gone(usize),
    Forgotten(usize),
    LocalPut(usize, u8),
    LocalGone(usize),
    RemotePut(usize, u8, u64),
    RemoteGone(usize),
    LocalMoved(usize, usize, u8, Option<u64>),
    RemoteMoved(usize, usize, u8, u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let content = 1_u8..4;
    let seq = 1_u64..5;
    let outcome = prop_oneof![
        4 => (name.clone(), content.clone(), seq.clone(), any::<bool>())
            .prop_map(|(n, c, s, l)| Outcome::Synced(n, c, s, l)),
        2 => name.clone().prop_map(Outcome::Gone),
        1 => name.clone().prop_map(Outcome::Forgotten),
        1 => (name.clone(), content.clone()).prop_map(|(n, c)| Outcome::LocalPut(n, c)),
        1 => name.clone().prop_map(Outcome::LocalGone),
        1 => (name.clone(), content.clone(), seq.clone()).prop_map(|(n, c, s)| Outcome::RemotePut(n, c, s)),
        1 => name.clone().prop_map(Outcome::RemoteGone),
        1 => (name.clone(), name.clone(), content.clone(), proptest::option::of(seq.clone()))
            .prop_map(|(f, t, c, s)| Outcome::LocalMoved(f, t, c, s)),
        1 => (name.clone(), name.clone(), content.clone(), seq.clone(), any::<bool>())
            .prop_map(|(f, t, c, s, a)| Outcome::RemoteMoved(f, t, c, s, a)),
    ];
    let step = prop_oneof![
        3 => (vec((name.clone(), content.clone()), 0..6), vec(name.clone(), 0..4), any::<bool>())
            .prop_map(|(put, remove, full)| Step::Local { put, remove, full }),
        3 => (vec((name.clone(), content, seq), 0..6), vec(name.clone(), 0..4), any::<bool>())
            .prop_map(|(put, remove, full)| Step::Remote { put, remove, full }),
        4 => vec(outcome, 1..5).prop_map(Step::Settle),
        1 => name.prop_map(Step::AcceptListed),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..16)
}

#[derive(Clone, PartialEq, Debug)]
struct Mark {
    revision: Revision,
    hashes: Vec<SaltedHash>,
    ended: bool,
}

/// What the database should hold.
#[derive(Default)]
struct Model {
    rows: Rows,
    marks: BTreeMap<FileId, Mark>,
}

impl Model {
    fn see(&mut self, id: FileId, revision: Revision, hash: SaltedHash) {
        match self.marks.get_mut(&id) {
            None => {
                self.marks.insert(id, Mark { revision, hashes: vec![hash], ended: false });
            }
            Some(mark) if mark.ended || revision.seq > mark.revision.seq => {
                let mut hashes = mark.hashes.clone();
                if hashes[0] != hash {
                    hashes.insert(0, hash);
                }
                hashes.truncate(8);
                *mark = Mark { revision, hashes, ended: false };
            }
            Some(_) => {}
        }
    }

    fn local(&mut self, path: &RelPath, entry: Option<LocalEntry>) {
        self.rows.entry(path.clone()).or_default().local = entry;
    }

    /// A version that is recorded as it is again is no news.
    fn remote(&mut self, path: &RelPath, entry: Option<RemoteEntry>) {
        let old = self.rows.entry(path.clone()).or_default().remote.clone();
        if let Some(new) = entry.as_ref().filter(|new| old.as_ref() != Some(new)) {
            self.see(new.file_id, new.revision, new.hash);
        }
        self.rows.entry(path.clone()).or_default().remote = entry;
    }

    fn synced(&mut self, path: &RelPath, entry: Option<SyncedEntry>) {
        let old = self.rows.entry(path.clone()).or_default().synced.clone();
        if let Some(new) = entry.as_ref().filter(|new| old.as_ref() != Some(new)) {
            self.see(new.file_id, new.revision, new.hash);
        }
        self.rows.entry(path.clone()).or_default().synced = entry;
    }

    /// Takes a path off the server and out of the agreement, or only the latter.
    fn leave(&mut self, path: &RelPath, remotely: bool) {
        let before = self.rows.entry(path.clone()).or_default().clone();
        if remotely {
            self.remote(path, None);
        }
        self.synced(path, None);
        if self.rows[path].remote.is_none() {
            let ids = before.remote.map(|entry| entry.file_id).into_iter();
            for id in ids.chain(before.synced.map(|entry| entry.file_id)) {
                self.marks.get_mut(&id).unwrap().ended = true;
            }
        }
    }

    fn settle(&mut self, settled: &Settled) {
        match settled.clone() {
            Settled::Synced { path, local, remote, synced } => {
                if let Some(local) = local {
                    self.local(&path, Some(local.entry));
                }
                self.remote(&path, Some(remote));
                self.synced(&path, Some(synced));
            }
            Settled::Gone { path } => {
                self.local(&path, None);
                self.leave(&path, true);
            }
            Settled::Forgotten { path } => self.leave(&path, false),
            Settled::LocalPut { path, local } => self.local(&path, Some(local.entry)),
            Settled::LocalGone { path } => self.local(&path, None),
            Settled::RemotePut { path, remote } => self.remote(&path, Some(remote)),
            Settled::RemoteGone { path } => self.leave(&path, true),
            Settled::LocalMoved { from, to, local, synced } => {
                self.local(&from, None);
                if synced.is_some() {
                    self.leave(&from, false);
                }
                self.local(&to, Some(local.entry));
                if synced.is_some() {
                    self.synced(&to, synced);
                }
            }
            Settled::RemoteMoved { from, to, remote, synced } => {
                self.leave(&from, true);
                self.remote(&to, Some(remote));
                if synced.is_some() {
                    self.synced(&to, synced);
                }
            }
        }
    }

    fn suspect(&self, row: &Row) -> bool {
        let Some(listed) = &row.remote else { return false };
        let mark = &self.marks[&listed.file_id];
        listed.revision.seq < mark.revision.seq
            || listed.revision.seq == mark.revision.seq
                && (listed.revision.id != mark.revision.id || listed.hash != mark.hashes[0])
    }

    fn accept(&mut self, path: &RelPath) -> bool {
        let row = self.rows.get(path).cloned().unwrap_or_default();
        let suspect = self.suspect(&row);
        if suspect {
            let listed = row.remote.unwrap();
            self.marks.get_mut(&listed.file_id).unwrap().ended = true;
            self.see(listed.file_id, listed.revision, listed.hash);
        }
        suspect
    }

    fn held(&self) -> Rows {
        self.rows.iter().filter(|(_, row)| **row != Row::default()).map(|(p, r)| (p.clone(), r.clone())).collect()
    }

    fn verify(&self, store: &Store) {
        let held = self.held();
        assert_eq!(store.rows().collect::<Result<Rows, _>>().unwrap(), held);
        for name in NAMES {
            let path = path(name);
            assert_eq!(store.row(&path).unwrap(), held.get(&path).cloned().unwrap_or_default());
        }
        let suspects: BTreeSet<RelPath> =
            held.iter().filter(|(_, row)| self.suspect(row)).map(|(path, _)| path.clone()).collect();
        let marked: BTreeSet<RelPath> = held
            .iter()
            .filter(|(path, row)| !row.is_agreed() || suspects.contains(*path))
            .map(|(path, _)| path.clone())
            .collect();
        assert_eq!(store.changed_paths().unwrap(), marked.iter().cloned().collect::<Vec<_>>());
        assert_eq!(store.changed_count().unwrap(), u64::try_from(marked.len()).unwrap());
        let near: Rows = held
            .iter()
            .filter(|(path, _)| marked.iter().any(|mark| mark == *path || path.is_below(mark) || mark.is_below(path)))
            .map(|(path, row)| (path.clone(), row.clone()))
            .collect();
        let given = store.changed_rows().unwrap();
        // Rows below a mark bring their own ancestors, which the mark's line already holds.
        assert_eq!(given, near);
        let found: BTreeSet<RelPath> = store.suspects().unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, suspects);
        for (id, mark) in &self.marks {
            let seen = store.seen(id).unwrap().unwrap();
            assert_eq!((seen.revision, &seen.hashes, seen.ended), (mark.revision, &mark.hashes, mark.ended));
        }
        let totals = store.totals().unwrap();
        let sum = |size: fn(&Row) -> Option<u64>| {
            let mut sum = TreeTotals::default();
            for (path, row) in &held {
                let Some(size) = size(row) else { continue };
                sum.files += 1;
                sum.bytes += size;
                if let Some((top, _)) = path.as_str().split_once('/') {
                    *sum.tops.entry(top.to_owned()).or_default() += 1;
                }
            }
            sum
        };
        assert_eq!(totals.local, sum(|row| row.local.as_ref().map(|entry| entry.fingerprint.size)));
        assert_eq!(totals.remote, sum(|row| row.remote.as_ref().map(|entry| entry.size)));
        assert_eq!(totals.synced, sum(|row| row.synced.as_ref().map(|entry| entry.size)));
        store.check_all().unwrap();
    }
}

fn settled(outcome: &Outcome) -> Settled {
    let at = |n: usize| path(NAMES[n]);
    match *outcome {
        Outcome::Synced(n, content, seq, here) => {
            let remote = remote(&at(n), content, seq);
            let local = here.then(|| known(content));
            Settled::Synced { path: at(n), local, synced: agreed(&remote), remote }
        }
        Outcome::Gone(n) => Settled::Gone { path: at(n) },
        Outcome::Forgotten(n) => Settled::Forgotten { path: at(n) },
        Outcome::LocalPut(n, content) => Settled::LocalPut { path: at(n), local: known(content) },
        Outcome::LocalGone(n) => Settled::LocalGone { path: at(n) },
        Outcome::RemotePut(n, content, seq) => Settled::RemotePut { path: at(n), remote: remote(&at(n), content, seq) },
        Outcome::RemoteGone(n) => Settled::RemoteGone { path: at(n) },
        Outcome::LocalMoved(from, to, content, seq) => {
            let synced = seq.map(|seq| agreed(&remote(&at(to), content, seq)));
            Settled::LocalMoved { from: at(from), to: at(to), local: known(content), synced }
        }
        Outcome::RemoteMoved(from, to, content, seq, agree) => {
            let remote = remote(&at(to), content, seq);
            let synced = agree.then(|| agreed(&remote));
            Settled::RemoteMoved { from: at(from), to: at(to), remote, synced }
        }
    }
}

/// How many rows differ between two states: put, removed.
fn difference(before: &Rows, after: &Rows) -> (u64, u64) {
    let mut counts = (0, 0);
    let paths: BTreeSet<&RelPath> = before.keys().chain(after.keys()).collect();
    for path in paths {
        let (old, new) = (before.get(path).cloned().unwrap_or_default(), after.get(path).cloned().unwrap_or_default());
        for (same, there) in [
            (old.local == new.local, new.local.is_some()),
            (old.remote == new.remote, new.remote.is_some()),
            (old.synced == new.synced, new.synced.is_some()),
        ] {
            counts.0 += u64::from(!same && there);
            counts.1 += u64::from(!same && !there);
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_updates_give_what_the_model_gives(steps in steps()) {
        let scratch = Scratch::new();
        let mut store = open(&scratch.db).store;
        let mut model = Model::default();
        for step in steps {
            let before = model.held();
            match &step {
                Step::Local { put, remove, full } => {
                    let update = LocalUpdate {
                        put: put.iter().map(|(n, content)| (path(NAMES[*n]), local(*content))).collect(),
                        remove: remove.iter().map(|n| path(NAMES[*n])).collect(),
                        at: kit::LATER,
                    };
                    let removed = update.remove.iter().filter(|path| update.put.iter().all(|(put, _)| put != *path));
                    removed.for_each(|path| model.local(path, None));
                    update.put.iter().for_each(|(path, entry)| model.local(path, Some(entry.clone())));
                    let changes = store.record_local(&update, *full).unwrap();
                    prop_assert_eq!((changes.written, changes.removed), difference(&before, &model.held()));
                    prop_assert_eq!(changes.is_empty(), before == model.held());
                    let files = scratch.files();
                    prop_assert!(store.record_local(&update, *full).unwrap().is_empty());
                    prop_assert!(scratch.files() == files, "the same scan again was written");
                }
                Step::Remote { put, remove, full } => {
                    let put: BTreeMap<RelPath, RemoteEntry> = put
                        .iter()
                        .map(|(n, content, seq)| (path(NAMES[*n]), remote(&path(NAMES[*n]), *content, *seq)))
                        .collect();
                    let update = RemoteUpdate {
                        put: put.into_iter().collect(),
                        remove: remove.iter().map(|n| path(NAMES[*n])).collect(),
                        tag: full.then(|| "tag".to_owned()),
                    };
                    let removed = update.remove.iter().filter(|path| update.put.iter().all(|(put, _)| put != *path));
                    removed.for_each(|path| model.remote(path, None));
                    update.put.iter().for_each(|(path, entry)| model.remote(path, Some(entry.clone())));
                    let changes = store.record_remote(&update, *full).unwrap();
                    prop_assert_eq!((changes.written, changes.removed), difference(&before, &model.held()));
                    prop_assert_eq!(changes.is_empty(), before == model.held());
                    let files = scratch.files();
                    prop_assert!(store.record_remote(&update, *full).unwrap().is_empty());
                    prop_assert!(scratch.files() == files, "the same listing again was written");
                }
                Step::Settle(outcomes) => {
                    let outcomes: Vec<Settled> = outcomes.iter().map(settled).collect();
                    outcomes.iter().for_each(|outcome| model.settle(outcome));
                    store.settle(&outcomes, &[]).unwrap();
                }
                Step::AcceptListed(n) => {
                    let path = path(NAMES[*n]);
                    let expected = model.accept(&path);
                    prop_assert_eq!(store.accept_listed(&path).unwrap(), expected);
                }
                Step::Reopen => {
                    drop(store);
                    store = existing(&scratch.db);
                }
            }
            model.verify(&store);
        }
    }
}

/// Which trees hold a path: local, remote, synced.
fn held(store: &Store, name: &str) -> String {
    let row = store.row(&path(name)).unwrap();
    let letter = |is_there: bool, letter| if is_there { letter } else { '-' };
    let letters = [(row.local.is_some(), 'l'), (row.remote.is_some(), 'r'), (row.synced.is_some(), 's')];
    letters.into_iter().map(|(is_there, name)| letter(is_there, name)).collect()
}

#[test]
fn an_outcome_changes_the_trees_it_is_about_and_no_other() {
    let (a, b) = (path("a"), path("b"));
    let arrived = remote(&b, 1, 5);
    let agreed = || Some(agreed(&arrived));
    for (outcome, left, arrives) in [
        (Settled::Gone { path: a.clone() }, "---", "---"),
        (Settled::Forgotten { path: a.clone() }, "lr-", "---"),
        (Settled::LocalGone { path: a.clone() }, "-rs", "---"),
        (Settled::RemoteGone { path: a.clone() }, "l--", "---"),
        (Settled::LocalPut { path: b.clone(), local: known(1) }, "lrs", "l--"),
        (Settled::RemotePut { path: b.clone(), remote: arrived.clone() }, "lrs", "-r-"),
        (Settled::LocalMoved { from: a.clone(), to: b.clone(), local: known(1), synced: None }, "-rs", "l--"),
        (Settled::LocalMoved { from: a.clone(), to: b.clone(), local: known(1), synced: agreed() }, "-r-", "l-s"),
        (Settled::RemoteMoved { from: a.clone(), to: b.clone(), remote: arrived.clone(), synced: None }, "l--", "-r-"),
        (Settled::RemoteMoved { from: a, to: b, synced: agreed(), remote: arrived }, "l--", "-rs"),
    ] {
        let scratch = Scratch::new();
        let mut store = open(&scratch.db).store;
        store.settle(&[kit::synced("a", 1, 5)], &[]).unwrap();
        store.settle(std::slice::from_ref(&outcome), &[]).unwrap();
        assert_eq!((held(&store, "a").as_str(), held(&store, "b").as_str()), (left, arrives), "{outcome:?}");
    }
}

#[test]
fn a_mark_is_never_lowered_by_what_is_listed() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let name = path("a.txt");
    let id = FileId::of_path("a.txt");
    store.settle(&[kit::synced("a.txt", 1, 7)], &[]).unwrap();
    assert_eq!(store.changed_count().unwrap(), 0);

    store.record_remote(&kit::listed(&[("a.txt", 2, 5)]), true).unwrap();
    assert_eq!(store.seen(&id).unwrap().unwrap().revision.seq, 7);
    let seen = kit::revision(7, 1);
    assert_eq!(store.suspects().unwrap(), [(name.clone(), Suspicion::Rollback { seen })]);

    store.record_remote(&kit::listed(&[("a.txt", 3, 7)]), true).unwrap();
    assert_eq!(store.suspects().unwrap(), [(name.clone(), Suspicion::Equivocation { seen })]);

    let agreed = remote(&name, 1, 7);
    let of_another_content = RemoteEntry { hash: kit::salted(3), ..agreed };
    let of_another_id = RemoteEntry { revision: kit::revision(7, 3), ..agreed };
    for (listed, is_suspect) in [(of_another_content, true), (of_another_id, true), (agreed, false)] {
        store
            .record_remote(&RemoteUpdate { put: vec![(name.clone(), listed)], ..RemoteUpdate::default() }, true)
            .unwrap();
        assert_eq!(store.suspects().unwrap().len(), usize::from(is_suspect));
    }

    store.record_remote(&RemoteUpdate { remove: vec![name.clone()], ..RemoteUpdate::default() }, true).unwrap();
    store.record_remote(&kit::listed(&[("a.txt", 1, 6)]), true).unwrap();
    assert_eq!(store.suspects().unwrap(), [(name.clone(), Suspicion::Rollback { seen })]);

    assert!(store.accept_listed(&name).unwrap());
    assert_eq!(store.seen(&id).unwrap().unwrap().revision.seq, 6);
    assert_eq!(store.suspects().unwrap(), []);
    store.check_all().unwrap();
}

#[test]
fn a_rollback_to_the_agreed_revision_is_marked_though_the_trees_agree() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    store.settle(&[kit::synced("a", 1, 5)], &[]).unwrap();
    store.record_remote(&kit::listed(&[("a", 2, 7)]), true).unwrap();
    store.record_remote(&kit::listed(&[("a", 1, 5)]), true).unwrap();
    assert!(store.row(&path("a")).unwrap().is_agreed());
    assert_eq!(store.changed_paths().unwrap(), [path("a")]);
    assert_eq!(store.suspects().unwrap().len(), 1);
}

#[test]
fn a_file_made_anew_after_an_agreed_deletion_may_count_from_one() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    store.settle(&[kit::synced("a", 1, 9)], &[]).unwrap();
    store.settle(&[Settled::Gone { path: path("a") }], &[]).unwrap();
    let ended = store.seen(&FileId::of_path("a")).unwrap().unwrap();
    assert_eq!((ended.ended, ended.suspicion(&remote(&path("a"), 2, 1))), (true, None));
    store.record_remote(&kit::listed(&[("a", 2, 1)]), true).unwrap();
    assert_eq!(store.suspects().unwrap(), []);
    let seen = store.seen(&FileId::of_path("a")).unwrap().unwrap();
    assert_eq!((seen.revision.seq, seen.ended), (1, false));
    assert_eq!(seen.hashes, [kit::salted(2), kit::salted(1)]);
}

#[test]
fn an_agreement_that_is_forgotten_after_its_version_ends_the_file() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    store.settle(&[kit::synced("a", 1, 9)], &[]).unwrap();
    store.record_remote(&RemoteUpdate { remove: vec![path("a")], ..RemoteUpdate::default() }, true).unwrap();
    assert!(!store.seen(&FileId::of_path("a")).unwrap().unwrap().ended, "the deletion is not agreed yet");
    store.settle(&[Settled::Forgotten { path: path("a") }], &[]).unwrap();
    assert!(store.seen(&FileId::of_path("a")).unwrap().unwrap().ended);
}

#[test]
fn a_mark_remembers_the_last_eight_contents() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    for seq in 1..=20_u8 {
        store.record_remote(&kit::listed(&[("a", seq, seq.into())]), false).unwrap();
    }
    let seen = store.seen(&FileId::of_path("a")).unwrap().unwrap();
    assert_eq!(seen.hashes, (13..=20).rev().map(kit::salted).collect::<Vec<_>>());
}
