use std::os::unix::fs::{PermissionsExt, symlink};

use hcfs_fs::*;
use hcfs_model::{LocalEntry, ProblemCode, UnixNanos};

use crate::faults::{Fault, Script};
use crate::scratch::*;

#[test]
fn a_new_file_gets_its_parents_and_the_mode_of_the_umask() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    scratch.write("probe", "");
    let mode = |path: &str| std::fs::metadata(scratch.root().join(path)).unwrap().permissions().mode() & 0o777;
    let installed = install(&folder, staged(&folder, "aa", "new"), "a/b/c.txt", Expect::Absent).unwrap();
    assert_eq!(scratch.read("a/b/c.txt").unwrap(), "new");
    assert_eq!(installed.displaced, Displaced::Nothing);
    assert_eq!(mode("a/b/c.txt"), mode("probe"));
    assert_eq!(Some(installed.placed.fingerprint), folder.fingerprint(&rel("a/b/c.txt"), None).unwrap());
    assert!(scratch.files(".hcfs/staged").is_empty());
}

#[test]
fn a_replaced_file_keeps_its_mode_and_goes_to_the_trash() {
    for script in [Script::default(), Script::without_exchange(), Script::only_links()] {
        let scratch = Scratch::with(script);
        scratch.write("d/run.sh", "old");
        let path = scratch.root().join("d/run.sh");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4750)).unwrap();
        let folder = scratch.open();
        let entry = entry(&folder, "d/run.sh");
        let installed = install(&folder, staged(&folder, "aa", "new"), "d/run.sh", Expect::This(&entry)).unwrap();
        assert_eq!(scratch.read("d/run.sh").unwrap(), "new");
        // Content from elsewhere does not become set-id.
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o750);
        let list = folder.trash_list().unwrap();
        assert_eq!((list[0].path.as_str(), list[0].at, list.len()), ("d/run.sh", AT, 1));
        assert_eq!(installed.displaced, Displaced::Trashed { id: list[0].id.clone() });
        assert_eq!(scratch.files(".hcfs/trash")[0].1, "old");
        assert_eq!(Some(installed.placed.fingerprint), folder.fingerprint(&rel("d/run.sh"), None).unwrap());
        assert!(scratch.files(".hcfs/staged").is_empty());
    }
}

#[test]
fn a_version_the_plan_did_not_see_is_not_replaced_removed_or_renamed() {
    let scratch = Scratch::new();
    scratch.write("a", "seen");
    let folder = scratch.open();
    let seen = entry(&folder, "a");
    scratch.write("a", "edited since");
    let changed = |result: Result<(), ApplyError>| matches!(result, Err(ApplyError::Changed { .. }));
    assert!(changed(install(&folder, staged(&folder, "aa", "new"), "a", Expect::This(&seen)).map(drop)));
    assert!(changed(install(&folder, staged(&folder, "aa", "new"), "a", Expect::Absent).map(drop)));
    assert!(changed(remove(&folder, "a", &seen, &[]).map(drop)));
    assert!(changed(rename(&folder, "a", "b", &seen).map(drop)));
    std::fs::remove_file(scratch.root().join("a")).unwrap();
    assert!(changed(install(&folder, staged(&folder, "aa", "new"), "a", Expect::This(&seen)).map(drop)));
    assert!(changed(remove(&folder, "a", &seen, &[]).map(drop)));
    assert!(folder.resume_stage("aa", 3).unwrap().is_some(), "the part is kept for the next plan");
    assert!(folder.trash_list().unwrap().is_empty());
}

#[test]
fn a_disk_that_can_neither_link_nor_refuse_to_replace_is_not_trusted() {
    let script = Script { no_exchange: true, no_noreplace: true, no_link: true, ..Script::default() };
    let scratch = Scratch::with(script);
    scratch.write("a", "old");
    let folder = scratch.open();
    let seen = entry(&folder, "a");
    let unsupported = |result| matches!(result, Err(ApplyError::Unsupported { .. }));
    assert!(unsupported(install(&folder, staged(&folder, "aa", "new"), "b", Expect::Absent).map(drop)));
    assert!(unsupported(remove(&folder, "a", &seen, &[]).map(drop)));
    assert!(install(&folder, staged(&folder, "aa", "new"), "a", Expect::This(&seen)).is_err());
    assert_eq!(scratch.files("").iter().filter(|(path, _)| !path.starts_with(".hcfs")).count(), 1);
    assert_eq!(scratch.read("a").unwrap(), "old");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir().unwrap();
    scratch.write("dir/x", "");
    scratch.write("file", "");
    symlink(outside.path(), scratch.root().join("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scratch.root().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let folder = scratch.open();
    let some = entry(&folder, "file");
    for (target, obstacle, at) in [
        ("dir", Obstacle::Directory, "dir"),
        ("file/x", Obstacle::File, "file"),
        ("link/x", Obstacle::Symlink, "link"),
        ("link/y/x", Obstacle::Symlink, "link"),
        ("link", Obstacle::Symlink, "link"),
        ("fifo", Obstacle::Special, "fifo"),
        ("fifo/x", Obstacle::Special, "fifo"),
    ] {
        let result = install(&folder, staged(&folder, "aa", "new"), target, Expect::Absent);
        match result {
            Err(ApplyError::Blocked { by, at: place, path }) => {
                assert_eq!((by, place.as_str(), path.as_str()), (obstacle, at, target));
            }
            other => panic!("{target}: {other:?}"),
        }
    }
    for target in ["dir", "link", "fifo"] {
        let blocked = |result| matches!(result, Err(ApplyError::Blocked { .. }));
        assert!(
            blocked(install(&folder, staged(&folder, "aa", "n"), target, Expect::This(&some)).map(drop)),
            "{target}"
        );
        assert!(blocked(remove(&folder, target, &some, &[]).map(drop)), "{target}");
        assert!(blocked(rename(&folder, target, "elsewhere", &some).map(drop)), "{target}");
        assert!(folder.open_read(&rel(target), None).is_err());
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn removing_empties_directories_up_to_the_first_that_holds_something() {
    let scratch = Scratch::new();
    scratch.write("a/b/c/x", "1");
    scratch.write("a/y", "2");
    let folder = scratch.open();
    let removed = remove(&folder, "a/b/c/x", &entry(&folder, "a/b/c/x"), &[]).unwrap();
    assert_eq!(removed.emptied, [rel("a/b/c"), rel("a/b")]);
    assert_eq!(removed.problem, None);
    let removed = remove(&folder, "a/y", &entry(&folder, "a/y"), &[]).unwrap();
    assert_eq!(removed.emptied, [rel("a")]);
    assert!(scratch.root().exists());
    assert_eq!(folder.trash_list().unwrap().len(), 2);
}

#[test]
fn a_directory_with_only_ignored_files_stays_as_a_problem() {
    let scratch = Scratch::new();
    scratch.write("d/x", "1");
    scratch.write("d/cache.tmp", "precious");
    scratch.write("d/build/made", "made");
    scratch.write("e/x", "1");
    scratch.write("e/other", "2");
    let folder = scratch.open();
    let removed = remove(&folder, "d/x", &entry(&folder, "d/x"), &["*.tmp", "build/"]).unwrap();
    let problem = removed.problem.unwrap();
    assert_eq!((problem.code, problem.path), (ProblemCode::IgnoredInside, Some(rel("d"))));
    assert_eq!(scratch.read("d/cache.tmp").unwrap(), "precious");
    assert_eq!(remove(&folder, "e/x", &entry(&folder, "e/x"), &["*.tmp"]).unwrap().problem, None);
}

#[test]
fn a_rename_keeps_the_file_makes_parents_and_empties_the_old_ones() {
    for script in [Script::default(), Script::only_links()] {
        let scratch = Scratch::with(script);
        scratch.write("a/b/x", "content");
        let folder = scratch.open();
        let seen = entry(&folder, "a/b/x");
        let renamed = rename(&folder, "a/b/x", "c/d/y", &seen).unwrap();
        assert_eq!(scratch.read("c/d/y").unwrap(), "content");
        assert!(!scratch.exists("a"));
        assert_eq!(renamed.emptied, [rel("a/b"), rel("a")]);
        let now = folder.fingerprint(&rel("c/d/y"), None).unwrap().unwrap();
        assert_eq!(renamed.placed.fingerprint, now);
        assert_eq!(now.inode, seen.fingerprint.inode);
        scratch.write("z", "taken");
        let result = rename(&folder, "c/d/y", "z", &entry(&folder, "c/d/y"));
        assert!(matches!(result, Err(ApplyError::Changed { .. })));
        assert_eq!(scratch.read("z").unwrap(), "taken");
    }
}

#[test]
fn names_in_another_unicode_form_keep_their_bytes() {
    let scratch = Scratch::new();
    let (nfd_dir, nfd_file) = ("cafe\u{301}", "cafe\u{301}/e\u{301}");
    scratch.write(nfd_file, "old");
    let folder = scratch.open();
    let (found, _) = scan(&folder);
    assert_eq!(found[0].path, rel("caf\u{e9}/\u{e9}"));
    let seen = LocalEntry { hash: NO_HASH, fingerprint: found[0].fingerprint, disk_path: found[0].disk_path.clone() };
    assert_eq!(seen.disk_path.as_deref(), Some(nfd_file.as_bytes()));
    let target = found[0].path.as_str();
    let installed = install(&folder, staged(&folder, "aa", "new"), target, Expect::This(&seen)).unwrap();
    assert_eq!(installed.placed.disk_path.as_deref(), Some(nfd_file.as_bytes()));
    assert_eq!(scratch.read(nfd_file).unwrap(), "new");
    // A new file goes into the directory that is there, and no twin is made.
    let installed = install(&folder, staged(&folder, "aa", "two"), "caf\u{e9}/new", Expect::Absent).unwrap();
    assert_eq!(installed.placed.disk_path.as_deref(), Some(format!("{nfd_dir}/new").as_bytes()));
    let result = install(&folder, staged(&folder, "aa", "three"), target, Expect::Absent);
    assert!(matches!(result, Err(ApplyError::Changed { .. })));
    assert_eq!(std::fs::read_dir(scratch.root()).unwrap().count(), 2, "the directory and .hcfs");
}

#[test]
fn a_directory_in_a_mixed_unicode_form_is_found() {
    let scratch = Scratch::new();
    // Neither NFC nor NFD: one letter composed, the other not.
    scratch.write("\u{e9}o\u{308}/x", "1");
    let folder = scratch.open();
    install(&folder, staged(&folder, "aa", "2"), "\u{e9}\u{f6}/y", Expect::Absent).unwrap();
    assert_eq!(scratch.read("\u{e9}o\u{308}/y").unwrap(), "2");
    // The Kelvin sign is another form of the letter.
    scratch.write("\u{212a}/x", "1");
    install(&folder, staged(&folder, "aa", "2"), "K/y", Expect::Absent).unwrap();
    assert_eq!(scratch.read("\u{212a}/y").unwrap(), "2");
}

#[test]
fn a_name_taken_in_another_case_is_not_overwritten() {
    let scratch = Scratch::with(Script { folds_case: true, ..Script::default() });
    scratch.write("Readme", "mine");
    let folder = scratch.open();
    assert!(folder.is_case_insensitive());
    let result = install(&folder, staged(&folder, "aa", "theirs"), "README", Expect::Absent);
    assert!(matches!(result, Err(ApplyError::NameNotPossible { .. })), "{result:?}");
    assert_eq!(scratch.read("Readme").unwrap(), "mine");
    scratch.write("other", "another");
    let result = rename(&folder, "other", "README", &entry(&folder, "other"));
    assert!(matches!(result, Err(ApplyError::NameNotPossible { .. })), "{result:?}");
    assert_eq!(scratch.read("Readme").unwrap(), "mine");
    std::fs::remove_file(scratch.root().join("other")).unwrap();
    // A rename that changes only the case is possible.
    rename(&folder, "Readme", "README", &entry(&folder, "Readme")).unwrap();
    assert_eq!(
        scratch.files("").iter().map(|(path, _)| path.as_str()).find(|path| !path.starts_with('.')),
        Some("README")
    );
    assert!(!Scratch::new().open().is_case_insensitive());
}

#[test]
fn a_second_link_to_a_file_is_no_free_name() {
    let scratch = Scratch::new();
    scratch.write("a", "1");
    let folder = scratch.open();
    std::fs::hard_link(scratch.root().join("a"), scratch.root().join("b")).unwrap();
    let result = rename(&folder, "a", "b", &entry(&folder, "a"));
    assert!(matches!(result, Err(ApplyError::Changed { .. })), "{result:?}");
    assert!(scratch.exists("a") && scratch.exists("b"));
}

#[test]
fn nothing_is_put_below_a_directory_in_another_case() {
    let scratch = Scratch::with(Script { folds_case: true, ..Script::default() });
    scratch.write("D/x", "mine");
    scratch.write("z", "also mine");
    let folder = scratch.open();
    let result = install(&folder, staged(&folder, "aa", "theirs"), "d/y", Expect::Absent);
    assert!(matches!(result, Err(ApplyError::NameNotPossible { .. })), "{result:?}");
    let result = rename(&folder, "z", "d/z", &entry(&folder, "z"));
    assert!(matches!(result, Err(ApplyError::NameNotPossible { .. })), "{result:?}");
    let names: Vec<_> =
        scratch.files("").into_iter().map(|(path, _)| path).filter(|path| !path.starts_with('.')).collect();
    assert_eq!(names, ["D/x", "z"]);
    install(&folder, staged(&folder, "bb", "theirs"), "D/y", Expect::Absent).unwrap();
    assert_eq!(scratch.read("D/y").unwrap(), "theirs");
}

#[test]
fn a_name_the_disk_cannot_hold_is_its_own_problem_and_255_bytes_fit() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    install(&folder, staged(&folder, "aa", "x"), &"n".repeat(255), Expect::Absent).unwrap();
    for target in ["n".repeat(256), format!("{}/x", "n".repeat(256))] {
        let error = install(&folder, staged(&folder, "aa", "x"), &target, Expect::Absent).unwrap_err();
        assert_eq!(error.problem(&rel(&target)).code, ProblemCode::NameNotPossible, "{error}");
    }
}

#[test]
fn a_path_of_the_greatest_length_is_installed_replaced_and_removed() {
    let scratch = Scratch::in_memory(Script { no_sync: true, ..Script::default() });
    let folder = scratch.open();
    let path = format!("{}{}", "0123456789abcde/".repeat(255), "x".repeat(16));
    assert_eq!(path.len(), 4096);
    let installed = install(&folder, staged(&folder, "aa", "one"), &path, Expect::Absent).unwrap();
    let (found, scan) = scan(&folder);
    assert_eq!((found.len(), scan.directories.len()), (1, 255));
    let seen = LocalEntry { hash: NO_HASH, fingerprint: installed.placed.fingerprint, disk_path: None };
    let installed = install(&folder, staged(&folder, "aa", "two"), &path, Expect::This(&seen)).unwrap();
    let seen = LocalEntry { fingerprint: installed.placed.fingerprint, ..seen };
    let removed = remove(&folder, &path, &seen, &[]).unwrap();
    assert_eq!(removed.emptied.len(), 255);
    assert_eq!(folder.trash_list().unwrap().len(), 2);
}

#[test]
fn refusals_of_the_system_are_told_apart() {
    for (errno, code) in [
        (28, ProblemCode::DiskFull),
        (122, ProblemCode::DiskFull),
        (30, ProblemCode::NotWritable),
        (13, ProblemCode::NotWritable),
        (5, ProblemCode::Io),
    ] {
        let scratch = Scratch::new();
        let folder = scratch.open();
        let part = staged(&folder, "aa", "x");
        scratch.script.arm(0, Fault::Once(errno));
        let error = install(&folder, part, "a", Expect::Absent).unwrap_err();
        scratch.script.disarm();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_hash_is_vouched_for_only_where_no_edit_could_hide() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    scratch.write("old", "x");
    let file = std::fs::File::options().write(true).open(scratch.root().join("old")).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_000_000_001);
    file.set_modified(long_ago).unwrap();
    let renamed = rename(&folder, "old", "b", &entry(&folder, "old")).unwrap();
    assert!(is_settled(&renamed.placed.fingerprint, renamed.placed.hashed_at));
    // The same, for a hash that was not to be trusted before.
    let rules = Rules::new(&folder, &[]).unwrap();
    let seen = entry(&folder, "b");
    let hashed_at = seen.fingerprint.ctime;
    let (from, to, durability) = (rel("b"), rel("c"), Durability::Each);
    let request = Move { from: &from, to: &to, entry: &seen, hashed_at, rules: &rules, at: AT, durability };
    let renamed = folder.rename(&request).unwrap();
    assert!(!is_settled(&renamed.placed.fingerprint, renamed.placed.hashed_at));
}

#[test]
fn a_file_is_read_by_handle_and_says_whether_it_changed() {
    let scratch = Scratch::new();
    scratch.write("a", "content");
    let folder = scratch.open();
    let file = folder.open_read(&rel("a"), None).unwrap();
    let mut bytes = [0; 16];
    assert_eq!(file.read_at(&mut bytes, 3).unwrap(), 4);
    assert_eq!(&bytes[..4], b"tent");
    assert!(file.is_unchanged().unwrap());
    scratch.write("a", "longer content");
    assert!(!file.is_unchanged().unwrap() && file.has_not_shrunk().unwrap());
    scratch.write("a", "content");
    assert!(file.has_not_shrunk().unwrap(), "it is as long as it was");
    scratch.write("a", "");
    assert!(!file.has_not_shrunk().unwrap());
    assert_eq!(folder.fingerprint(&rel("gone"), None).unwrap(), None);
    assert_eq!(folder.fingerprint(&rel("a/below"), None).unwrap(), None);
    assert!(matches!(folder.open_read(&rel("gone"), None), Err(ApplyError::Changed { .. })));
}

#[test]
fn installs_and_removals_run_side_by_side() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                for round in 0..20 {
                    let name = format!("{thread}a{round}");
                    let path = format!("shared/deep/{thread}");
                    let installed = install(folder, staged(folder, &name, "x"), &path, Expect::Absent).unwrap();
                    let fingerprint = installed.placed.fingerprint;
                    let seen = LocalEntry { hash: NO_HASH, fingerprint, disk_path: None };
                    remove(folder, &path, &seen, &[]).unwrap();
                }
            });
        }
    });
    assert!(!scratch.exists("shared"));
    assert_eq!(folder.trash_list().unwrap().len(), 80);
}

#[test]
fn a_batch_is_the_same_without_the_syncs() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let part = staged(&folder, "aa", "new");
    folder.sync_all().unwrap();
    let (target, aside) = (rel("a"), rel("a 2"));
    let expect = Expect::Absent;
    let request = Install { target: &target, expect, aside: &aside, at: UnixNanos(-5), durability: Durability::Batch };
    folder.install(part, &request).unwrap();
    folder.sync_all().unwrap();
    assert_eq!(scratch.read("a").unwrap(), "new");
}

#[test]
fn a_file_system_mounted_inside_is_named_as_the_reason() {
    let scratch = Scratch::new();
    scratch.write("mounted/a", "old");
    let folder = scratch.open();
    let seen = entry(&folder, "mounted/a");
    let rules = Rules::new(&folder, &[]).unwrap();
    // What the system answers at the rename, after the look at the file and the two directories of its place.
    scratch.script.arm(3, Fault::Once(18));
    let target = rel("mounted/a");
    let durability = Durability::Batch;
    let result = folder.remove(&Remove { target: &target, entry: &seen, rules: &rules, at: AT, durability });
    assert!(scratch.script.disarm());
    assert!(matches!(result, Err(ApplyError::OtherFileSystem { .. })), "{result:?}");
    assert_eq!(scratch.read("mounted/a").unwrap(), "old");
    assert_eq!(std::fs::read_dir(scratch.root().join(".hcfs/trash")).unwrap().count(), 0);
}

#[test]
fn what_several_threads_share_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Folder>();
    shared::<Rules>();
    shared::<Staged>();
    shared::<OpenFile>();
    shared::<Watcher>();
}

#[test]
fn everything_is_durable_before_and_after_the_names_change() {
    let scratch = Scratch::new();
    scratch.write("d/a", "old");
    let folder = scratch.open();
    let logged = || std::mem::take(&mut *scratch.script.log.lock().unwrap());
    let slot = |number| format!(".hcfs/trash/{:020}-{number:06}", AT.0);
    let seen = entry(&folder, "d/a");
    let part = staged(&folder, "aa", "new");
    logged();
    install(&folder, part, "d/a", Expect::This(&seen)).unwrap();
    let expected = [
        format!("NoReplace {}/d/a", slot(0)),
        "sync file".into(),
        "sync .hcfs/trash".into(),
        format!("sync {}", slot(0)),
        format!("sync {}/d", slot(0)),
        "Exchange d/a".into(),
        "sync d".into(),
        format!("sync {}/d", slot(0)),
    ];
    assert_eq!(logged(), expected);
    remove(&folder, "d/a", &entry(&folder, "d/a"), &[]).unwrap();
    let expected = [
        "sync .hcfs/trash".into(),
        format!("sync {}", slot(1)),
        format!("sync {}/d", slot(1)),
        format!("NoReplace {}/d/a", slot(1)),
        format!("sync {}/d", slot(1)),
        "sync d".into(),
        "sync ".into(),
    ];
    assert_eq!(logged(), expected);
    install(&folder, staged(&folder, "bb", "new"), "e/b", Expect::Absent).unwrap();
    assert_eq!(logged(), ["sync file", "sync ", "NoReplace e/b", "sync e", "sync .hcfs/staged"]);
    rename(&folder, "e/b", "f", &entry(&folder, "e/b")).unwrap();
    assert_eq!(logged(), ["NoReplace f", "sync ", "sync e", "sync "]);
}
