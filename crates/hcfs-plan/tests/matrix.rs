//! Every row of the matrix of protocol §6, and what resolutions and modes make of it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use hcfs_model::{RelPath, Rows};
use hcfs_plan::{Conflict, ConflictKind, Context, Mode, Plan, Reason, Resolution, plan};
use hcfs_testkit::{path, remote, revision, row};
use model::lines;

mod model;

fn context() -> Context {
    Context { baseline: true, device: "laptop".into(), date: "2025-01-31".into(), ..Context::default() }
}

fn rows_of(letters: &str) -> Rows {
    let [here, there, agreed] = letters.chars().collect::<Vec<_>>().try_into().unwrap();
    Rows::from([(path("a.txt"), row([here, there, agreed], 7))])
}

fn plan_of(letters: &str, context: &Context) -> Plan {
    plan(&rows_of(letters), context).unwrap()
}

/// One row of the matrix: its actions, and its conflict.
fn expect(letters: &str, actions: &[&str], conflict: Option<(ConflictKind, Resolution)>) {
    let plan = plan_of(letters, &context());
    assert_eq!(lines(&plan), actions, "{letters}");
    let found: Vec<_> = plan.conflicts.iter().map(|conflict| (conflict.kind, conflict.resolution)).collect();
    assert_eq!(found, Vec::from_iter(conflict), "{letters}");
    assert!(plan.reported.is_empty() && plan.holds.is_empty(), "{letters}");
}

#[test]
fn agreed_rows_need_nothing() {
    expect("AAA", &[], None);
    assert!(plan_of("AAA", &context()).is_settled());
    assert!(plan_of("---", &context()).is_settled());
}

#[test]
fn new_here_is_uploaded() {
    expect("A--", &["Transfer: upload a.txt, new"], None);
}

#[test]
fn new_there_is_downloaded() {
    expect("-A-", &["Transfer: download a.txt"], None);
}

#[test]
fn edited_here_is_uploaded_over_the_agreed_version() {
    expect("BAA", &["Transfer: upload a.txt, over 1"], None);
}

#[test]
fn edited_there_is_downloaded_and_replaces() {
    expect("ABA", &["Transfer: download a.txt, replacing"], None);
}

#[test]
fn deleted_here_is_deleted_there() {
    expect("-AA", &["Delete: delete there a.txt"], None);
}

#[test]
fn deleted_there_is_deleted_here() {
    expect("A-A", &["Delete: delete here a.txt"], None);
}

#[test]
fn the_same_content_on_both_sides_is_adopted_without_bytes() {
    expect("AA-", &["Settle: adopt a.txt"], None);
    expect("AAB", &["Settle: adopt a.txt"], None);
}

#[test]
fn deleted_on_both_sides_is_forgotten() {
    expect("--A", &["Settle: forget a.txt"], None);
}

const COPY: &str = "a (conflict, laptop, 2025-01-31).txt";

#[test]
fn two_contents_are_both_kept() {
    for (letters, kind) in [("ABC", ConflictKind::BothModified), ("AB-", ConflictKind::BothCreated)] {
        let aside = format!("Clear: set aside a.txt as {COPY}");
        let upload = format!("Transfer: upload {COPY}, new");
        expect(letters, &[&aside, &upload, "Transfer: download a.txt"], Some((kind, Resolution::KeepBoth)));
        let plan = plan_of(letters, &context());
        let rows = rows_of(letters);
        let row = &rows[&path("a.txt")];
        let (local, remote) = (row.local.clone(), row.remote.clone());
        let resolution = Resolution::KeepBoth;
        let expected = Conflict { path: path("a.txt"), kind, local, remote, resolution, copy: Some(path(COPY)) };
        assert_eq!(plan.conflicts, [expected]);
    }
}

#[test]
fn an_edit_wins_over_a_deletion() {
    let here = Some((ConflictKind::ModifiedHereDeletedThere, Resolution::KeepLocal));
    expect("A-B", &["Transfer: upload a.txt, new"], here);
    let there = Some((ConflictKind::DeletedHereModifiedThere, Resolution::AcceptRemote));
    expect("-AB", &["Transfer: download a.txt"], there);
}

#[test]
fn an_edit_wins_over_a_deletion_whatever_the_policy_for_two_contents() {
    for policy in [Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth, Resolution::Skip] {
        let mut context = context();
        context.policy.conflicts = policy;
        assert_eq!(lines(&plan_of("A-B", &context)), ["Transfer: upload a.txt, new"], "{policy:?}");
        assert_eq!(lines(&plan_of("-AB", &context)), ["Transfer: download a.txt"], "{policy:?}");
    }
}

#[test]
fn the_user_decides_every_conflict_otherwise() {
    let both = ["Clear: set aside", "Transfer: upload", "Transfer: download a.txt"];
    for (letters, resolution, expected) in [
        ("ABC", Resolution::KeepLocal, &["Transfer: upload a.txt, over 2"][..]),
        ("AB-", Resolution::KeepLocal, &["Transfer: upload a.txt, over 2"]),
        ("A-B", Resolution::KeepLocal, &["Transfer: upload a.txt, new"]),
        ("-AB", Resolution::KeepLocal, &["Delete: delete there a.txt"]),
        ("ABC", Resolution::AcceptRemote, &["Transfer: download a.txt, replacing"]),
        ("AB-", Resolution::AcceptRemote, &["Transfer: download a.txt, replacing"]),
        ("A-B", Resolution::AcceptRemote, &["Delete: delete here a.txt"]),
        ("-AB", Resolution::AcceptRemote, &["Transfer: download a.txt"]),
        ("ABC", Resolution::KeepBoth, &both),
        ("AB-", Resolution::KeepBoth, &both),
        ("A-B", Resolution::KeepBoth, &["Transfer: upload a.txt, new"]),
        ("-AB", Resolution::KeepBoth, &["Transfer: download a.txt"]),
        ("ABC", Resolution::Skip, &[]),
        ("AB-", Resolution::Skip, &[]),
        ("A-B", Resolution::Skip, &[]),
        ("-AB", Resolution::Skip, &[]),
    ] {
        let mut context = context();
        context.decided.insert(path("a.txt"), resolution);
        let plan = plan_of(letters, &context);
        let found = lines(&plan);
        assert_eq!(found.len(), expected.len(), "{letters} {resolution:?}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{letters} {resolution:?}: {found}");
        }
        assert_eq!(plan.conflicts.len(), 1);
        assert_eq!(plan.conflicts[0].resolution == Resolution::Skip, resolution == Resolution::Skip);
    }
}

#[test]
fn the_policy_ends_conflicts_of_two_contents_unless_the_user_decided() {
    let mut context = context();
    context.policy.conflicts = Resolution::AcceptRemote;
    assert_eq!(lines(&plan_of("AB-", &context)), ["Transfer: download a.txt, replacing"]);
    context.policy.conflicts = Resolution::KeepLocal;
    assert_eq!(lines(&plan_of("ABC", &context)), ["Transfer: upload a.txt, over 2"]);
    context.decided.insert(path("a.txt"), Resolution::AcceptRemote);
    assert_eq!(lines(&plan_of("ABC", &context)), ["Transfer: download a.txt, replacing"]);
}

#[test]
fn a_decision_says_nothing_about_a_path_without_conflict() {
    let mut context = context();
    context.decided.insert(path("a.txt"), Resolution::Skip);
    assert_eq!(lines(&plan_of("BAA", &context)), ["Transfer: upload a.txt, over 1"]);
    context.decided.insert(path("a.txt"), Resolution::AcceptRemote);
    assert_eq!(lines(&plan_of("A--", &context)), ["Transfer: upload a.txt, new"]);
}

/// The same content under a newer revision, as after a change and its reversal elsewhere.
fn newer(letters: &str) -> Rows {
    let mut rows = rows_of(letters);
    let row = rows.get_mut(&path("a.txt")).unwrap();
    row.remote = Some(remote(b'A', revision(3, 9)));
    rows
}

#[test]
fn a_newer_revision_of_the_same_content_moves_no_bytes() {
    assert_eq!(lines(&plan(&newer("AAA"), &context()).unwrap()), ["Settle: adopt a.txt"]);
    assert_eq!(lines(&plan(&newer("BAA"), &context()).unwrap()), ["Transfer: upload a.txt, over 3"]);
}

#[test]
fn a_deletion_is_sent_for_the_agreed_version_only() {
    let plan = plan(&newer("-AA"), &context()).unwrap();
    assert_eq!(lines(&plan), ["Transfer: download a.txt"]);
    assert_eq!(plan.conflicts[0].kind, ConflictKind::DeletedHereModifiedThere);
}

#[test]
fn a_send_only_folder_never_changes_the_disk() {
    let mut context = context();
    context.policy.mode = Mode::SendOnly;
    for (letters, actions, open) in [
        ("A--", &["Transfer: upload a.txt, new"][..], false),
        ("BAA", &["Transfer: upload a.txt, over 1"], false),
        ("-AA", &["Delete: delete there a.txt"], false),
        ("AA-", &["Settle: adopt a.txt"], false),
        ("--A", &["Settle: forget a.txt"], false),
        ("A-B", &["Transfer: upload a.txt, new"], false),
        ("ABC", &[], true),
        ("AB-", &[], true),
        ("-AB", &[], true),
    ] {
        let plan = plan_of(letters, &context);
        assert_eq!(lines(&plan), actions, "{letters}");
        assert_eq!(plan.conflicts.iter().any(|conflict| conflict.resolution == Resolution::Skip), open, "{letters}");
    }
    for letters in ["-A-", "ABA", "A-A"] {
        let plan = plan_of(letters, &context);
        assert_eq!(plan.reported, [(path("a.txt"), Reason::DiffersThere)], "{letters}");
        assert!(plan.is_empty(), "{letters}");
    }
    context.decided.insert(path("a.txt"), Resolution::KeepLocal);
    assert_eq!(lines(&plan_of("ABC", &context)), ["Transfer: upload a.txt, over 2"]);
    context.decided.insert(path("a.txt"), Resolution::AcceptRemote);
    assert!(plan_of("ABC", &context).is_empty());
}

#[test]
fn a_receive_only_folder_never_changes_the_server() {
    let mut context = context();
    context.policy.mode = Mode::ReceiveOnly;
    for (letters, actions, open) in [
        ("-A-", &["Transfer: download a.txt"][..], false),
        ("ABA", &["Transfer: download a.txt, replacing"], false),
        ("A-A", &["Delete: delete here a.txt"], false),
        ("AA-", &["Settle: adopt a.txt"], false),
        ("-AB", &["Transfer: download a.txt"], false),
        ("ABC", &[], true),
        ("AB-", &[], true),
        ("A-B", &[], true),
    ] {
        let plan = plan_of(letters, &context);
        assert_eq!(lines(&plan), actions, "{letters}");
        assert_eq!(plan.conflicts.iter().any(|conflict| conflict.resolution == Resolution::Skip), open, "{letters}");
    }
    for letters in ["A--", "BAA", "-AA"] {
        let plan = plan_of(letters, &context);
        assert_eq!(plan.reported, [(path("a.txt"), Reason::DiffersHere)], "{letters}");
        assert!(plan.is_empty(), "{letters}");
    }
    context.decided.insert(path("a.txt"), Resolution::AcceptRemote);
    assert_eq!(lines(&plan_of("ABC", &context)), ["Transfer: download a.txt, replacing"]);
}

#[test]
fn nothing_is_deleted_before_a_baseline() {
    let context = Context { baseline: false, ..context() };
    for letters in ["-AA", "A-A", "--A"] {
        let plan = plan_of(letters, &context);
        assert_eq!(plan.reported, [(path("a.txt"), Reason::AwaitsBaseline)], "{letters}");
        assert!(plan.is_empty(), "{letters}");
    }
    for letters in ["A--", "-A-", "BAA", "ABA", "AA-", "ABC"] {
        assert!(!plan_of(letters, &context).is_empty(), "{letters}");
    }
}

#[test]
fn what_is_blocked_is_reported_with_all_below_it() {
    let mut rows = Rows::new();
    let letters = [("a", ['-', 'A', 'A']), ("a/b/c", ['-', 'A', 'A']), ("ab", ['-', 'A', 'A']), ("c", ['A', 'A', 'A'])];
    for (number, (text, letters)) in (1..).zip(letters) {
        rows.insert(path(text), row(letters, number));
    }
    let blocked = [path("a"), path("c")].into_iter().collect();
    let plan = plan(&rows, &Context { blocked, ..context() }).unwrap();
    assert_eq!(lines(&plan), ["Delete: delete there ab"]);
    assert_eq!(plan.reported, [(path("a"), Reason::Blocked), (path("a/b/c"), Reason::Blocked)]);
}

#[test]
fn nothing_is_decided_from_an_absence_nobody_could_see() {
    let mut rows = Rows::new();
    for (number, (text, letters)) in (1..).zip([
        ("d/a", ['-', 'A', 'A']),
        ("d/b", ['-', 'A', '-']),
        ("d/c", ['A', 'B', 'A']),
        ("e", ['-', 'A', 'A']),
    ]) {
        rows.insert(path(text), row(letters, number));
    }
    let unknown_local = [path("d")].into_iter().collect();
    let plan = plan(&rows, &Context { unknown_local, ..context() }).unwrap();
    assert_eq!(lines(&plan), ["Transfer: download d/c, replacing", "Delete: delete there e"]);
    assert_eq!(plan.reported, [(path("d/a"), Reason::Unreadable), (path("d/b"), Reason::Unreadable)]);
}

#[test]
fn a_file_is_not_received_where_an_unreadable_directory_is() {
    let unknown_local = [path("a.txt/deep")].into_iter().collect();
    let plan = plan_of("-A-", &Context { unknown_local, ..context() });
    assert_eq!(plan.reported, [(path("a.txt"), Reason::Unreadable)]);
}

#[test]
fn an_ignored_file_stops_being_tracked_and_nothing_is_deleted() {
    let ignored: std::collections::BTreeSet<RelPath> = [path("a.txt")].into_iter().collect();
    let context = Context { ignored, ..context() };
    for letters in ["-AA", "A-A", "BAA", "AAA", "ABC"] {
        assert_eq!(lines(&plan_of(letters, &context)), ["Settle: forget a.txt"], "{letters}");
    }
    for letters in ["-A-", "A--", "AB-"] {
        assert!(plan_of(letters, &context).is_settled(), "{letters}");
    }
}
