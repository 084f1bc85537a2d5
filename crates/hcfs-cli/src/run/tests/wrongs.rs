//! Problems, conflicts and holds.

use hcfs_api::{Conflict, Hold, Problem, Trouble};

use super::*;

fn two() -> [Folder; 2] {
    [samples::folder("a", FolderState::Attention), samples::folder("b", FolderState::Attention)]
}

fn list(label: &str, what: &str, after: u64) -> String {
    format!("GET /v1/folders/{label}/{what}?after={after}&limit=1000")
}

pub(super) fn problem(path: &str) -> Problem {
    Problem {
        path: Some(path.into()),
        code: "name".into(),
        message: "the name is odd".into(),
        hint: "rename it".into(),
    }
}

pub(super) fn conflict(id: u64, path: &str) -> Conflict {
    Conflict {
        id,
        path: path.into(),
        kind: "both_modified".into(),
        copy: Some(format!("{path} (conflict)")),
        at: samples::NOW,
        local_size: None,
        remote_size: None,
        local: None,
        remote: None,
        skipped: false,
    }
}

pub(super) fn hold(id: u64) -> Hold {
    Hold {
        id,
        kind: "mass_deletion_here".into(),
        scope: None,
        count: 30,
        of: 40,
        examples: vec!["x.txt".into()],
        at: samples::NOW,
    }
}

#[tokio::test]
async fn problems_of_all_folders_are_read_to_the_last_page() {
    let script = || {
        Daemon::start()
            .on(FOLDERS, folders(&two()))
            .on(&list("a", "problems", 0), Reply::json(&page(vec![problem("1")], Some(1))))
            .on(&list("a", "problems", 1), Reply::json(&page(vec![problem("2")], None)))
            .on(&list("b", "problems", 0), Reply::json(&page(vec![problem("3")], None)))
    };
    let outcome = hcfs(&script().socket(), &["problems", "--json"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    let json = outcome.json();
    let told: Vec<(&str, &str)> = json["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["folder"].as_str().unwrap(), one["path"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("a", "1"), ("a", "2"), ("b", "3")]);
    let outcome = hcfs(&script().socket(), &["problems"]).await;
    assert!(outcome.out.starts_with("a: 1\n  the name is odd\n  hint: rename it\na: 2\n"), "{}", outcome.out);
}

#[tokio::test]
async fn a_folder_that_cannot_work_is_itself_a_problem_and_hides_no_other() {
    let mut both = two();
    both[0].state = FolderState::Halted;
    both[0].trouble =
        Some(Trouble { code: ErrorCode::BadFolder, message: "it is missing".into(), hint: "find it".into() });
    let daemon = Daemon::start()
        .on(FOLDERS, folders(&both))
        .on(&list("a", "problems", 0), Reply::error(ErrorCode::BadFolder, "it is missing", "find it"))
        .on(&list("b", "problems", 0), Reply::json(&page(vec![problem("3")], None)));
    let outcome = hcfs(&daemon.socket(), &["problems"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(outcome.out, "a\n  it is missing\n  hint: find it\nb: 3\n  the name is odd\n  hint: rename it\n");
}

#[tokio::test]
async fn a_folder_that_cannot_tell_of_conflicts_does_not_hide_those_of_others() {
    let daemon = Daemon::start()
        .on(FOLDERS, folders(&two()))
        .on(&list("a", "conflicts", 0), Reply::error(ErrorCode::Locked, "the keys are closed", "unlock them"))
        .on(&list("b", "conflicts", 0), Reply::json(&page(vec![conflict(1, "x")], None)));
    let outcome = hcfs(&daemon.socket(), &["conflicts"]).await;
    assert_eq!(outcome.code, ExitCode::Locked);
    assert!(outcome.out.starts_with("b: x\n  changed on both sides, just now\n"), "{}", outcome.out);
    assert!(outcome.err.starts_with("error: the keys are closed"), "{}", outcome.err);
}

fn with_conflicts() -> Daemon {
    Daemon::start()
        .on(FOLDERS, folders(&two()))
        .on(&list("a", "conflicts", 0), Reply::json(&page(vec![conflict(1, "x"), conflict(2, "y")], None)))
        .on(&list("b", "conflicts", 0), Reply::json(&page(vec![conflict(5, "y")], None)))
        .on("POST /v1/folders/a/conflicts/1", Reply::done())
        .on("POST /v1/folders/b/conflicts/5", Reply::done())
}

#[tokio::test]
async fn a_conflict_is_resolved_by_its_path_or_its_copy() {
    for path in ["x", "x (conflict)"] {
        let daemon = with_conflicts();
        let outcome = hcfs(&daemon.socket(), &["conflicts", "resolve", path, "keep-both"]).await;
        assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "x: both versions are kept\n"));
        let last = daemon.seen().pop().unwrap();
        assert_eq!(last.line, "POST /v1/folders/a/conflicts/1");
        assert_eq!(last.body, br#"{"resolution":"keep-both"}"#);
    }
}

#[tokio::test]
async fn a_conflict_that_is_not_one_is_refused() {
    let daemon = with_conflicts();
    let outcome = hcfs(&daemon.socket(), &["conflicts", "resolve", "y", "skip"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(outcome.err.contains("--label"), "{}", outcome.err);
    let outcome = hcfs(&with_conflicts().socket(), &["conflicts", "resolve", "z", "skip"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.contains("\"z\" has no conflict"), "{}", outcome.err);
    assert!(!daemon.lines().iter().any(|line| line.starts_with("POST")), "{:?}", daemon.lines());
    let daemon = with_conflicts();
    let outcome = hcfs(&daemon.socket(), &["conflicts", "resolve", "y", "skip", "--label", "b"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
}

fn with_hold() -> Daemon {
    Daemon::start()
        .on(FOLDERS, one_folder())
        .on(&list("documents", "holds", 0), Reply::json(&page(vec![hold(3)], None)))
        .on("POST /v1/folders/documents/holds/3", Reply::done())
}

#[tokio::test]
async fn held_deletions_show_their_number_and_need_a_yes() {
    let daemon = with_hold();
    let outcome = hcfs(&daemon.socket(), &["holds", "accept", "3"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(outcome.err.contains("30 of 40 files") && outcome.err.contains("x.txt"), "{}", outcome.err);
    assert!(!daemon.lines().iter().any(|line| line.starts_with("POST")), "{:?}", daemon.lines());
    let daemon = with_hold();
    let outcome = hcfs(&daemon.socket(), &["holds", "accept", "3", "--yes"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "documents: hold 3: what was held happens\n"));
    assert_eq!(daemon.seen().pop().unwrap().body, br#"{"accept":true}"#);
    let outcome = hcfs(&with_hold().socket(), &["holds", "accept", "4", "--yes"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.contains("no hold with number 4"), "{}", outcome.err);
}

#[tokio::test]
async fn restoring_what_was_deleted_asks_nobody() {
    let daemon = with_hold();
    let outcome = hcfs(&daemon.socket(), &["holds", "restore", "3", "--json"]).await;
    assert_eq!((outcome.code, outcome.json()["schema"].clone()), (ExitCode::Done, 1.into()));
    assert_eq!(daemon.seen().pop().unwrap().body, br#"{"accept":false}"#);
}

#[tokio::test]
async fn holds_are_listed_with_their_numbers() {
    let outcome = hcfs(&with_hold().socket(), &["holds"]).await;
    assert!(outcome.out.starts_with("documents: hold 3\n  30 of 40 files deleted here"), "{}", outcome.out);
    let outcome = hcfs(&with_hold().socket(), &["holds", "--json"]).await;
    let json = outcome.json();
    assert_eq!((&json["holds"][0]["folder"], &json["holds"][0]["id"]), (&"documents".into(), &3.into()));
}

#[tokio::test]
async fn of_several_folders_one_must_be_named() {
    for line in [&["holds", "restore", "3"][..], &["ls"], &["cat", "x"], &["rm", "x", "--yes"]] {
        let daemon = Daemon::start().on(FOLDERS, folders(&two()));
        let outcome = hcfs(&daemon.socket(), line).await;
        assert_eq!(outcome.code, ExitCode::Usage, "{line:?}");
        assert!(outcome.err.contains("--label: a, b"), "{}", outcome.err);
        let daemon = Daemon::start().on(FOLDERS, folders(&[]));
        let outcome = hcfs(&daemon.socket(), line).await;
        assert_eq!(outcome.code, ExitCode::Usage, "{line:?}");
        assert!(outcome.err.contains("hcfs folder add"), "{}", outcome.err);
    }
}
