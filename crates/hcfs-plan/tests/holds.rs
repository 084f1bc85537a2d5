//! Many deletions at once.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use hcfs_model::Rows;
use hcfs_plan::{Action, Context, Hold, HoldKind, MaxDelete, Plan, Reason, Resolution, plan};
use hcfs_testkit::{path, row};

const HERE: [char; 3] = ['-', 'A', 'A'];
const THERE: [char; 3] = ['A', '-', 'A'];

fn here(top: Option<&str>) -> HoldKind {
    HoldKind::MassDeletionHere { top: top.map(str::to_owned) }
}

fn there(top: Option<&str>) -> HoldKind {
    HoldKind::MassDeletionThere { top: top.map(str::to_owned) }
}

/// `count` rows in `directory`.
fn gone(rows: &mut Rows, directory: &str, letters: [char; 3], count: u64) {
    for number in 0..count {
        rows.insert(path(&format!("{directory}{number:05}")), row(letters, number));
    }
}

fn folder(files: u64, top: &[(&str, u64)]) -> Context {
    let mut context = Context { baseline: true, ..Context::default() };
    context.totals.files = files;
    context.totals.top = top.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    context
}

fn deletions(plan: &Plan) -> usize {
    plan.actions().filter(|a| matches!(a, Action::DeleteRemote { .. } | Action::DeleteLocal { .. })).count()
}

#[test]
fn the_limit_is_the_larger_of_files_and_percent() {
    let limits = MaxDelete::default();
    assert_eq!([limits.of(0), limits.of(100), limits.of(1000), limits.of(u64::MAX)], [25, 25, 250, u64::MAX / 100]);
    for (letters, kind) in [(HERE, here(None)), (THERE, there(None))] {
        for (files, count, held) in [(30, 25, false), (30, 26, true), (1000, 250, false), (1000, 251, true)] {
            let mut rows = Rows::new();
            gone(&mut rows, "", letters, count);
            rows.insert(path("other"), row(['A', '-', '-'], 9000));
            let plan = plan(&rows, &folder(files, &[])).unwrap();
            let other =
                plan.actions().any(|action| matches!(action, Action::Upload { .. } | Action::RenameRemote { .. }));
            assert!(other, "other files go on");
            if held {
                assert_eq!(deletions(&plan), 0, "{files} {count}");
                let hold = &plan.holds[0];
                assert_eq!((&hold.kind, hold.of), (&kind, files));
                assert_eq!(hold.examples.len(), Hold::EXAMPLES);
                assert_eq!(hold.examples[0].as_str(), "00000");
            } else {
                assert!(plan.holds.is_empty(), "{files} {count}");
                assert!(deletions(&plan) > 0);
            }
        }
    }
}

#[test]
fn what_the_folder_lost_just_before_counts_as_well() {
    for (letters, kind) in [(HERE, here(None)), (THERE, there(None))] {
        // Of 1,000 files 250 may go, however many portions they come in.
        for (shrunk, count, held) in [(240, 10, false), (240, 11, true), (250, 1, true), (9000, 1, true)] {
            let mut rows = Rows::new();
            gone(&mut rows, "", letters, count);
            rows.insert(path("other"), row(['A', 'A', '-'], 9000));
            let plan = plan(&rows, &Context { shrunk, ..folder(1000 - shrunk.min(900), &[]) }).unwrap();
            let kinds: Vec<_> = plan.holds.iter().map(|hold| (&hold.kind, hold.count)).collect();
            assert_eq!(kinds, if held { vec![(&kind, count)] } else { Vec::new() }, "{shrunk} {count}");
        }
    }
    let shrunk = Context { shrunk: 9000, ..folder(1000, &[]) };
    assert!(plan(&Rows::new(), &shrunk).unwrap().holds.is_empty());
}

#[test]
fn what_is_left_of_a_question_waits_for_its_answer() {
    for kind in [here(None), here(Some("photos"))] {
        let mut rows = Rows::new();
        gone(&mut rows, "photos/", HERE, 1);
        let other = if kind == here(None) { "photos/other" } else { "other/other" };
        rows.insert(path(other), row(['-', 'A', 'A'], 9000));
        let asked = Context { asked: [kind.clone()].into(), ..folder(1000, &[("photos", 40), ("other", 40)]) };
        let waits = plan(&rows, &asked).unwrap();
        let count = if kind == here(None) { 2 } else { 1 };
        assert_eq!(waits.holds.iter().map(|hold| (&hold.kind, hold.count)).collect::<Vec<_>>(), [(&kind, count)]);
        assert_eq!(deletions(&waits) as u64, 2 - count);
        let passes = plan(&rows, &Context { accepted: [kind].into(), ..asked }).unwrap();
        assert_eq!((passes.holds.len(), deletions(&passes)), (0, 2));
    }
    // Files that are back end the question.
    let asked = Context { asked: [here(None), there(None)].into(), ..folder(1000, &[]) };
    let mut rows = Rows::new();
    gone(&mut rows, "", THERE, 0);
    assert!(plan(&rows, &asked).unwrap().holds.is_empty());
}

#[test]
fn each_side_is_counted_by_itself() {
    let mut rows = Rows::new();
    gone(&mut rows, "a", HERE, 20);
    gone(&mut rows, "b", THERE, 20);
    let plan = plan(&rows, &folder(100, &[])).unwrap();
    assert!(plan.holds.is_empty());
    assert_eq!(deletions(&plan), 40);
}

#[test]
fn a_side_that_shows_nothing_any_more_is_held_however_small_the_folder() {
    for (letters, kind) in [(HERE, here(None)), (THERE, there(None))] {
        for (count, more, held) in [(6, None, true), (5, None, false), (6, Some(['A', 'A', '-']), false)] {
            let mut rows = Rows::new();
            gone(&mut rows, "", letters, count);
            more.map(|more| rows.insert(path("other"), row(more, 9000)));
            let mut context = folder(count, &[]);
            let asked = plan(&rows, &context).unwrap();
            let kinds: Vec<HoldKind> = asked.holds.into_iter().map(|hold| hold.kind).collect();
            assert_eq!(kinds, if held { vec![kind.clone()] } else { vec![] }, "{count} {more:?}");
            context.accepted = [kind.clone()].into();
            assert!(plan(&rows, &context).unwrap().holds.is_empty());
        }
    }
    // Files that are there and agree need not be among the rows.
    let mut rows = Rows::new();
    gone(&mut rows, "", HERE, 6);
    assert!(plan(&rows, &folder(7, &[])).unwrap().holds.is_empty());
}

#[test]
fn a_whole_top_level_directory_is_held_and_the_rest_goes_on() {
    let mut rows = Rows::new();
    gone(&mut rows, "photos/2019/", HERE, 30);
    gone(&mut rows, "notes/", HERE, 20);
    gone(&mut rows, "mail/", HERE, 40);
    let context = folder(10_000, &[("photos", 30), ("notes", 20), ("mail", 41)]);
    let first = plan(&rows, &context).unwrap();
    assert_eq!(first.holds.len(), 1);
    let hold = &first.holds[0];
    assert_eq!((&hold.kind, hold.count, hold.of), (&here(Some("photos")), 30, 30));
    assert_eq!(deletions(&first), 60);

    let accepted = [here(Some("photos"))].into_iter().collect();
    let plan = plan(&rows, &Context { accepted, ..context }).unwrap();
    assert!(plan.holds.is_empty());
    assert_eq!(deletions(&plan), 90);
}

#[test]
fn a_whole_top_level_directory_of_few_files_may_go() {
    for (count, held) in [(25, 0), (26, 1)] {
        let mut rows = Rows::new();
        gone(&mut rows, "photos/", HERE, count);
        gone(&mut rows, "mail/", HERE, 10);
        let plan = plan(&rows, &folder(10_000, &[("photos", count), ("mail", 5_000)])).unwrap();
        assert_eq!(plan.holds.len(), held, "{count}");
    }
}

#[test]
fn a_hold_is_accepted_by_side() {
    let mut rows = Rows::new();
    gone(&mut rows, "a", HERE, 30);
    gone(&mut rows, "b", THERE, 30);
    let accepted = [here(None)].into_iter().collect();
    let plan = plan(&rows, &Context { accepted, ..folder(60, &[]) }).unwrap();
    assert_eq!(deletions(&plan), 30);
    assert_eq!(plan.holds.iter().map(|hold| &hold.kind).collect::<Vec<_>>(), [&there(None)]);
}

#[test]
fn a_hold_is_restored_from_the_other_side() {
    for (letters, kind) in [(HERE, here(None)), (THERE, there(None))] {
        let mut rows = Rows::new();
        gone(&mut rows, "a", letters, 30);
        let restored = [kind].into_iter().collect();
        let plan = plan(&rows, &Context { restored, ..folder(60, &[]) }).unwrap();
        assert!(plan.holds.is_empty() && deletions(&plan) == 0);
        let transfers = plan.actions().filter(|a| matches!(a, Action::Upload { .. } | Action::Download { .. }));
        assert_eq!(transfers.count(), 30);
    }
}

#[test]
fn what_is_to_be_restored_is_though_fewer_are_left_of_it_than_would_be_held() {
    for letters in [HERE, THERE] {
        let of = |top: Option<&str>| if letters == HERE { here(top) } else { there(top) };
        for kind in [of(None), of(Some("a"))] {
            let mut rows = Rows::new();
            gone(&mut rows, "a/", letters, 25);
            let restored = [kind].into_iter().collect();
            let plan = plan(&rows, &Context { restored, ..folder(1000, &[("a", 25)]) }).unwrap();
            assert!(plan.holds.is_empty() && deletions(&plan) == 0, "{plan:?}");
            assert_eq!(plan.actions().count(), 25);
        }
    }
}

#[test]
fn what_cannot_be_restored_stays_held() {
    let mut rows = Rows::new();
    gone(&mut rows, "a", HERE, 30);
    rows.insert(path("a00000/file"), row(['B', '-', '-'], 99));
    let restored = [here(None)].into_iter().collect();
    let plan = plan(&rows, &Context { restored, ..folder(60, &[]) }).unwrap();
    assert_eq!(plan.holds[0].examples, [path("a00000")]);
    assert_eq!(plan.reported, [(path("a00000/file"), Reason::InTheWay { by: path("a00000") })]);
    assert_eq!(plan.actions().filter(|a| matches!(a, Action::Download { .. })).count(), 29);
}

#[test]
fn renames_are_no_deletions() {
    let mut rows = Rows::new();
    for number in 0..100 {
        rows.insert(path(&format!("old/{number}")), row(['-', 'A', 'A'], number));
        rows.insert(path(&format!("new/{number}")), row(['A', '-', '-'], number));
    }
    let plan = plan(&rows, &folder(100, &[("old", 100)])).unwrap();
    assert!(plan.holds.is_empty());
    assert_eq!(plan.actions().filter(|a| matches!(a, Action::RenameRemote { .. })).count(), 100);
}

#[test]
fn many_deletions_do_not_hide_behind_new_files_that_got_their_inodes() {
    let mut rows = Rows::new();
    for number in 0..100 {
        rows.insert(path(&format!("old/{number}")), row(['-', 'A', 'A'], number));
        rows.insert(path(&format!("new/{number}")), row(['B', '-', '-'], number));
    }
    let plan = plan(&rows, &folder(100, &[("old", 100)])).unwrap();
    assert_eq!(plan.holds[0].count, 100);
    assert_eq!(plan.actions().filter(|a| matches!(a, Action::Upload { .. })).count(), 100);
}

#[test]
fn deletions_decided_one_by_one_are_not_counted() {
    let mut rows = Rows::new();
    gone(&mut rows, "a", ['-', 'A', 'B'], 30);
    let decided = rows.keys().map(|path| (path.clone(), Resolution::KeepLocal)).collect();
    let plan = plan(&rows, &Context { decided, ..folder(30, &[]) }).unwrap();
    assert!(plan.holds.is_empty());
    assert_eq!(deletions(&plan), 30);
}
