use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use hcfs_fs::*;
use hcfs_model::{Fingerprint, Inode, ProblemCode, RelPath, SaltedHash, UnixNanos};
use proptest::prelude::*;

use crate::faults::{EACCES, Fault, Script};
use crate::scratch::*;

fn everything(folder: &Folder, scope: &[RelPath]) -> (Vec<Scanned>, Scan) {
    let rules = Rules::new(folder, &[]).unwrap();
    scan_with(folder, &rules, Scope::Subtrees(scope))
}

#[test]
fn where_case_is_folded_a_name_in_another_case_is_not_there() {
    let scratch = Scratch::with(Script { folds_case: true, ..Script::default() });
    scratch.write("Readme", "1");
    scratch.write("D/x", "2");
    let folder = scratch.open();
    let (found, scan) = everything(&folder, &[rel("README"), rel("Readme"), rel("d/x"), rel("D")]);
    assert_eq!(paths(&found), ["D/x", "Readme"]);
    assert!(scan.unknown.is_empty());
}

#[test]
fn files_come_in_path_order_whatever_the_directories_are_called() {
    let scratch = Scratch::new();
    for path in ["a/x", "a.txt", "a-b", "a0", "b/a/z", "b/a.z", "b/a-z", "B", "\u{e9}/x", "\u{e9}-x"] {
        scratch.write(path, "");
    }
    std::fs::create_dir(scratch.root().join("empty")).unwrap();
    let folder = scratch.open();
    let (found, scan) = scan(&folder);
    assert!(found.is_sorted_by(|one, other| one.path < other.path), "{:?}", paths(&found));
    assert_eq!((found.len(), scan.files), (10, 10));
    assert_eq!(scan.directories, [rel("a"), rel("b"), rel("b/a"), rel("empty"), rel("\u{e9}")]);
    assert!(scan.problems.is_empty() && scan.unknown.is_empty());
}

#[test]
fn what_cannot_be_synced_is_a_problem_and_unknown_not_absent() {
    let scratch = Scratch::new();
    let root = scratch.root();
    scratch.write("ok", "");
    symlink("ok", root.join("link")).unwrap();
    symlink("/", root.join("tree")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let folder = scratch.open();
    let (found, scan) = scan(&folder);
    assert_eq!(paths(&found), ["ok"]);
    let expected = [rel("dangling"), rel("fifo"), rel("link"), rel("socket"), rel("tree")];
    assert_eq!(scan.blocked, expected);
    assert_eq!(scan.unknown, expected);
    let codes: Vec<_> = scan.problems.iter().map(|problem| problem.code).collect();
    use ProblemCode::{SpecialFile, Symlink};
    assert_eq!(codes, [Symlink, SpecialFile, Symlink, SpecialFile, Symlink]);
    assert!(scan.problems.iter().all(|problem| !problem.hint.is_empty()));
    // The same for a look below one of them.
    let (found, scan) = everything(&folder, &[rel("tree/etc"), rel("fifo")]);
    assert!(found.is_empty());
    assert_eq!(scan.unknown, [rel("fifo"), rel("tree/etc")]);
}

#[test]
fn names_that_are_no_paths_are_shown_without_loss_and_the_rest_goes_on() {
    let scratch = Scratch::new();
    for name in [&b"bad\xff"[..], b"back\\slash", b".HCFS", b"d/inner\xfe"] {
        let path = scratch.root().join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    scratch.write("line\nbreak", "");
    scratch.write(&"l".repeat(255), "");
    let folder = scratch.open();
    let (found, scan) = scan(&folder);
    assert_eq!(paths(&found), ["line\nbreak", &"l".repeat(255)]);
    assert!(scan.problems.iter().all(|problem| problem.code == ProblemCode::InvalidName));
    assert_eq!(scan.problems.len(), 4);
    let inner = scan.problems.iter().find(|problem| problem.path == Some(rel("d"))).unwrap();
    assert!(inner.message.starts_with(r#""inner\xfe" in "d" cannot"#), "{}", inner.message);
}

#[test]
fn two_names_of_one_path_are_both_left_alone() {
    let scratch = Scratch::new();
    scratch.write("e\u{301}", "one");
    scratch.write("\u{e9}", "two");
    scratch.write("d/o\u{308}/x", "one");
    scratch.write("d/\u{f6}/y", "two");
    scratch.write("z", "");
    let folder = scratch.open();
    let (found, scan) = scan(&folder);
    assert_eq!(paths(&found), ["z"]);
    assert_eq!(scan.blocked, [rel("d/\u{f6}"), rel("\u{e9}")]);
    assert_eq!(scan.unknown, scan.blocked);
    assert_eq!(scan.problems.len(), 2);
    assert!(scan.problems.iter().all(|problem| problem.code == ProblemCode::DuplicateName));
    // Looked at one by one they are no better.
    let (found, scan) = everything(&folder, &[rel("\u{e9}"), rel("d/\u{f6}/x")]);
    assert!(found.is_empty());
    assert_eq!(scan.unknown, [rel("d/\u{f6}/x"), rel("\u{e9}")]);
}

#[test]
fn a_decomposed_name_is_found_by_its_path_with_its_bytes() {
    let scratch = Scratch::new();
    scratch.write("u\u{308}/x", "");
    let folder = scratch.open();
    for scope in [rel("\u{fc}"), rel("\u{fc}/x")] {
        let (found, _) = everything(&folder, &[scope]);
        assert_eq!(found[0].path, rel("\u{fc}/x"));
        assert_eq!(found[0].disk_path.as_deref(), Some("u\u{308}/x".as_bytes()));
    }
}

#[test]
fn an_unreadable_directory_is_unknown_and_its_neighbours_are_not() {
    let scratch = Scratch::new();
    scratch.write("a/x", "");
    scratch.write("b/c/x", "");
    scratch.write("b/d", "");
    let folder = scratch.open();
    scratch.script.deny(b"b/c");
    let (found, report) = scan(&folder);
    assert_eq!(paths(&found), ["a/x", "b/d"]);
    assert_eq!(report.unknown, [rel("b/c")]);
    assert_eq!(report.problems[0].code, ProblemCode::Unreadable);
    // The root itself is a failure of the scan, not an empty folder.
    scratch.script.deny(b"");
    let rules = Rules::new(&folder, &[]).unwrap();
    let request = ScanRequest { scope: Scope::All, known: &|_| None, rules: &rules };
    assert!(matches!(folder.scan(&request, &mut |_| {}), Err(RootError::NotReadable { .. })));
}

#[test]
fn a_scan_that_fails_at_any_call_calls_nothing_absent() {
    let scratch = Scratch::new();
    let all = ["a/b/x", "a/y", "c/z", "top"];
    for path in all {
        scratch.write(path, "");
    }
    let folder = scratch.open();
    for at in 0.. {
        let rules = Rules::new(&folder, &[]).unwrap();
        let request = ScanRequest { scope: Scope::All, known: &|_| None, rules: &rules };
        let mut found = BTreeSet::new();
        scratch.script.arm(at, Fault::Once(EACCES));
        let result = folder.scan(&request, &mut |file| {
            found.insert(file.path);
        });
        let reached = scratch.script.disarm();
        if let Ok(scan) = result {
            for path in all.map(rel) {
                let unknown = scan.unknown.iter().any(|above| path == *above || path.is_below(above));
                assert!(found.contains(&path) || unknown, "{path} after call {at}");
            }
            assert_eq!(scan.problems.is_empty(), !reached, "call {at}");
        }
        if !reached {
            assert!(at >= 4);
            break;
        }
    }
}

#[test]
fn another_synced_folder_inside_is_left_alone() {
    let scratch = Scratch::new();
    scratch.write("sub/inner/deep/file", "");
    scratch.write("sub/inner/.hcfs/marker", "");
    scratch.write("plain/.hcfs/x", "");
    let folder = scratch.open();
    let (found, report) = scan(&folder);
    assert_eq!(paths(&found), ["plain/.hcfs/x"], "a directory of that name without a marker is ordinary");
    assert_eq!(report.blocked, [rel("sub/inner")]);
    assert_eq!(report.problems[0].code, ProblemCode::PathBlocked);
    let (found, report) = everything(&folder, &[rel("sub/inner/deep/file")]);
    assert!(found.is_empty());
    assert_eq!(report.unknown, [rel("sub/inner/deep/file")]);
}

#[test]
fn a_partial_scan_looks_at_files_directories_and_what_is_gone() {
    let scratch = Scratch::new();
    for path in ["a/x", "a/b/y", "a-b", "c", "d"] {
        scratch.write(path, "");
    }
    let folder = scratch.open();
    let (found, _) = everything(&folder, &[rel("c"), rel("a"), rel("a/b"), rel("a-b"), rel("gone"), rel("c/below")]);
    assert_eq!(paths(&found), ["a-b", "a/b/y", "a/x", "c"]);
}

#[test]
fn a_file_too_large_for_the_format_is_a_problem() {
    let scratch = Scratch::new();
    // A sparse file; where the file system has a smaller limit the case cannot arise.
    let file = std::fs::File::create(scratch.root().join("huge")).unwrap();
    let made = file.set_len(hcfs_model::blob::MAX_PLAINTEXT + 1).is_ok();
    let folder = scratch.open();
    let (found, report) = scan(&folder);
    assert_eq!(found.len(), usize::from(!made));
    assert_eq!(report.problems.len(), usize::from(made));
    if made {
        file.set_len(hcfs_model::blob::MAX_PLAINTEXT).unwrap();
    }
    let (found, report) = scan(&folder);
    assert_eq!((found.len(), report.problems.len()), (1, 0));
}

#[test]
fn a_known_file_is_unchanged_only_by_its_whole_fingerprint_and_a_settled_hash() {
    let scratch = Scratch::new();
    scratch.write("a", "content");
    let folder = scratch.open();
    let rules = Rules::new(&folder, &[]).unwrap();
    let fingerprint = entry(&folder, "a").fingerprint;
    let hash = SaltedHash([1; 32]);
    let look = |known: Known| {
        let asked = RefCell::new(Vec::new());
        let lookup = |path: &[u8]| {
            asked.borrow_mut().push(path.to_vec());
            Some(known)
        };
        let mut content = None;
        let request = ScanRequest { scope: Scope::All, known: &lookup, rules: &rules };
        folder.scan(&request, &mut |file| content = Some(file.content)).unwrap();
        assert_eq!(*asked.borrow(), [b"a"]);
        content.unwrap()
    };
    let later = UnixNanos(fingerprint.ctime.0 + 3_000_000_000);
    let known = Known { fingerprint, hash, hashed_at: later };
    assert_eq!(look(known), Content::Unchanged(hash));
    assert_eq!(look(Known { hashed_at: fingerprint.ctime, ..known }), Content::NeedsHash, "racily clean");
    let other = |fingerprint| look(Known { fingerprint, ..known });
    assert_eq!(other(Fingerprint { size: 8, ..fingerprint }), Content::NeedsHash);
    assert_eq!(other(Fingerprint { mtime: UnixNanos(5), ..fingerprint }), Content::NeedsHash);
    assert_eq!(other(Fingerprint { ctime: UnixNanos(5), ..fingerprint }), Content::NeedsHash);
    let inode = Inode { number: 1, ..fingerprint.inode };
    assert_eq!(other(Fingerprint { inode, ..fingerprint }), Content::NeedsHash);
}

#[test]
fn a_hash_settles_after_the_step_of_the_clock() {
    let at = |mtime, ctime| Fingerprint {
        size: 1,
        mtime: UnixNanos(mtime),
        ctime: UnixNanos(ctime),
        inode: Inode { device: 1, number: 1 },
    };
    let second = 1_000_000_000_i64;
    let fine = at(5, 100 * second + 1);
    assert!(!is_settled(&fine, UnixNanos(100 * second + 10_000_001)));
    assert!(is_settled(&fine, UnixNanos(100 * second + 10_000_002)));
    // Whole seconds: a clock of two seconds.
    let coarse = at(5, 100 * second);
    assert!(!is_settled(&coarse, UnixNanos(102 * second)));
    assert!(is_settled(&coarse, UnixNanos(102 * second + 1)));
    // A time of change in the future, in 1970 or before it costs nothing; the ctime decides.
    for mtime in [i64::MAX, 0, -5, i64::MIN] {
        assert!(is_settled(&at(mtime, 100 * second + 1), UnixNanos(101 * second)), "{mtime}");
        assert!(!is_settled(&at(mtime, 100 * second + 1), UnixNanos(100 * second)), "{mtime}");
    }
    // Without a ctime the time of change has to do.
    assert!(!is_settled(&at(100 * second + 1, 0), UnixNanos(100 * second + 2)));
}

#[test]
fn times_outside_the_ordinary_are_kept() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    for (name, seconds) in [("negative", -100), ("epoch", 0), ("future", 4_000_000_000)] {
        scratch.write(name, "");
        let file = std::fs::File::open(scratch.root().join(name)).unwrap();
        let times = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 0 },
            last_modification: rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 0 },
        };
        rustix::fs::futimens(&file, &times).unwrap();
        assert_eq!(entry(&folder, name).fingerprint.mtime, UnixNanos(seconds * 1_000_000_000), "{name}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab.\\- 0~]{1,3}".prop_filter("not a dot segment", |name| name != "." && name != ".."),
        Just("\u{e9}".to_owned()),
        Just("\u{304b}".to_owned()),
        Just(".hcfs2".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_equals_the_tree_that_was_made(
        wanted in prop::collection::vec((prop::collection::vec(name(), 1..5), any::<bool>()), 0..40)
    ) {
        let scratch = Scratch::in_memory(Script::default());
        let (mut files, mut dirs) = (BTreeSet::new(), BTreeSet::new());
        for (segments, is_dir) in wanted {
            let path = rel(&segments.join("/"));
            let taken = |path: &RelPath| files.contains(path);
            if path.ancestors().any(|dir| taken(&dir)) || taken(&path) || dirs.contains(&path) {
                continue;
            }
            dirs.extend(path.ancestors());
            if is_dir {
                std::fs::create_dir_all(scratch.root().join(path.as_str())).unwrap();
                dirs.insert(path);
            } else {
                scratch.write(path.as_str(), "x");
                files.insert(path);
            }
        }
        let folder = scratch.open();
        let (found, scan) = scan(&folder);
        prop_assert!(found.is_sorted_by(|one, other| one.path < other.path));
        prop_assert_eq!(found.iter().map(|file| file.path.clone()).collect::<BTreeSet<_>>(), files.clone());
        let mut directories = scan.directories.clone();
        directories.sort();
        prop_assert_eq!(directories, dirs.iter().cloned().collect::<Vec<_>>());
        prop_assert!(scan.problems.is_empty());
        // Looked at from its top-level names it is the same.
        let tops: Vec<RelPath> = files.iter().chain(&dirs).filter(|path| path.parent().is_none()).cloned().collect();
        let (parts, _) = everything(&folder, &tops);
        prop_assert_eq!(parts, found);
    }
}
