//! What a person does between a check and the change it was for.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use hcfs_fs::*;

use crate::faults::Script;
use crate::scratch::*;

/// An editor's save: a new file renamed over the old one.
fn save(scratch: &Scratch) -> impl FnOnce() + Send + 'static {
    let root = scratch.root();
    move || {
        std::fs::write(root.join("tmp"), "edited, longer").unwrap();
        std::fs::rename(root.join("tmp"), root.join("a")).unwrap();
    }
}

#[test]
fn an_edit_between_the_check_and_the_exchange_is_kept_beside() {
    let scratch = Scratch::new();
    scratch.write("d/a.txt", "seen");
    let folder = scratch.open();
    let seen = entry(&folder, "d/a.txt");
    // An editor's save: a new file renamed over the old one.
    let root = scratch.root();
    scratch.script.race(Rename::Exchange, move || {
        std::fs::write(root.join("d/tmp"), "edited").unwrap();
        std::fs::rename(root.join("d/tmp"), root.join("d/a.txt")).unwrap();
    });
    let (target, aside) = (rel("d/a.txt"), rel("d/a (conflict, laptop, 2026-01-02).txt"));
    let expect = Expect::This(&seen);
    let request = Install { target: &target, expect, aside: &aside, at: AT, durability: Durability::Each };
    let installed = folder.install(staged(&folder, "aa", "new"), &request).unwrap();
    assert_eq!(installed.displaced, Displaced::Conflict(aside.clone()));
    assert_eq!(scratch.read("d/a.txt").unwrap(), "new");
    assert_eq!(scratch.read(aside.as_str()).unwrap(), "edited");
    assert!(folder.trash_list().unwrap().is_empty());
}

/// Runs `hook` before the rename number `number` (from 1) of those that must not replace.
fn before_move(script: &Arc<Script>, number: usize, hook: impl FnOnce() + Send + 'static) {
    if number == 1 {
        return script.race(Rename::NoReplace, hook);
    }
    let (later, hook): (_, Box<dyn FnOnce() + Send>) = (Arc::clone(script), Box::new(hook));
    script.race(Rename::NoReplace, move || before_move(&later, number - 1, hook));
}

#[test]
fn an_edit_that_cannot_be_put_back_lies_in_the_trash() {
    let scratch = Scratch::with(Script::without_exchange());
    scratch.write("a", "seen");
    let folder = scratch.open();
    let seen = entry(&folder, "a");
    let part = staged(&folder, "aa", "new");
    let (root, script) = (scratch.root(), Arc::clone(&scratch.script));
    // The third takes the target, the fourth would put it back.
    before_move(&scratch.script, 3, move || {
        std::fs::write(root.join("a"), "edited").unwrap();
        script.race(Rename::NoReplace, move || std::fs::write(root.join("a"), "once more").unwrap());
    });
    let result = install(&folder, part, "a", Expect::This(&seen));
    assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
    assert_eq!(scratch.read("a").unwrap(), "once more");
    let trash = folder.trash_list().unwrap();
    assert_eq!(trash.iter().map(|entry| (entry.path.as_str(), entry.size)).collect::<Vec<_>>(), [("a", 6)]);
}

#[test]
fn an_edit_in_the_race_is_kept_without_exchange_too() {
    let scratch = Scratch::with(Script::without_exchange());
    scratch.write("a", "seen");
    let folder = scratch.open();
    let seen = entry(&folder, "a");
    let part = staged(&folder, "aa", "new");
    // The first moves the part, the second puts it back, the third takes the target.
    let root = scratch.root();
    before_move(&scratch.script, 3, move || std::fs::write(root.join("a"), "edited").unwrap());
    let result = install(&folder, part, "a", Expect::This(&seen));
    assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
    assert_eq!(scratch.read("a").unwrap(), "edited");
    assert!(folder.trash_list().unwrap().is_empty());
}

#[test]
fn an_edit_between_the_check_and_a_removal_or_rename_comes_back() {
    for (script, at) in [(Script::default(), Rename::NoReplace), (Script::only_links(), Rename::Replace)] {
        let scratch = Scratch::with(script);
        scratch.write("a", "seen");
        let folder = scratch.open();
        for renames in [false, true] {
            let seen = entry(&folder, "a");
            scratch.script.race(at, save(&scratch));
            let result = if renames {
                rename(&folder, "a", "b", &seen).map(drop)
            } else {
                remove(&folder, "a", &seen, &[]).map(drop)
            };
            assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
            assert_eq!(scratch.read("a").unwrap(), "edited, longer");
            assert!(!scratch.exists("b"));
            assert!(scratch.files(".hcfs/trash").is_empty());
            scratch.write("a", "seen");
        }
    }
}

#[test]
fn an_edit_in_the_race_is_kept_where_only_links_refuse_to_replace() {
    let scratch = Scratch::with(Script::only_links());
    scratch.write("a", "seen");
    let folder = scratch.open();
    let seen = entry(&folder, "a");
    let part = staged(&folder, "aa", "new");
    scratch.script.race(Rename::Replace, save(&scratch));
    let result = install(&folder, part, "a", Expect::This(&seen));
    assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
    assert_eq!(scratch.read("a").unwrap(), "edited, longer");
    assert!(scratch.files(".hcfs/trash").is_empty());
}

#[test]
fn a_directory_made_in_the_race_comes_back_whole() {
    for (script, at) in [(Script::default(), Rename::NoReplace), (Script::only_links(), Rename::Replace)] {
        let scratch = Scratch::with(script);
        scratch.write("a", "seen");
        let folder = scratch.open();
        let seen = entry(&folder, "a");
        let root = scratch.root();
        scratch.script.race(at, move || {
            std::fs::remove_file(root.join("a")).unwrap();
            std::fs::create_dir(root.join("a")).unwrap();
            std::fs::write(root.join("a/x"), "inside").unwrap();
        });
        let result = remove(&folder, "a", &seen, &[]).map(drop);
        assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
        assert_eq!(scratch.read("a/x").unwrap(), "inside");
    }
}

#[test]
fn a_rename_that_finds_its_name_taken_leaves_the_file_where_it_was() {
    let scratch = Scratch::with(Script::only_links());
    scratch.write("d/a", "content");
    let folder = scratch.open();
    let root = scratch.root();
    scratch.script.race(Rename::Replace, move || std::fs::write(root.join("b"), "made meanwhile").unwrap());
    let result = rename(&folder, "d/a", "b", &entry(&folder, "d/a"));
    assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
    assert_eq!((scratch.read("d/a").unwrap(), scratch.read("b").unwrap()), ("content".into(), "made meanwhile".into()));
    assert!(scratch.files(".hcfs/trash").is_empty());
}

#[test]
fn a_file_made_between_the_check_and_the_rename_is_not_replaced() {
    for script in [Script::default(), Script::only_links()] {
        let scratch = Scratch::with(script);
        let folder = scratch.open();
        let part = staged(&folder, "aa", "new");
        scratch.write("a", "made meanwhile");
        let result = install(&folder, part, "a", Expect::Absent);
        assert!(matches!(result, Err(ApplyError::Changed { .. })));
        assert_eq!(scratch.read("a").unwrap(), "made meanwhile");
    }
}

#[test]
fn a_parent_swapped_for_a_link_in_the_race_leads_nowhere() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x"), "theirs").unwrap();
    scratch.write("d/x", "old");
    let folder = scratch.open();
    let seen = entry(&folder, "d/x");
    for kind in [Rename::Exchange, Rename::NoReplace] {
        let (root, target) = (scratch.root(), outside.path().to_path_buf());
        scratch.script.race(kind, move || {
            std::fs::rename(root.join("d"), root.join("away")).unwrap();
            symlink(target, root.join("d")).unwrap();
        });
        let result = match kind {
            Rename::Exchange => install(&folder, staged(&folder, "aa", "new"), "d/x", Expect::This(&seen)).map(drop),
            _ => install(&folder, staged(&folder, "aa", "new"), "d/y", Expect::Absent).map(drop),
        };
        assert!(matches!(result, Err(ApplyError::Blocked { by: Obstacle::Symlink, .. })), "{result:?}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(outside.path().join("x")).unwrap(), "theirs");
        assert_eq!(scratch.read("away/x").unwrap(), "old");
        std::fs::remove_file(scratch.root().join("d")).unwrap();
        std::fs::rename(scratch.root().join("away"), scratch.root().join("d")).unwrap();
    }
}
