use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use hcfs_fs::*;

use crate::scratch::*;

struct Watched {
    watcher: Watcher,
    woken: Receiver<()>,
}

fn watch(folder: &Folder) -> Watched {
    let (send, woken) = channel();
    let watcher = Watcher::start(folder, move || {
        let _ = send.send(());
    })
    .unwrap();
    Watched { watcher, woken }
}

impl Watched {
    fn next(&self) -> Vec<Hint> {
        self.woken.recv_timeout(Duration::from_secs(30)).expect("hints before the deadline");
        self.watcher.take()
    }

    /// Gathers hints until `done` says that all are there.
    fn until(&self, done: impl Fn(&[Hint]) -> bool) -> Vec<Hint> {
        let mut hints = Vec::new();
        while !done(&hints) {
            hints.extend(self.next());
        }
        hints
    }
}

#[test]
fn edits_renames_and_removals_are_hinted_at() {
    let scratch = Scratch::new();
    scratch.write("d/a", "1");
    scratch.write("d/b", "1");
    let folder = scratch.open();
    let watched = watch(&folder);
    scratch.write("d/a", "2");
    watched.until(|hints| hints.contains(&Hint::Touched(rel("d/a"))));
    std::fs::rename(scratch.root().join("d/b"), scratch.root().join("d/c")).unwrap();
    let hints = watched.until(|hints| hints.contains(&Hint::Moved(rel("d/b"), rel("d/c"))));
    assert!(hints.contains(&Hint::Touched(rel("d/b"))), "{hints:?}");
    assert!(hints.contains(&Hint::Subtree(rel("d/c"))), "{hints:?}");
    std::fs::remove_dir_all(scratch.root().join("d")).unwrap();
    watched.until(|hints| hints.contains(&Hint::Touched(rel("d"))));
}

#[test]
fn an_editor_save_is_hinted_at_under_the_final_name() {
    let scratch = Scratch::new();
    scratch.write("a", "1");
    let folder = scratch.open();
    let watched = watch(&folder);
    scratch.write("a.tmp", "2");
    std::fs::rename(scratch.root().join("a.tmp"), scratch.root().join("a")).unwrap();
    watched
        .until(|hints| [Hint::Subtree(rel("a")), Hint::Touched(rel("a.tmp"))].iter().all(|hint| hints.contains(hint)));
}

#[test]
fn own_state_and_reading_are_not_hinted_at() {
    let scratch = Scratch::new();
    scratch.write("d/a", "1");
    let folder = scratch.open();
    let watched = watch(&folder);
    // All of these come before the edit that ends the wait.
    scan(&folder);
    folder.open_read(&rel("d/a"), None).unwrap();
    drop(staged(&folder, "aa", "x"));
    folder.sweep(&BTreeSet::new()).unwrap();
    scratch.write("d/b", "2");
    assert_eq!(watched.next(), [Hint::Touched(rel("d/b"))]);
}

#[test]
fn everything_in_quickly_nested_directories_is_found_through_hints() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let watched = watch(&folder);
    let mut wanted = BTreeSet::new();
    let mut dir = String::new();
    for depth in 0..50 {
        dir = format!("{dir}{}d{depth}", if depth == 0 { "" } else { "/" });
        for file in 0..4 {
            scratch.write(&format!("{dir}/f{file}"), "x");
            wanted.insert(rel(&format!("{dir}/f{file}")));
        }
    }
    let rules = Rules::new(&folder, &[]).unwrap();
    let mut seen = BTreeSet::new();
    while seen != wanted {
        for hint in watched.next() {
            let scope = match &hint {
                Hint::Touched(path) | Hint::Subtree(path) | Hint::Moved(_, path) => {
                    Scope::Subtrees(std::slice::from_ref(path))
                }
                Hint::Rescan(_) => panic!("no events should be lost: {hint:?}"),
            };
            seen.extend(scan_with(&folder, &rules, scope).0.into_iter().map(|file| file.path));
        }
    }
    // And the deepest is watched by now.
    scratch.write(&format!("{dir}/late"), "x");
    watched.until(|hints| hints.contains(&Hint::Touched(rel(&format!("{dir}/late")))));
}

#[test]
fn a_directory_that_moves_in_or_moves_on_stays_watched() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir_in(scratch.root().parent().unwrap()).unwrap();
    std::fs::create_dir_all(outside.path().join("in/deep")).unwrap();
    let folder = scratch.open();
    let watched = watch(&folder);
    std::fs::rename(outside.path().join("in"), scratch.root().join("in")).unwrap();
    watched.until(|hints| hints.contains(&Hint::Subtree(rel("in"))));
    scratch.write("in/deep/x", "1");
    watched.until(|hints| hints.contains(&Hint::Touched(rel("in/deep/x"))));
    std::fs::rename(scratch.root().join("in"), scratch.root().join("on")).unwrap();
    watched.until(|hints| hints.contains(&Hint::Moved(rel("in"), rel("on"))));
    scratch.write("on/deep/y", "1");
    watched.until(|hints| hints.contains(&Hint::Touched(rel("on/deep/y"))));
}

#[test]
fn links_are_not_followed() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), scratch.root().join("link")).unwrap();
    let folder = scratch.open();
    let watched = watch(&folder);
    std::fs::write(outside.path().join("x"), "1").unwrap();
    scratch.write("own", "1");
    assert_eq!(watched.next(), [Hint::Touched(rel("own"))]);
}

#[test]
fn a_watcher_that_is_dropped_is_quiet_from_then_on() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let Watched { watcher, woken } = watch(&folder);
    drop(watcher);
    // Whoever could wake is gone with its thread.
    assert_eq!(woken.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_root_that_goes_away_asks_for_a_look_at_everything() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let request = OpenRequest { root: &root, known: None, new_id: [1; 16], others: &[] };
    let folder = Folder::open(&request).unwrap();
    let watched = watch(&folder);
    std::fs::rename(&root, dir.path().join("away")).unwrap();
    watched.until(|hints| hints.contains(&Hint::Rescan(RescanReason::Overflow)));
}

#[test]
fn a_flood_of_changes_is_hinted_at_whole() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let watched = watch(&folder);
    let mut wanted = BTreeSet::new();
    for index in 0..4_300 {
        scratch.write(&format!("f{index}"), "");
        wanted.insert(rel(&format!("f{index}")));
    }
    // How much of it falls into one batch, and so whether the bound is met, depends on the machine.
    while !wanted.is_empty() {
        for hint in watched.next() {
            match hint {
                Hint::Touched(path) => {
                    wanted.remove(&path);
                }
                Hint::Rescan(RescanReason::Overflow) => wanted.clear(),
                other => panic!("{other:?}"),
            }
        }
    }
}
