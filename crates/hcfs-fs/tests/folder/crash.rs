//! Every operation, failing or dying at every one of its calls.

use std::collections::BTreeSet;

use hcfs_fs::*;

use crate::faults::{EIO, ENOSPC, Fault, Script};
use crate::scratch::*;

#[derive(Clone, Copy)]
enum Kind {
    Modern,
    NoExchange,
    OnlyLinks,
}

fn scratch(kind: Kind) -> Scratch {
    let script = Script { no_sync: true, ..Script::default() };
    Scratch::in_memory(match kind {
        Kind::Modern => script,
        Kind::NoExchange => Script { no_exchange: true, ..script },
        Kind::OnlyLinks => Script { no_exchange: true, no_noreplace: true, ..script },
    })
}

fn kinds() -> [Kind; 3] {
    [Kind::Modern, Kind::NoExchange, Kind::OnlyLinks]
}

fn faults() -> [Fault; 3] {
    [Fault::Death, Fault::Once(EIO), Fault::Once(ENOSPC)]
}

/// Runs `act` with each fault at each of its calls. `check` is told whether it succeeded, after the folder was opened
/// again and swept.
fn everywhere(
    kind: Kind,
    prepare: impl Fn(&Scratch),
    act: impl Fn(&Folder, &Scratch) -> bool,
    check: impl Fn(&Scratch, bool, usize),
) {
    for fault in faults() {
        for at in 0.. {
            assert!(at < 500, "the loop ends");
            let scratch = scratch(kind);
            prepare(&scratch);
            let folder = scratch.open();
            let done = act_armed(&folder, &scratch, at, fault, &act);
            let reached = scratch.script.disarm();
            if fault != Fault::Death {
                assert!(scratch.user_bytes().contains(&"old".to_owned()), "in place or in the trash, at call {at}");
            }
            drop(folder);
            let folder = scratch.open();
            folder.sweep(&BTreeSet::new()).unwrap();
            check(&scratch, done, at);
            assert!(scratch.files(".hcfs/staged").is_empty());
            if !reached {
                assert!(done, "without a fault it succeeds");
                assert!(at > 4, "the loop went through the steps");
                break;
            }
        }
    }
}

fn act_armed(
    folder: &Folder,
    scratch: &Scratch,
    at: usize,
    fault: Fault,
    act: &impl Fn(&Folder, &Scratch) -> bool,
) -> bool {
    ARM.with(|arm| arm.set(Some((at, fault))));
    act(folder, scratch)
}

thread_local! {
    static ARM: std::cell::Cell<Option<(usize, Fault)>> = const { std::cell::Cell::new(None) };
}

/// Begins the faults: what came before in `act` was preparation.
fn arm(scratch: &Scratch) {
    let (at, fault) = ARM.with(std::cell::Cell::take).unwrap();
    scratch.script.arm(at, fault);
}

#[test]
fn a_replacement_never_loses_the_old_version_nor_the_name() {
    for kind in kinds() {
        everywhere(
            kind,
            |scratch| scratch.write("d/a", "old"),
            |folder, scratch| {
                let seen = entry(folder, "d/a");
                let part = staged(folder, "aa", "new");
                arm(scratch);
                install(folder, part, "d/a", Expect::This(&seen)).is_ok()
            },
            |scratch, done, at| {
                let now = scratch.read("d/a").unwrap_or_else(|| panic!("the name is empty after call {at}"));
                assert!(scratch.user_bytes().contains(&"old".to_owned()), "the old version is lost at call {at}");
                assert!(now == "new" || (now == "old" && !done), "{now} after call {at}");
            },
        );
    }
}

#[test]
fn a_replacement_that_meets_an_edit_never_loses_the_edit() {
    everywhere(
        Kind::Modern,
        |scratch| scratch.write("d/a", "seen"),
        |folder, scratch| {
            let seen = entry(folder, "d/a");
            let part = staged(folder, "aa", "new");
            let root = scratch.root();
            // The user's version from here on.
            std::fs::write(root.join("d/tmp"), "old").unwrap();
            scratch.script.race(Rename::Exchange, move || {
                std::fs::rename(root.join("d/tmp"), root.join("d/a")).unwrap();
            });
            arm(scratch);
            install(folder, part, "d/a", Expect::This(&seen)).is_ok()
        },
        |scratch, _, at| assert!(scratch.user_bytes().contains(&"old".to_owned()), "the edit is lost at call {at}"),
    );
}

#[test]
fn a_removal_never_loses_the_file() {
    for kind in kinds() {
        everywhere(
            kind,
            |scratch| scratch.write("d/e/a", "old"),
            |folder, scratch| {
                let seen = entry(folder, "d/e/a");
                arm(scratch);
                remove(folder, "d/e/a", &seen, &[]).is_ok()
            },
            |scratch, done, at| {
                assert!(scratch.user_bytes().contains(&"old".to_owned()), "lost at call {at}");
                assert!(!done || !scratch.exists("d/e/a"), "it was said to be removed, at call {at}");
            },
        );
    }
}

#[test]
fn a_rename_never_loses_the_file() {
    for kind in kinds() {
        everywhere(
            kind,
            |scratch| scratch.write("d/a", "old"),
            |folder, scratch| {
                let seen = entry(folder, "d/a");
                arm(scratch);
                rename(folder, "d/a", "e/f/b", &seen).is_ok()
            },
            |scratch, done, at| {
                let places = [scratch.read("d/a"), scratch.read("e/f/b")];
                assert!(places.contains(&Some("old".to_owned())), "lost at call {at}");
                assert!(!done || places == [None, Some("old".to_owned())], "{places:?} after call {at}");
            },
        );
    }
}

#[test]
fn an_install_never_shows_half_a_file_and_touches_no_neighbour() {
    for kind in kinds() {
        everywhere(
            kind,
            |scratch| scratch.write("d/neighbour", "old"),
            |folder, scratch| {
                let part = staged(folder, "aa", "new");
                arm(scratch);
                install(folder, part, "d/e/a", Expect::Absent).is_ok()
            },
            |scratch, done, at| {
                assert_eq!(scratch.read("d/neighbour").as_deref(), Some("old"));
                let now = scratch.read("d/e/a");
                assert!(now.as_deref() == Some("new") || (now.is_none() && !done), "{now:?} after call {at}");
            },
        );
    }
}

#[test]
fn a_restore_never_loses_the_file() {
    for kind in kinds() {
        everywhere(
            kind,
            |scratch| scratch.write("d/a", "old"),
            |folder, scratch| {
                remove(folder, "d/a", &entry(folder, "d/a"), &[]).unwrap();
                let id = folder.trash_list().unwrap()[0].id.clone();
                arm(scratch);
                folder.trash_restore(&id).is_ok()
            },
            |scratch, done, at| {
                assert!(scratch.user_bytes().contains(&"old".to_owned()), "lost at call {at}");
                assert!(!done || scratch.read("d/a").is_some());
            },
        );
    }
}

#[test]
fn what_was_replaced_does_not_come_back_after_an_error() {
    for kind in [Kind::NoExchange, Kind::OnlyLinks] {
        for at in 0.. {
            assert!(at < 500, "the loop ends");
            let scratch = scratch(kind);
            scratch.write("d/a", "old");
            let folder = scratch.open();
            let seen = entry(&folder, "d/a");
            let part = staged(&folder, "aa", "new");
            scratch.script.arm(at, Fault::Once(EIO));
            let done = install(&folder, part, "d/a", Expect::This(&seen)).is_ok();
            let reached = scratch.script.disarm();
            // As at the end of a cycle.
            folder.sweep_staged(&BTreeSet::new()).unwrap();
            let arrived = scratch.read("d/a").as_deref() == Some("new");
            drop(folder);
            std::fs::remove_file(scratch.root().join("d/a")).unwrap();
            let folder = scratch.open();
            folder.sweep(&BTreeSet::new()).unwrap();
            assert!(!arrived || !scratch.exists("d/a"), "{done} after an error at call {at}");
            if !reached {
                assert!(done && at > 4);
                break;
            }
        }
    }
}

#[test]
fn sweeping_twice_finds_nothing_more() {
    let scratch = scratch(Kind::NoExchange);
    scratch.write("a", "old");
    // What a process leaves that died between taking the old version away and putting the new one there.
    let folder = scratch.open();
    let place = scratch.root().join(".hcfs/trash/00000000000000000007-000000.moved");
    std::fs::create_dir(&place).unwrap();
    std::fs::rename(scratch.root().join("a"), place.join("a")).unwrap();
    assert_eq!(folder.sweep(&BTreeSet::new()).unwrap().healed, [rel("a")]);
    assert_eq!(scratch.read("a").unwrap(), "old");
    assert_eq!(folder.sweep(&BTreeSet::new()).unwrap(), Swept::default());
    assert!(!place.exists());
}
