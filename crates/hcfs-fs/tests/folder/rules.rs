use hcfs_fs::*;
use hcfs_model::ProblemCode;

use crate::scratch::*;

fn rules(folder: &Folder, patterns: &[&str]) -> Rules {
    Rules::new(folder, &patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_nearest_rule_wins_and_nothing_below_an_ignored_directory_comes_back() {
    let scratch = Scratch::new();
    scratch.write(".hcfsignore", "*.log\n/top\n");
    scratch.write("a/.hcfsignore", "!keep.log\nbuild/\n");
    for path in ["x.log", "top", "a/top", "a/keep.log", "a/y.log", "a/build/z", "a/b/keep.log", "t.tmp", "d/t.tmp/x"] {
        scratch.write(path, "");
    }
    scratch.write("a/build/.hcfsignore", "!z\n");
    let folder = scratch.open();
    let rules = rules(&folder, &["*.tmp"]);
    let (found, scan) = scan_with(&folder, &rules, Scope::All);
    assert_eq!(paths(&found), [".hcfsignore", "a/.hcfsignore", "a/b/keep.log", "a/keep.log", "a/top"]);
    assert_eq!(scan.ignored, 6);
    // The same answers for single paths, on disk or not.
    for (path, ignored) in [
        ("x.log", true),
        ("a/keep.log", false),
        ("a/b/c/keep.log", false),
        ("keep.log", true),
        ("a/build/z", true),
        ("d/t.tmp/x", true),
        ("never/seen.txt", false),
    ] {
        assert_eq!(rules.is_ignored(&rel(path), false), ignored, "{path}");
    }
    assert!(rules.is_ignored(&rel("a/build"), true));
    assert!(!rules.is_ignored(&rel("a/build"), false), "the rule is for directories");
}

#[test]
fn a_partial_scan_follows_the_rules_above_it() {
    let scratch = Scratch::new();
    scratch.write(".hcfsignore", "skip/\n*.o\n");
    scratch.write("skip/deep/file", "");
    scratch.write("in/deep/file", "");
    scratch.write("in/deep/file.o", "");
    let folder = scratch.open();
    let rules = rules(&folder, &[]);
    let scope = [rel("skip/deep"), rel("in/deep"), rel("in/deep/file.o")];
    let (found, scan) = scan_with(&folder, &rules, Scope::Subtrees(&scope));
    assert_eq!((paths(&found), scan.ignored), (vec!["in/deep/file"], 2));
    for alone in [rel("in/deep/file.o"), rel("skip")] {
        let (found, scan) = scan_with(&folder, &rules, Scope::Subtrees(&[alone]));
        assert_eq!((found.len(), scan.ignored), (0, 1));
    }
}

#[test]
fn a_rule_with_a_slash_is_about_the_directory_it_is_in() {
    let scratch = Scratch::new();
    scratch.write("d/.hcfsignore", "/top\nsub/x\n");
    let folder = scratch.open();
    let rules = rules(&folder, &[]);
    for (path, ignored) in [
        ("d/top", true),
        ("d/sub/x", true),
        ("d/sub/top", false),
        ("d/sub/sub/x", false),
        ("top", false),
        ("sub/x", false),
    ] {
        assert_eq!(rules.is_ignored(&rel(path), false), ignored, "{path}");
    }
}

#[test]
fn rules_are_read_once_and_not_looked_for_where_none_are_listed() {
    let scratch = Scratch::new();
    for path in [".hcfsignore", "a/x", "b/c/x"] {
        scratch.write(path, "*.tmp");
    }
    let folder = scratch.open();
    let rules = rules(&folder, &[]);
    scratch.script.calls.store(0, std::sync::atomic::Ordering::SeqCst);
    scan_with(&folder, &rules, Scope::All);
    let calls = scratch.script.calls.load(std::sync::atomic::Ordering::SeqCst);
    // Four directories are listed, and one file is opened, looked at and read to its end.
    assert_eq!(calls, 4 + 4);
    std::fs::remove_file(scratch.root().join(".hcfsignore")).unwrap();
    scratch.write("a/.hcfsignore", "*");
    assert!(rules.is_ignored(&rel("b/x.tmp"), false) && !rules.is_ignored(&rel("a/x"), false), "they hold for a scan");
}

#[test]
fn a_file_of_rules_has_a_mebibyte() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let line = "*.tmp\n";
    let longest = line.to_owned() + &"#".repeat((1 << 20) - line.len());
    scratch.write(".hcfsignore", &longest);
    assert_eq!(rules(&folder, &[]).verdict(&rel("x.tmp"), false), Verdict::Ignored);
    scratch.write(".hcfsignore", &(longest + "#"));
    let (_, scan) = scan_with(&folder, &rules(&folder, &[]), Scope::All);
    assert!(scan.problems[0].message.ends_with("it is larger than 1 MiB"), "{}", scan.problems[0].message);
}

#[test]
fn a_bad_pattern_of_the_configuration_is_named() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let error = Rules::new(&folder, &["ok".into(), "a{b".into()]).err().unwrap();
    assert_eq!(error.pattern, "a{b");
}

#[test]
fn a_bad_line_is_a_problem_and_the_other_lines_hold() {
    let scratch = Scratch::new();
    scratch.write("d/.hcfsignore", "*.o\na{b\n");
    scratch.write("d/x.o", "");
    scratch.write("d/x", "");
    let folder = scratch.open();
    let (found, scan) = scan_with(&folder, &rules(&folder, &[]), Scope::All);
    assert_eq!(paths(&found), ["d/.hcfsignore", "d/x"]);
    let [problem] = &scan.problems[..] else { panic!("{:?}", scan.problems) };
    assert_eq!(problem.path, Some(rel("d/.hcfsignore")));
    assert!(problem.message.starts_with("line 2 of \"d/.hcfsignore\""), "{}", problem.message);
}

#[test]
fn rules_that_cannot_be_read_hide_their_directory_and_do_not_empty_it() {
    let scratch = Scratch::new();
    scratch.write("a/.hcfsignore", "\u{0}");
    std::fs::write(scratch.root().join("a/.hcfsignore"), [0xff, 0xfe]).unwrap();
    scratch.write("a/secret", "");
    scratch.write("b", "");
    let folder = scratch.open();
    let (found, scan) = scan_with(&folder, &rules(&folder, &[]), Scope::All);
    assert_eq!(paths(&found), ["b"]);
    assert_eq!(scan.unknown, [rel("a")]);
    assert_eq!(scan.problems[0].code, ProblemCode::Unreadable);
    assert!(rules(&folder, &[]).is_ignored(&rel("a/secret"), false));
    assert_eq!(rules(&folder, &[]).verdict(&rel("a/secret"), false), Verdict::Unknown);
    let scope = [rel("a/secret")];
    assert!(scan_with(&folder, &rules(&folder, &[]), Scope::Subtrees(&scope)).0.is_empty());
    // As soon as they can be read they hold.
    let held = rules(&folder, &[]);
    assert_eq!(held.verdict(&rel("a/secret"), false), Verdict::Unknown);
    std::fs::write(scratch.root().join("a/.hcfsignore"), "other").unwrap();
    assert_eq!(held.verdict(&rel("a/secret"), false), Verdict::Kept);
    assert_eq!(held.verdict(&rel("a/other"), false), Verdict::Ignored);
    std::fs::write(scratch.root().join("a/.hcfsignore"), [0xff, 0xfe]).unwrap();
    // In the root it hides everything.
    std::fs::rename(scratch.root().join("a/.hcfsignore"), scratch.root().join(".hcfsignore")).unwrap();
    let (found, scan) = scan_with(&folder, &rules(&folder, &[]), Scope::All);
    assert!(found.is_empty());
    assert_eq!(scan.unknown, [rel(".hcfsignore"), rel("a"), rel("b")]);
}
