//! What a disk refuses, call by call: what matters is told, with what it was done to, and what passes is tried again.

use hcfs_fs::*;
use hcfs_model::ProblemCode;

use crate::faults::*;
use crate::scratch::*;

/// Has `act` meet `errno` at each of its calls in turn, and gives what it said each time; `act` calls the function it is
/// given when its preparations are done.
fn at_each_call<T>(
    errno: i32,
    act: impl Fn(&Scratch, &Folder, &dyn Fn()) -> Result<T, ApplyError>,
) -> Vec<Result<T, ApplyError>> {
    let mut said = Vec::new();
    for at in 0..100 {
        let scratch = Scratch::in_memory(Script { no_sync: true, ..Script::default() });
        let folder = scratch.open();
        let done = act(&scratch, &folder, &|| scratch.script.arm(at, Fault::Once(errno)));
        if !scratch.script.disarm() {
            assert!(done.is_ok(), "without a fault it succeeds");
            return said;
        }
        said.push(done);
    }
    panic!("it has no end");
}

/// How many of the refusals passed unnoticed; the others name what they are about.
fn unnoticed<T>(said: &[Result<T, ApplyError>], about: &[&str]) -> usize {
    for error in said.iter().filter_map(|said| said.as_ref().err()) {
        let text = error.to_string();
        assert!(about.iter().any(|object| text.contains(object)), "{text}");
    }
    said.iter().filter(|said| said.is_ok()).count()
}

fn replace(scratch: &Scratch, folder: &Folder, ready: &dyn Fn()) -> Result<Installed, ApplyError> {
    scratch.write("d/a", "old");
    let seen = entry(folder, "d/a");
    let part = staged(folder, "ab", "new");
    ready();
    install(folder, part, "d/a", Expect::This(&seen))
}

#[test]
fn a_device_that_fails_at_any_call_is_told_of_with_the_file() {
    let installed = at_each_call(EIO, |_, folder, ready| {
        let part = staged(folder, "ab", "new");
        ready();
        install(folder, part, "d/\u{e9}", Expect::Absent)
    });
    // The look for the name in another form may fail: the rename then refuses what is there.
    assert_eq!(unnoticed(&installed, &["\"d/\u{e9}\"", "the staged part ab"]), 1);
    let replaced = at_each_call(EIO, replace);
    // What was displaced cannot be looked at: it is kept beside the new version.
    assert_eq!(unnoticed(&replaced, &["\"d/a\"", "the staged part ab"]), 1);
}

#[test]
fn a_device_that_fails_at_any_call_of_a_part_is_told_of() {
    let part = ["the staged part ab", "the file system"];
    let made = at_each_call(EIO, |_, folder, ready| {
        ready();
        folder.stage("ab", 10).map(drop)
    });
    assert_eq!((unnoticed(&made, &part), made.len()), (0, 4));
    let full = at_each_call(ENOSPC, |_, folder, ready| {
        ready();
        folder.stage("ab", 10).map(drop)
    });
    assert!(full.iter().all(|made| matches!(made, Err(ApplyError::NoSpace { .. }))), "{full:?}");
    let resumed = at_each_call(EIO, |_, folder, ready| {
        drop(staged(folder, "ab", "new"));
        ready();
        folder.resume_stage("ab", 3).map(drop)
    });
    assert_eq!(unnoticed(&resumed, &part), 0);
    let discarded = at_each_call(EIO, |_, folder, ready| {
        ready();
        folder.discard("ab")
    });
    assert_eq!(unnoticed(&discarded, &part), 0);
    let part = ["the fetched part ab"];
    let fetched = at_each_call(EIO, |_, folder, ready| {
        ready();
        folder.fetched("ab").map(drop)
    });
    assert_eq!((unnoticed(&fetched, &part), fetched.len()), (0, 4));
    let discarded = at_each_call(EIO, |_, folder, ready| {
        ready();
        folder.discard_fetched("ab")
    });
    assert_eq!(unnoticed(&discarded, &part), 0);
}

#[test]
fn a_device_that_fails_at_any_call_on_the_trash_is_told_of() {
    let listed = at_each_call(EIO, |scratch, folder, ready| {
        scratch.write(".hcfs/trash/00000000000000000007-000000/d/a", "1");
        ready();
        folder.trash_list().map(drop)
    });
    assert_eq!((unnoticed(&listed, &["the trash", "the state directory"]), listed.len()), (0, 3));
    let swept = at_each_call(EIO, |scratch, folder, ready| {
        scratch.write(".hcfs/trash/00000000000000000007-000000.moved/a", "1");
        ready();
        folder.sweep(&std::collections::BTreeSet::new()).map(drop)
    });
    // An empty directory that cannot be seen or removed is one of the next sweep.
    assert_eq!(unnoticed(&swept, &["\"a\"", "the trash", "the state directory"]), 2);
}

#[test]
fn a_directory_that_another_call_makes_or_removes_meanwhile_is_no_error() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let part = staged(&folder, "ab", "new");
    let directory = scratch.root().join("d");
    scratch.script.race(Rename::NoReplace, move || std::fs::remove_dir(directory).unwrap());
    install(&folder, part, "d/a", Expect::Absent).unwrap();
    assert_eq!(scratch.read("d/a").unwrap(), "new");

    scratch.write("e/a", "old");
    let removed = remove(&folder, "e/a", &entry(&folder, "e/a"), &[]).unwrap();
    let restored_although = |errno| {
        *scratch.script.unmade.lock().unwrap() = Some(errno);
        folder.trash_restore(&removed.id)
    };
    assert!(matches!(restored_although(EIO), Err(ApplyError::Io { .. })));
    assert_eq!(restored_although(EEXIST).unwrap(), rel("e/a"));
}

#[test]
fn a_device_that_fails_at_any_call_of_a_restore_is_told_of() {
    let restored = at_each_call(EIO, |scratch, folder, ready| {
        scratch.write("d/a", "old");
        let id = remove(folder, "d/a", &entry(folder, "d/a"), &[]).unwrap().id;
        scratch.write("d/a", "new");
        ready();
        folder.trash_restore(&id)
    });
    // The two directories of the trash that are left are removed by the next sweep.
    assert_eq!(unnoticed(&restored, &["\"d/a\"", "\"d/a (restored)\"", "the trash"]), 2);
}

#[test]
fn a_link_that_was_made_to_see_whether_there_are_links_may_be_left() {
    let scratch = Scratch::with(Script::only_links());
    scratch.write("a", "1");
    let folder = scratch.open();
    scratch.write(".hcfs/probe", "left");
    remove(&folder, "a", &entry(&folder, "a"), &[]).unwrap();
    assert_eq!(folder.trash_list().unwrap().len(), 1);
}

#[test]
fn where_a_directory_is_gone_the_one_above_it_is_made_durable() {
    let scratch = Scratch::new();
    scratch.write("d/e/a", "1");
    scratch.write("d/e/b", "2");
    let folder = scratch.open();
    let unsynced = |errno| *scratch.script.unsynced.lock().unwrap() = [("d/e", errno)].into();
    unsynced(ENOENT);
    scratch.script.log.lock().unwrap().clear();
    rename(&folder, "d/e/a", "a", &entry(&folder, "d/e/a")).unwrap();
    assert_eq!(*scratch.script.log.lock().unwrap(), ["NoReplace a", "sync ", "sync d"]);
    unsynced(EIO);
    assert!(matches!(rename(&folder, "d/e/b", "b", &entry(&folder, "d/e/b")), Err(ApplyError::Io { .. })));
}

#[test]
fn directories_that_hold_only_directories_keep_no_file_from_its_name() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    std::fs::create_dir_all(scratch.root().join("hollow/a/b")).unwrap();
    std::fs::create_dir_all(scratch.root().join("hollow/c")).unwrap();
    install(&folder, staged(&folder, "ab", "new"), "hollow", Expect::Absent).unwrap();
    assert_eq!(scratch.read("hollow").unwrap(), "new");
    for file in ["full/a/b/file", "full/a/file"] {
        scratch.write(file, "precious");
        std::fs::create_dir_all(scratch.root().join("full/a/c")).unwrap();
        let refused = install(&folder, staged(&folder, "ab", "new"), "full", Expect::Absent);
        assert!(matches!(refused, Err(ApplyError::Blocked { by: Obstacle::Directory, .. })), "{refused:?}");
        assert!(scratch.exists("full/a/c"), "nothing is removed of what stays");
        std::fs::remove_dir_all(scratch.root().join("full")).unwrap();
    }
}

#[test]
fn a_path_that_is_looked_at_alone_is_found_missing_or_in_the_way() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let rules = Rules::new(&folder, &[]).unwrap();
    scratch.write("d/e\u{301}", "in another form");
    scratch.write("file", "1");
    let look = |path: &str| scan_with(&folder, &rules, Scope::Subtrees(&[rel(path)]));
    assert_eq!(paths(&look("d/\u{e9}").0), ["d/\u{e9}"]);
    for missing in ["gone/\u{e9}", "file/\u{e9}", &"x".repeat(256), "d/\u{ea}"] {
        assert_eq!(look(missing), (Vec::new(), Scan::default()), "{missing}");
    }
    std::os::unix::fs::symlink("d", scratch.root().join("link")).unwrap();
    let (_, scan) = look("link/e/x");
    assert!(scan.problems[0].message.ends_with("at \"link\""), "{}", scan.problems[0].message);
    // On some file systems the forms of a name are one name.
    std::fs::hard_link(scratch.root().join("d/e\u{301}"), scratch.root().join("d/\u{e9}")).unwrap();
    assert_eq!(paths(&look("d/\u{e9}").0), ["d/\u{e9}"]);
    std::fs::remove_file(scratch.root().join("d/\u{e9}")).unwrap();
    scratch.write("d/\u{e9}", "a second one");
    let (found, scan) = look("d/\u{e9}");
    assert!(found.is_empty() && scan.unknown == [rel("d/\u{e9}")]);
    assert!(scan.problems[0].message.ends_with("at \"d/\u{e9}\""), "{}", scan.problems[0].message);
}

#[test]
fn a_directory_that_vanishes_under_a_look_is_absent_and_one_that_cannot_be_read_is_not() {
    for (errno, unknown) in [(ENOENT, 0), (EIO, 1)] {
        // The rules and the directory come first; then the two forms of the name, and what else is in the directory.
        for at in 2..5 {
            let scratch = Scratch::new();
            let folder = scratch.open();
            let rules = Rules::new(&folder, &[]).unwrap();
            std::fs::create_dir(scratch.root().join("d")).unwrap();
            scratch.script.arm(at, Fault::Once(errno));
            let (found, scan) = scan_with(&folder, &rules, Scope::Subtrees(&[rel("d/\u{e9}")]));
            assert!(scratch.script.disarm());
            assert_eq!((found.len(), scan.unknown.len()), (0, unknown), "{errno} at {at}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_read_says_why() {
    // One that is gone is absent.
    for (errno, codes) in [
        (EACCES, vec![ProblemCode::Unreadable]),
        (ELOOP, vec![ProblemCode::Symlink]),
        (EIO, vec![ProblemCode::Io]),
        (ENOENT, Vec::new()),
    ] {
        let scratch = Scratch::new();
        let folder = scratch.open();
        scratch.write("d/a", "1");
        // The root is listed first.
        scratch.script.arm(1, Fault::Once(errno));
        let (found, report) = scan(&folder);
        assert!(scratch.script.disarm() && found.is_empty());
        assert_eq!(report.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), codes);
        assert_eq!(report.unknown.len(), codes.len());
    }
}

/// How often a folder opened although one of its calls was refused.
fn opened_although_refused(errno: i32, is_new: bool) -> usize {
    let mut opened = 0;
    for at in 0.. {
        let scratch = Scratch::in_memory(Script::default());
        if !is_new {
            drop(scratch.open());
        }
        scratch.script.arm(at, Fault::Once(errno));
        let folder = Folder::over(Scripted::over(scratch.dir.path(), &scratch.script), None, [9; 16]);
        if !scratch.script.disarm() {
            break;
        }
        opened += usize::from(folder.is_ok());
    }
    opened
}

#[test]
fn a_folder_opens_on_a_full_disk_and_on_none_that_fails() {
    for is_new in [false, true] {
        // The two calls that tell others who has the lock say nothing.
        assert_eq!(opened_although_refused(EIO, is_new), 2);
        // Besides, the four of the file that is made to see its mode.
        assert_eq!(opened_although_refused(ENOSPC, is_new), 6);
    }
}

#[test]
fn a_marker_that_cannot_be_read_is_not_made_anew() {
    let scratch = Scratch::new();
    let id = scratch.open().identity().id;
    let open = || Folder::over(Scripted::over(scratch.dir.path(), &scratch.script), None, [1; 16]);
    scratch.script.deny(b".hcfs/marker");
    assert!(matches!(open().err(), Some(RootError::NotReadable { .. })));
    scratch.script.denied.lock().unwrap().clear();
    assert_eq!(open().unwrap().identity().id, id);
    scratch.write(".hcfs/marker", &"x".repeat(2000));
    assert!(matches!(open().err(), Some(RootError::MarkerDamaged { .. })));
}

#[test]
fn a_file_where_a_directory_of_the_state_belongs_is_told() {
    let scratch = Scratch::new();
    scratch.write(".hcfs/staged", "in the way");
    let opened = Folder::over(Scripted::over(scratch.dir.path(), &scratch.script), None, [1; 16]);
    assert!(matches!(opened.err(), Some(RootError::Io { .. })));
}

#[test]
fn a_batch_asks_the_disk_for_its_promise_and_for_its_sync() {
    for keeps_order in [false, true] {
        let scratch = Scratch::with(Script { keeps_order, ..Script::default() });
        let folder = scratch.open();
        assert_eq!(folder.takes_batches(), keeps_order);
        folder.sync_all().unwrap();
        scratch.script.arm(0, Fault::Once(EIO));
        assert!(matches!(folder.sync_all(), Err(ApplyError::Io { .. })));
    }
}
