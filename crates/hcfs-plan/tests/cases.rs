//! The cases of many paths: directories, renames, clashes, names.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use hcfs_model::{Row, Rows};
use hcfs_plan::{
    Action, Base, Conflict, ConflictKind, Context, Mode, Plan, Policy, Reason, Resolution, StageKind, copy_name,
    is_reserved, plan,
};
use hcfs_testkit::{local, path, remote, revision, row, synced};
use model::lines;

mod model;

fn context() -> Context {
    Context { baseline: true, device: "laptop".into(), date: "2025-01-31".into(), ..Context::default() }
}

/// Rows as `("path", "LRS", inode)`.
fn rows(table: &[(&str, &str, u64)]) -> Rows {
    let mut rows = Rows::new();
    for (text, letters, inode) in table {
        let letters = letters.chars().collect::<Vec<_>>().try_into().unwrap();
        rows.insert(path(text), row(letters, *inode));
    }
    rows
}

fn plan_of(table: &[(&str, &str, u64)]) -> Plan {
    plan(&rows(table), &context()).unwrap()
}

fn expect(table: &[(&str, &str, u64)], actions: &[&str]) {
    assert_eq!(lines(&plan_of(table)), actions);
}

/// A row whose agreed file, inode `was`, is replaced by another one with inode `is`.
fn replaced(is: (char, u64), was: (char, u64)) -> Row {
    let [is_content, was_content] = [is.0, was.0].map(|letter| u8::try_from(letter).unwrap());
    Row {
        local: Some(local(is_content, is.1)),
        remote: Some(remote(was_content, revision(1, 1))),
        synced: Some(synced(was_content, revision(1, 1), Some(was.1))),
    }
}

/// A row whose agreed content is on disk, and another version on the server.
fn replaced_there(here: char, there: char) -> Row {
    row([here, there, here], 0)
}

#[test]
fn a_new_file_comes_into_a_directory_that_was_deleted_here() {
    expect(
        &[("d/new", "-C-", 0), ("d/old", "-AA", 1), ("d/other", "-BB", 2)],
        &["Transfer: download d/new", "Delete: delete there d/old", "Delete: delete there d/other"],
    );
}

#[test]
fn the_first_run_with_both_sides_full_joins_by_content_and_deletes_nothing() {
    expect(
        &[("both", "AA-", 1), ("differs", "AB-", 2), ("here", "A--", 3), ("there", "-A-", 0)],
        &[
            "Settle: adopt both",
            "Clear: set aside differs as differs (conflict, laptop, 2025-01-31)",
            "Transfer: upload differs (conflict, laptop, 2025-01-31), new",
            "Transfer: download differs",
            "Transfer: upload here, new",
            "Transfer: download there",
        ],
    );
}

#[test]
fn a_lost_database_deletes_nothing() {
    let table = [("a", "A--", 1), ("b", "-B-", 0), ("c", "CC-", 3)];
    let plan = plan(&rows(&table), &Context { baseline: false, ..context() }).unwrap();
    assert_eq!(lines(&plan), ["Settle: adopt c", "Transfer: upload a, new", "Transfer: download b"]);
}

#[test]
fn a_moved_file_is_renamed_by_its_inode() {
    expect(&[("a", "-AA", 1), ("b", "A--", 1)], &["RenameRemote: rename there a to b, over 1"]);
}

#[test]
fn a_moved_file_is_renamed_by_its_content_alone() {
    expect(&[("a", "-AA", 1), ("b", "A--", 9)], &["RenameRemote: rename there a to b, over 1"]);
}

#[test]
fn a_case_only_rename_is_a_rename() {
    expect(&[("A.txt", "A--", 1), ("a.txt", "-AA", 1)], &["RenameRemote: rename there a.txt to A.txt, over 1"]);
    expect(&[("A.txt", "-A-", 0), ("a.txt", "A-A", 1)], &["RenameLocal: rename here a.txt to A.txt"]);
}

#[test]
fn a_move_with_an_edit_is_a_rename_and_an_upload_over_it() {
    let table = [("a", "-AA", 1), ("b", "B--", 1)];
    expect(&table, &["RenameRemote: rename there a to b, over 1", "Transfer: upload b, after a"]);
    let plan = plan_of(&table);
    let upload = plan.actions().find(|action| matches!(action, Action::Upload { .. })).unwrap();
    let expected = Action::Upload { path: path("b"), local: local(b'B', 1), base: Base::AfterRename(path("a")) };
    assert_eq!(*upload, expected);
}

#[test]
fn the_watcher_tells_of_a_move_with_an_edit_that_made_a_new_inode() {
    let table = [("d/a", "-AA", 1), ("e/f/a", "B--", 9)];
    expect(&table, &["Transfer: upload e/f/a, new", "Delete: delete there d/a"]);
    // The file went to another name, and then its directory moved.
    let moved = vec![(path("d/a"), path("e/x")), (path("e/x"), path("g/a")), (path("g"), path("e/f"))];
    let plan = plan(&rows(&table), &Context { moved, ..context() }).unwrap();
    let expected = ["RenameRemote: rename there d/a to e/f/a, over 1", "Transfer: upload e/f/a, after d/a"];
    assert_eq!(lines(&plan), expected);
}

#[test]
fn what_the_watcher_saw_goes_before_inodes_and_contents() {
    let table = [("a", "-AA", 1), ("b", "-AA", 2), ("x", "A--", 1), ("y", "A--", 2)];
    expect(&table, &["RenameRemote: rename there a to x, over 1", "RenameRemote: rename there b to y, over 1"]);
    let moved = vec![(path("a"), path("y")), (path("b"), path("x"))];
    let plan = plan(&rows(&table), &Context { moved, ..context() }).unwrap();
    assert_eq!(
        lines(&plan),
        ["RenameRemote: rename there a to y, over 1", "RenameRemote: rename there b to x, over 1"]
    );
}

#[test]
fn what_the_watcher_saw_of_files_that_are_there_means_nothing() {
    let moved = vec![(path("a"), path("b")), (path("b"), path("b")), (path("gone"), path("a"))];
    let context = Context { moved, ..context() };
    let plan = plan(&rows(&[("a", "BAA", 1), ("b", "C--", 2)]), &context).unwrap();
    assert_eq!(lines(&plan), ["Transfer: upload a, over 1", "Transfer: upload b, new"]);
}

#[test]
fn equal_contents_are_paired_by_the_end_of_their_paths_if_at_all() {
    expect(
        &[
            ("d/empty", "-AA", 1),
            ("d/sub/empty", "-AA", 2),
            ("d/x", "-AA", 3),
            ("e/empty", "A--", 11),
            ("e/sub/empty", "A--", 12),
        ],
        &[
            "RenameRemote: rename there d/empty to e/empty, over 1",
            "RenameRemote: rename there d/sub/empty to e/sub/empty, over 1",
            "Delete: delete there d/x",
        ],
    );
    expect(
        &[("a", "-AA", 1), ("b", "-AA", 2), ("x", "A--", 11)],
        &["Transfer: upload x, new", "Delete: delete there a", "Delete: delete there b"],
    );
}

#[test]
fn among_equal_contents_inodes_tell() {
    expect(
        &[("a", "-AA", 1), ("b", "-AA", 2), ("x", "A--", 2)],
        &["RenameRemote: rename there b to x, over 1", "Delete: delete there a"],
    );
}

#[test]
fn a_file_edited_there_is_not_renamed() {
    let plan = plan_of(&[("a", "-BA", 1), ("b", "A--", 1)]);
    assert_eq!(lines(&plan), ["Transfer: download a", "Transfer: upload b, new"]);
    assert_eq!(plan.conflicts[0].kind, ConflictKind::DeletedHereModifiedThere);
}

#[test]
fn a_target_taken_there_is_no_target() {
    let plan = plan_of(&[("a", "-AA", 1), ("b", "AB-", 1)]);
    assert_eq!(plan.conflicts[0].kind, ConflictKind::BothCreated);
    assert!(lines(&plan).contains(&"Delete: delete there a".to_owned()));
}

#[test]
fn a_file_moved_over_another_is_an_edit_and_a_deletion() {
    let mut rows = rows(&[("a", "-AA", 1)]);
    rows.insert(path("b"), replaced(('A', 1), ('B', 2)));
    let plan = plan(&rows, &context()).unwrap();
    assert_eq!(lines(&plan), ["Transfer: upload b, over 1", "Delete: delete there a"]);
}

#[test]
fn an_editor_that_moves_a_file_out_and_writes_it_anew_has_edited_it() {
    let mut rows = rows(&[("a~", "A--", 1)]);
    rows.insert(path("a"), replaced(('B', 2), ('A', 1)));
    let moved = vec![(path("a"), path("a~"))];
    let plan = plan(&rows, &Context { moved, ..context() }).unwrap();
    assert_eq!(lines(&plan), ["Transfer: upload a, over 1", "Transfer: upload a~, new"]);
}

#[test]
fn a_chain_of_renames_starts_from_its_end() {
    let mut here = rows(&[("a", "-AA", 1), ("c", "B--", 2)]);
    here.insert(path("b"), replaced(('A', 1), ('B', 2)));
    let expected = ["RenameRemote: rename there b to c, over 1", "RenameRemote: rename there a to b, over 1"];
    assert_eq!(lines(&plan(&here, &context()).unwrap()), expected);

    let mut there = rows(&[("a", "A-A", 1), ("c", "-B-", 0)]);
    there.insert(path("b"), replaced_there('B', 'A'));
    let expected = ["RenameLocal: rename here b to c", "RenameLocal: rename here a to b"];
    assert_eq!(lines(&plan(&there, &context()).unwrap()), expected);
}

#[test]
fn a_swap_and_a_cycle_go_over_a_temporary_name() {
    let swap = Rows::from([(path("d/a"), replaced(('B', 2), ('A', 1))), (path("d/b"), replaced(('A', 1), ('B', 2)))]);
    let expected = [
        "RenameRemote: rename there d/a to .hcfs-rename-0~a, over 1",
        "RenameRemote: rename there d/b to d/a, over 1",
        "RenameRemote: rename there .hcfs-rename-0~a to d/b, after d/a",
    ];
    assert_eq!(lines(&plan(&swap, &context()).unwrap()), expected);

    let cycle = Rows::from([
        (path("a"), replaced_there('A', 'C')),
        (path("b"), replaced_there('B', 'A')),
        (path("c"), replaced_there('C', 'B')),
    ]);
    let expected = [
        "RenameLocal: rename here a to .hcfs-rename-0~a",
        "RenameLocal: rename here c to a",
        "RenameLocal: rename here b to c",
        "RenameLocal: rename here .hcfs-rename-0~a to b",
    ];
    assert_eq!(lines(&plan(&cycle, &context()).unwrap()), expected);
}

#[test]
fn a_swap_that_was_cut_off_is_finished_from_its_temporary_name() {
    // The version of `a` is at the temporary name; that of `b` still is where it was.
    let mut there = rows(&[(".hcfs-rename-0~a", "-A-", 0), ("a", "B-A", 2)]);
    there.insert(path("b"), replaced(('A', 1), ('B', 2)));
    let expected =
        ["RenameRemote: rename there b to a, over 1", "RenameRemote: rename there .hcfs-rename-0~a to b, over 2"];
    assert_eq!(lines(&plan(&there, &context()).unwrap()), expected);

    let mut here = rows(&[(".hcfs-rename-0~a", "A--", 1), ("a", "-BA", 0)]);
    here.insert(path("b"), replaced_there('B', 'A'));
    let expected = ["RenameLocal: rename here b to a", "RenameLocal: rename here .hcfs-rename-0~a to b"];
    assert_eq!(lines(&plan(&here, &context()).unwrap()), expected);
}

#[test]
fn what_waits_at_a_temporary_name_is_not_moved_to_another_one() {
    // `e` has to leave the place in which a directory is to be.
    expect(
        &[(".hcfs-rename-0~d", "B--", 1), ("a", "-A-", 0), ("e", "A-A", 2), ("e/d", "-B-", 0)],
        &["RenameLocal: rename here e to a", "RenameLocal: rename here .hcfs-rename-0~d to e/d"],
    );
}

#[test]
fn what_was_left_at_a_temporary_name_goes_before_equal_contents() {
    let table = [(".hcfs-rename-0~a", "-A-", 0), ("b", "-AA", 2), ("c", "A--", 9)];
    let expected = ["RenameRemote: rename there .hcfs-rename-0~a to c, over 2", "Delete: delete there b"];
    expect(&table, &expected);
    let moved = vec![(path("b"), path("c"))];
    assert_eq!(lines(&plan(&rows(&table), &Context { moved, ..context() }).unwrap()), expected);
    expect(
        &[(".hcfs-rename-0~a", "A--", 1), ("b", "-AA", 2), ("c", "-A-", 0), ("d", "-A-", 0)],
        &["RenameLocal: rename here .hcfs-rename-0~a to c", "Transfer: download d", "Delete: delete there b"],
    );
}

#[test]
fn a_cut_off_swap_whose_target_was_edited_there_ends_at_the_conflict_copy() {
    // `a` and `b` were swapped here; the version of `a` got to the temporary name, and then `b` was edited there.
    let expected = [
        "Clear: set aside b as b (conflict, laptop, 2025-01-31)",
        "RenameRemote: rename there .hcfs-rename-0~a to b (conflict, laptop, 2025-01-31), over 2",
        "Transfer: download b",
    ];
    let mut rows = rows(&[(".hcfs-rename-0~a", "-A-", 0), ("b", "ACB", 2)]);
    let found = plan(&rows, &context()).unwrap();
    assert_eq!(lines(&found), expected);
    // A content that came under that name since, over one that was agreed, is no leftover.
    let edited = self::rows(&[(".hcfs-rename-0~a", "-AD", 0), ("b", "ACB", 2)]);
    let found_edited = lines(&plan(&edited, &context()).unwrap());
    assert!(found_edited.contains(&"Transfer: download .hcfs-rename-0~a".to_owned()), "{found_edited:#?}");
    // Two of them with one conflict: the other gets its own name back.
    rows.extend(self::rows(&[(".hcfs-rename-1~c", "-A-", 0)]));
    let found = lines(&plan(&rows, &context()).unwrap());
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().any(|line| line == "RenameRemote: rename there .hcfs-rename-1~c to c, over 2"), "{found:#?}");
}

#[test]
fn what_is_left_at_a_temporary_name_and_belongs_nowhere_gets_a_name_again() {
    expect(&[(".hcfs-rename-0~a", "-A-", 0)], &["RenameRemote: rename there .hcfs-rename-0~a to a, over 2"]);
    expect(
        &[(".hcfs-rename-0~a", "-A-", 0), ("a", "BBB", 2)],
        &["RenameRemote: rename there .hcfs-rename-0~a to a (conflict, laptop, 2025-01-31), over 2"],
    );
    expect(&[(".hcfs-rename-0~a", "A--", 1)], &["Clear: set aside .hcfs-rename-0~a as a", "Transfer: upload a, new"]);
    for odd in [".hcfs-rename-0~..", ".hcfs-rename-0~.hcfs", ".hcfs-rename-0", ".hcfs-rename-0~"] {
        expect(&[(odd, "-A-", 0)], &[&format!("RenameRemote: rename there {odd} to rescued, over 2")]);
    }
    // Where nothing may be changed there, it stays what it is.
    let receives = Context { policy: Policy { mode: Mode::ReceiveOnly, ..context().policy }, ..context() };
    let left = rows(&[(".hcfs-rename-0~a", "-A-", 0)]);
    assert_eq!(lines(&plan(&left, &receives).unwrap()), ["Transfer: download .hcfs-rename-0~a"]);
    // A name that only looks like one, and what both sides have, stay.
    expect(&[("d/.hcfs-rename-0~a", "-A-", 0)], &["Transfer: download d/.hcfs-rename-0~a"]);
    expect(&[(".hcfs-rename-0~a", "AAA", 1)], &[]);
}

#[test]
fn a_file_becomes_a_directory_with_itself_inside_and_the_reverse() {
    expect(&[("p", "-AA", 1), ("p/x", "A--", 1)], &["RenameRemote: rename there p to p/x, over 1"]);
    let over = ["RenameLocal: rename here p to .hcfs-rename-0~p", "RenameLocal: rename here .hcfs-rename-0~p to p/x"];
    expect(&[("p", "A-A", 1), ("p/x", "-A-", 0)], &over);
    let over = ["RenameLocal: rename here p/x to .hcfs-rename-0~x", "RenameLocal: rename here .hcfs-rename-0~x to p"];
    expect(&[("p", "-A-", 0), ("p/x", "A-A", 1)], &over);
}

#[test]
fn a_moved_directory_of_many_files_moves_no_content() {
    let mut here = Rows::new();
    let mut there = Rows::new();
    for number in 0..1000_u64 {
        let letter = char::from(b'A' + u8::try_from(number % 20).unwrap());
        here.insert(path(&format!("old/{number}")), row(['-', letter, letter], number));
        here.insert(path(&format!("new/{number}")), row([letter, '-', '-'], number));
        there.insert(path(&format!("old/{number}")), row([letter, '-', letter], number));
        there.insert(path(&format!("new/{number}")), row(['-', letter, '-'], 0));
    }
    for (rows, verb) in [(here, "rename there"), (there, "rename here")] {
        let plan = plan(&rows, &context()).unwrap();
        assert_eq!(plan.stages.len(), 1);
        assert!(plan.holds.is_empty());
        let found = lines(&plan);
        assert_eq!(found.len(), 1000);
        for line in found {
            let (from, to) = line.split_once(" old/").unwrap().1.split_once(" to new/").unwrap();
            assert!(line.contains(verb) && to.trim_end_matches(", over 1") == from, "{line}");
        }
    }
}

#[test]
fn directories_moved_into_one_another_end_as_one_order_of_renames() {
    // The other device moved `a` into `b` and came first; this one moved `b` into `a`.
    expect(
        &[("a/b/y", "B--", 2), ("a/x", "A-A", 1), ("b/a/x", "-A-", 0), ("b/y", "-BB", 2)],
        &["RenameRemote: rename there b/y to a/b/y, over 1", "RenameLocal: rename here a/x to b/a/x"],
    );
}

#[test]
fn the_name_is_cleared_before_a_directory_takes_it_and_the_reverse() {
    expect(&[("p", "-AA", 1), ("p/x", "B--", 2)], &["Clear: delete there p", "Transfer: upload p/x, new"]);
    expect(&[("p", "A-A", 1), ("p/x", "-B-", 0)], &["Clear: delete here p", "Transfer: download p/x"]);
    expect(&[("p", "-B-", 0), ("p/x/y", "A-A", 1)], &["Clear: delete here p/x/y", "Transfer: download p"]);
    // Signs that sort before the slash do not hide a row from the one above it.
    expect(
        &[("p", "A-A", 1), ("p!", "AAA", 2), ("p-", "AAA", 3), ("p/x", "-B-", 0)],
        &["Clear: delete here p", "Transfer: download p/x"],
    );
}

fn only_conflict(plan: &Plan) -> &Conflict {
    assert_eq!(plan.conflicts.len(), 1, "{:?}", plan.conflicts);
    &plan.conflicts[0]
}

#[test]
fn a_file_gives_way_to_a_directory_and_is_kept_beside_it() {
    let copy = "p (conflict, laptop, 2025-01-31)";
    let aside = format!("Clear: set aside p as {copy}");
    let sent = format!("Transfer: upload {copy}, new");
    let moved = format!("RenameRemote: rename there p to {copy}, over 1");
    let moved_new = format!("RenameRemote: rename there p to {copy}, over 2");
    for (letters, below, expected) in [
        ("A--", "-B-", vec![&*aside, &*sent, "Transfer: download p/x"]),
        ("A-B", "-B-", vec!["Settle: forget p", &*aside, &*sent, "Transfer: download p/x"]),
        ("-A-", "B--", vec![&*moved_new, "Transfer: upload p/x, new"]),
        ("AAA", "-B-", vec![&*aside, &*moved, "Transfer: download p/x"]),
        ("ABA", "-C-", vec!["Clear: delete here p", &*moved_new, "Transfer: download p/x"]),
    ] {
        let plan = plan_of(&[("p", letters, 1), ("p/x", below, 2)]);
        assert_eq!(lines(&plan), expected, "{letters}");
        let conflict = only_conflict(&plan);
        assert_eq!((conflict.kind, conflict.resolution), (ConflictKind::FileAndDirectory, Resolution::KeepBoth));
        assert_eq!(conflict.copy, Some(path(copy)));
    }
}

#[test]
fn an_edited_file_that_gives_way_keeps_its_history_and_two_versions_get_two_names() {
    let plan = plan_of(&[("p", "BAA", 1), ("p/x", "-C-", 0)]);
    let copy = "p (conflict, laptop, 2025-01-31)";
    let expected = [
        format!("Clear: set aside p as {copy}"),
        format!("RenameRemote: rename there p to {copy}, over 1"),
        format!("Transfer: upload {copy}, after p"),
        "Transfer: download p/x".to_owned(),
    ];
    assert_eq!(lines(&plan), expected);
    let plan = plan_of(&[("p", "BC-", 1), ("p/x", "-C-", 0)]);
    let expected = [
        format!("Clear: set aside p as {copy}"),
        format!("RenameRemote: rename there p to {copy} 2, over 2"),
        format!("Transfer: upload {copy}, new"),
        "Transfer: download p/x".to_owned(),
    ];
    assert_eq!(lines(&plan), expected);
}

#[test]
fn nothing_is_removed_for_what_waits_behind_a_file_that_cannot_be_moved() {
    let table = [("p", "A--", 1), ("p/x", "-B-", 0)];
    for (which, reported) in [("p", "p/x"), ("p/x", "p")] {
        let mut context = context();
        // A problem below a file's path is its own row alone.
        context.blocked.insert(path(which));
        let plan = plan(&rows(&table), &context).unwrap();
        assert!(plan.is_empty(), "{plan:?}");
        let by_path: std::collections::BTreeMap<_, _> = plan.reported.into_iter().collect();
        assert_eq!(by_path[&path(which)], Reason::Blocked);
        if which == "p/x" {
            assert_eq!(by_path[&path(reported)], Reason::InTheWay { by: path(which) });
        }
    }
}

#[test]
fn an_open_conflict_keeps_its_place() {
    let mut context = context();
    context.decided.insert(path("p"), Resolution::Skip);
    for letters in ["AB-", "A--"] {
        let plan = plan(&rows(&[("p", letters, 1), ("p/x", "-C-", 0)]), &context).unwrap();
        assert!(plan.is_empty(), "{letters}: {plan:?}");
        assert!(plan.reported.contains(&(path("p/x"), Reason::InTheWay { by: path("p") })), "{letters}");
    }
}

#[test]
fn a_rename_onto_a_place_that_is_not_free_does_not_happen() {
    let mut context = context();
    context.policy.max_delete.files = 0;
    context.policy.max_delete.percent = 0;
    // `p` waits as a deletion; what would be renamed below it waits too, on both ends.
    let table = [("a", "B-B", 2), ("p", "A-A", 1), ("p/x", "-B-", 0)];
    let plan = plan(&rows(&table), &context).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(plan.holds.len(), 1);
    let by = || Reason::InTheWay { by: path("p") };
    assert_eq!(plan.reported, [(path("a"), by()), (path("p/x"), by())]);
}

#[test]
fn what_was_to_be_renamed_and_is_not_stays_in_the_way_of_others() {
    let mut context = context();
    context.policy.max_delete.files = 0;
    context.policy.max_delete.percent = 0;
    let table = [("a", "-AA", 1), ("a/y", "C--", 3), ("p", "-BB", 2), ("p/x", "A--", 1)];
    let plan = plan(&rows(&table), &context).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(plan.holds[0].examples, [path("p")]);
    let by = |text| Reason::InTheWay { by: path(text) };
    assert_eq!(plan.reported, [(path("a"), by("p")), (path("a/y"), by("a")), (path("p/x"), by("p"))]);
}

fn copy_of(text: &str, context: &Context) -> String {
    let plan = plan(&rows(&[(text, "AB-", 1)]), context).unwrap();
    only_conflict(&plan).copy.clone().unwrap().to_string()
}

#[test]
fn a_copy_has_the_name_it_is_given_also_on_disk() {
    let mut here = local(b'A', 1);
    here.disk_path = Some(b"e\xcc\x81".to_vec().into());
    let row = Row { local: Some(here), ..row(['A', 'B', 'C'], 1) };
    let plan = plan(&Rows::from([(path("\u{e9}"), row)]), &context()).unwrap();
    let sent = plan.actions().find_map(|action| match action {
        Action::Upload { local, .. } => Some(local.disk_path.clone()),
        _ => None,
    });
    assert_eq!(sent, Some(None));
}

#[test]
fn an_ignored_file_keeps_the_directory_it_is_in() {
    let ignored = [path("p/x")].into_iter().collect();
    let plan = plan(&rows(&[("p", "-B-", 0), ("p/x", "A-A", 1)]), &Context { ignored, ..context() }).unwrap();
    assert_eq!(plan.reported, [(path("p"), Reason::InTheWay { by: path("p/x") })]);
    assert_eq!(lines(&plan), ["Settle: forget p/x"]);
}

#[test]
fn a_version_of_the_server_that_nobody_agreed_on_is_not_moved_away() {
    let decided = [(path("a"), Resolution::KeepLocal)].into_iter().collect();
    let table = rows(&[("a", "BCA", 1), ("b", "-BB", 1), ("c", "C--", 3)]);
    let found = lines(&plan(&table, &Context { decided, ..context() }).unwrap());
    assert!(found.iter().all(|line| !line.starts_with("RenameRemote")), "{found:#?}");
}

#[test]
fn equal_contents_pair_by_the_ends_of_their_paths() {
    // What lies at the top has an end too.
    expect(
        &[("a", "-AA", 1), ("b", "-AA", 2), ("d/a", "A--", 8), ("d/b", "A--", 9)],
        &["RenameRemote: rename there a to d/a, over 1", "RenameRemote: rename there b to d/b, over 1"],
    );
    // A pair with a long end leaves the short one to another pair.
    expect(
        &[("p/one/a", "-AA", 1), ("q/a", "-AA", 2), ("r/one/a", "A--", 8), ("w/a", "A--", 9)],
        &["RenameRemote: rename there p/one/a to r/one/a, over 1", "RenameRemote: rename there q/a to w/a, over 1"],
    );
}

#[test]
fn a_move_that_was_seen_onto_another_version_is_an_edit() {
    let moved = vec![(path("b"), path("c")), (path("a"), path("b"))];
    let table = rows(&[("a", "-AA", 1), ("b", "DBB", 5), ("c", "B--", 2)]);
    let found = lines(&plan(&table, &Context { moved, ..context() }).unwrap());
    assert!(found.iter().all(|line| !line.contains("rename there a ")), "{found:#?}");
}

#[test]
fn files_moved_and_edited_follow_their_inodes_while_they_are_few() {
    for (count, followed) in [(25, 25), (26, 0)] {
        let mut table = Rows::new();
        for number in 0..count {
            table.insert(path(&format!("old/{number}")), row(['-', 'A', 'A'], number));
            table.insert(path(&format!("new/{number}x")), row(['B', '-', '-'], number));
        }
        let mut context = context();
        context.totals.files = 1000;
        let plan = plan(&table, &context).unwrap();
        let renames = plan.actions().filter(|action| matches!(action, Action::RenameRemote { .. })).count();
        assert_eq!(renames, followed, "{count}");
    }
    // Those that are known by their contents are not counted among them.
    let mut table = rows(&[("old/edited", "-BB", 99), ("new/edited", "C--", 99)]);
    for number in 0..30 {
        table.insert(path(&format!("old/{number}")), row(['-', 'A', 'A'], number));
        table.insert(path(&format!("new/{number}")), row(['A', '-', '-'], number));
    }
    let plan = plan(&table, &context()).unwrap();
    assert_eq!(plan.actions().filter(|action| matches!(action, Action::RenameRemote { .. })).count(), 31);
}

#[test]
fn a_chain_of_renames_happens_as_a_whole_or_not_at_all() {
    let mut table = rows(&[("a", "-AA", 1), ("b", "ABB", 1), ("p", "-EE", 9), ("p/x", "B--", 2)]);
    let whole = lines(&plan(&table, &context()).unwrap());
    let renames = ["RenameRemote: rename there b to p/x, over 1", "RenameRemote: rename there a to b, over 1"];
    assert!(renames.iter().all(|rename| whole.contains(&(*rename).to_owned())), "{whole:#?}");
    // Now `p` waits with many other deletions, and keeps its place.
    for number in 0..30 {
        table.insert(path(&format!("z{number}")), row(['-', 'F', 'F'], 100 + number));
    }
    let plan = plan(&table, &context()).unwrap();
    assert_eq!(lines(&plan), Vec::<String>::new());
    let reported: Vec<&str> = plan.reported.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(reported, ["a", "b", "p/x"]);
}

#[test]
fn a_rename_goes_straight_where_nothing_is_in_its_way() {
    expect(
        &[("p", "D-D", 5), ("p/x", "-A-", 0), ("q", "A-A", 1)],
        &["Clear: delete here p", "RenameLocal: rename here q to p/x"],
    );
    expect(
        &[("p", "-D-", 0), ("p/x", "A-A", 1), ("q", "-A-", 0)],
        &["RenameLocal: rename here p/x to q", "Transfer: download p"],
    );
    expect(
        &[("p", "-A-", 0), ("p/x", "D-D", 5), ("q", "A-A", 1)],
        &["Clear: delete here p/x", "RenameLocal: rename here q to p"],
    );
}

#[test]
fn what_was_edited_under_a_temporary_name_is_a_file_like_any_other() {
    for table in [[(".hcfs-rename-0~a", "-AD", 0), ("c", "A--", 9)], [(".hcfs-rename-0~a", "A-D", 1), ("c", "-A-", 0)]]
    {
        let found = lines(&plan_of(&table));
        assert!(found.iter().all(|line| !line.contains("rename") || line.starts_with("Transfer")), "{found:#?}");
        assert_eq!(found.len(), 2, "{found:#?}");
    }
}

#[test]
fn what_is_left_alone_says_why() {
    let by = path("a");
    let all = [
        Reason::Blocked,
        Reason::Unreadable,
        Reason::AwaitsBaseline,
        Reason::InTheWay { by },
        Reason::DiffersThere,
        Reason::DiffersHere,
    ];
    let mut texts: Vec<String> = all.iter().map(ToString::to_string).collect();
    assert!(texts[3].contains("\"a\""), "{}", texts[3]);
    texts.sort_unstable();
    texts.dedup();
    assert!(texts.len() == all.len() && texts.iter().all(|text| text.len() > 20), "{texts:?}");
}

#[test]
fn what_is_open_is_not_settled() {
    let decided = [(path("a"), Resolution::Skip)].into_iter().collect();
    let conflict = plan(&rows(&[("a", "BCA", 1)]), &Context { decided, ..context() }).unwrap();
    let blocked = [path("a")].into_iter().collect();
    let report = plan(&rows(&[("a", "B-A", 1)]), &Context { blocked, ..context() }).unwrap();
    let mut gone = Rows::new();
    for number in 0..30 {
        gone.insert(path(&format!("{number}")), row(['-', 'A', 'A'], number));
    }
    let hold = plan(&gone, &context()).unwrap();
    let open = [&conflict, &report, &hold].map(|plan| (plan.conflicts.len(), plan.reported.len(), plan.holds.len()));
    assert_eq!(open, [(1, 0, 0), (0, 1, 0), (0, 0, 1)]);
    for plan in [conflict, report, hold] {
        assert!(plan.is_empty() && !plan.is_settled(), "{plan:?}");
    }
    assert!(plan_of(&[]).is_settled());
}

#[test]
fn actions_are_told_by_stable_names() {
    let table = [("a", "A--", 1), ("b", "-B-", 0), ("c", "CDE", 3), ("d", "FF-", 4), ("e", "--G", 0), ("f", "H-H", 5)];
    let moved = [("g", "-II", 6), ("h", "I--", 6), ("i", "-KK", 7), ("k", "L-L", 8), ("l", "-L-", 0)];
    let plan = plan_of(&[&table[..], &moved[..]].concat());
    let mut kinds: Vec<&str> = plan.actions().map(Action::kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let all = [
        "adopt",
        "delete_local",
        "delete_remote",
        "download",
        "forget",
        "rename_local",
        "rename_remote",
        "set_aside",
        "upload",
    ];
    assert_eq!(kinds, all);
    // Those that move something say where to, and renames alone have an order.
    for stage in &plan.stages {
        assert_eq!(stage.kind.is_ordered(), matches!(stage.kind, StageKind::RenameRemote | StageKind::RenameLocal));
        for action in &stage.actions {
            let moves = ["rename_local", "rename_remote", "set_aside"].contains(&action.kind());
            assert_eq!(action.to().is_some_and(|to| to != action.path()), moves, "{action:?}");
        }
    }
}

#[test]
fn conflict_copies_have_names_that_fit_and_tell() {
    let long = "é".repeat(120);
    for (text, device, copy) in [
        ("d/a.tar.gz", "laptop", "d/a.tar (conflict, laptop, 2025-01-31).gz"),
        (".profile", "laptop", ".profile (conflict, laptop, 2025-01-31)"),
        ("a.not an extension", "laptop", "a.not an extension (conflict, laptop, 2025-01-31)"),
        (
            "a long name.an_extension_too_long",
            "laptop",
            "a long name.an_extension_too_long (conflict, laptop, 2025-01-31)",
        ),
        ("a", "../../etc/\0x\\", "a (conflict, ..-..-etc--x-, 2025-01-31)"),
        ("a", "", "a (conflict, device, 2025-01-31)"),
        ("a", "..", "a (conflict, device, 2025-01-31)"),
        ("a", "e\u{301}", "a (conflict, \u{e9}, 2025-01-31)"),
    ] {
        let context = Context { device: device.into(), ..context() };
        assert_eq!(copy_of(text, &context), copy);
        assert_eq!(copy_name(&path(text), device, "2025-01-31"), path(copy));
        assert!(is_reserved(&path(copy)) && !is_reserved(&path(text)));
    }
    let name = copy_of(&format!("d/{long}.txt"), &context());
    assert!(name.len() <= 255 + 2 && name.len() > 250, "{}", name.len());
    assert!(name.ends_with("é (conflict, laptop, 2025-01-31).txt"), "{name}");
    let device = "x".repeat(5000);
    let name = copy_of(&format!("{long}.txt"), &Context { device, ..context() });
    assert!(name.len() <= 255 && name.ends_with(", 2025-01-31).txt"), "{name}");
}

#[test]
fn a_copy_goes_further_up_when_the_path_would_grow_beyond_its_limit() {
    let deep = format!("{}/{}", "d".repeat(200), vec!["e".repeat(200); 19].join("/"));
    let text = format!("{deep}/{}", "f".repeat(4096 - deep.len() - 1));
    let copy = copy_of(&text, &context());
    assert!(copy.len() <= 4096);
    assert!(copy.ends_with(" (conflict, laptop, 2025-01-31)"), "{copy}");
}

#[test]
fn a_copy_stays_in_its_directory_up_to_the_last_byte() {
    let directory = format!("{}/{}", "d".repeat(100), vec!["e".repeat(189); 20].join("/"));
    let text = format!("{directory}/{}", "f".repeat(4096 - directory.len() - 1));
    let copy = copy_of(&text, &context());
    assert_eq!((copy.len(), copy.rsplit_once('/').unwrap().0), (4096, directory.as_str()));
}

#[test]
fn a_name_that_exists_is_not_given_again() {
    let first = "a (conflict, laptop, 2025-01-31).txt";
    let reserved = [path(first), path("a (conflict, laptop, 2025-01-31) 2.txt/inside")].into_iter().collect();
    let known = Context { reserved, ..context() };
    assert_eq!(copy_of("a.txt", &known), "a (conflict, laptop, 2025-01-31) 3.txt");
    let plan = plan_of(&[("a.txt", "AB-", 1), (first, "AAA", 2)]);
    assert_eq!(only_conflict(&plan).copy, Some(path("a (conflict, laptop, 2025-01-31) 2.txt")));
    let inside = format!("{first}/inside");
    let plan = plan_of(&[("a.txt", "AB-", 1), (&inside, "AAA", 2)]);
    assert_eq!(only_conflict(&plan).copy, Some(path("a (conflict, laptop, 2025-01-31) 2.txt")));
}
