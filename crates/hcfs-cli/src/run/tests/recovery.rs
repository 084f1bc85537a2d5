use hcfs_api::{Emptied, Explanation, History, LocalVersion, RemoteVersion, Restored, TrashedFile, Version};

use super::*;

const TRASH: &str = "GET /v1/folders/documents/trash?after=0&limit=1000";

fn entry(id: &str, path: &str, ago: i64) -> TrashedFile {
    TrashedFile { id: id.into(), path: path.into(), at: samples::NOW - ago * 60_000, size: 2048 }
}

pub(super) fn with_trash() -> Daemon {
    let entries = vec![
        entry("1-0", "d/x", 90),
        entry("2-0", "a.txt", 60),
        entry("3-0", "a.txt", 5),
        entry("4-0", "d/e/y", 3),
        entry("5-0", "dx", 2),
    ];
    Daemon::start().on(FOLDERS, one_folder()).on(TRASH, Reply::json(&page(entries, None)))
}

pub(super) fn back(path: &str, beside: bool) -> Reply {
    Reply::json(&Restored { schema: 1, path: path.into(), beside })
}

pub(super) fn restore(id: &str) -> String {
    format!("POST /v1/folders/documents/trash/{id}/restore")
}

#[tokio::test]
async fn the_trash_is_listed_with_the_newest_first() {
    let outcome = hcfs(&with_trash().socket(), &["trash"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    let first = outcome.out.lines().next().unwrap();
    assert!(first.contains("documents: dx") && first.contains("5-0"), "{}", outcome.out);
    let json = hcfs(&with_trash().socket(), &["trash", "list", "--json"]).await.json();
    let ids: Vec<&str> = json["trash"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["5-0", "4-0", "3-0", "2-0", "1-0"]);
    assert_eq!(json["trash"][0]["folder"], "documents");
}

#[tokio::test]
async fn of_a_path_the_newest_version_comes_back_and_of_an_id_that_one() {
    let daemon = with_trash().on(&restore("3-0"), back("a (restored).txt", true));
    let outcome = hcfs(&daemon.socket(), &["trash", "restore", "a.txt"]).await;
    assert_eq!(outcome.out, "a (restored).txt: back under this name, since its own is taken\n", "{}", outcome.err);
    let daemon = with_trash().on(&restore("2-0"), back("a.txt", false));
    let outcome = hcfs(&daemon.socket(), &["trash", "restore", "2-0"]).await;
    assert_eq!(outcome.out, "a.txt: back\n", "{}", outcome.err);
}

#[tokio::test]
async fn a_directory_comes_back_with_everything_below_it_and_nothing_beside_it() {
    let daemon = with_trash().on(&restore("1-0"), back("d/x", false)).on(&restore("4-0"), back("d/e/y", false));
    let outcome = hcfs(&daemon.socket(), &["trash", "restore", "d/", "--json"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(outcome.json()["restored"].as_array().unwrap().len(), 2);
    assert_eq!(daemon.lines().iter().filter(|line| line.starts_with("POST")).count(), 2);
}

#[tokio::test]
async fn a_path_from_the_root_says_its_folder() {
    let mut folder = samples::folder("documents", FolderState::Idle);
    folder.path = "/home/me/docs".into();
    let daemon = Daemon::start()
        .on(FOLDERS, folders(&[folder.clone()]))
        .on("GET /v1/folders/documents/explain?path=d%2Fx", Reply::json(&explanation("synced")));
    let outcome = hcfs(&daemon.socket(), &["explain", "/home/me/docs/d/x"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    let daemon = Daemon::start().on(FOLDERS, folders(&[folder]));
    let outcome = hcfs(&daemon.socket(), &["explain", "/home/me/docsx"]).await;
    assert_eq!(outcome.code, ExitCode::Usage, "{}", outcome.out);
}

#[tokio::test]
async fn what_is_not_in_the_trash_is_told() {
    let daemon = with_trash();
    let outcome = hcfs(&daemon.socket(), &["trash", "restore", "b.txt"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.contains("\"b.txt\" is not in the trash"), "{}", outcome.err);
}

#[tokio::test]
async fn emptying_says_how_much_and_needs_a_yes() {
    let daemon = with_trash();
    let outcome = hcfs(&daemon.socket(), &["trash", "empty"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(outcome.err.contains("5 files"), "{}", outcome.err);
    assert!(!daemon.lines().iter().any(|line| line.starts_with("DELETE")));
    let gone = Emptied { schema: 1, files: 5, bytes: 10_240 };
    let daemon = with_trash().on("DELETE /v1/folders/documents/trash", Reply::json(&gone));
    let outcome = hcfs(&daemon.socket(), &["trash", "empty", "--yes"]).await;
    assert_eq!(outcome.out, "documents: 5 files gone for good\n", "{}", outcome.err);
}

#[tokio::test]
async fn the_versions_of_a_file_are_listed_with_where_they_are() {
    let version = |place: &str, trash_id: Option<&str>, revision| Version {
        place: place.into(),
        path: "a.txt".into(),
        at: Some(samples::NOW - 60_000),
        size: 10,
        revision,
        trash_id: trash_id.map(str::to_owned),
    };
    let versions =
        vec![version("here", None, None), version("server", None, Some(3)), version("trash", Some("2-0"), None)];
    let history = History { schema: 1, path: "a.txt".into(), versions };
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on("GET /v1/folders/documents/history?path=a.txt", Reply::json(&history));
    let outcome = hcfs(&daemon.socket(), &["history", "a.txt"]).await;
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", outcome.err);
    assert!(lines[1].starts_with("on the server") && lines[1].ends_with("version 3"), "{}", lines[1]);
    assert!(lines[2].starts_with("in the trash") && lines[2].ends_with("2-0"), "{}", lines[2]);
}

pub(super) fn explanation(state: &str) -> Explanation {
    Explanation {
        schema: 1,
        path: "d/x".into(),
        state: state.into(),
        reason: "the next cycle is to send it".into(),
        hint: "wait".into(),
        next: Some("upload".into()),
        local: Some(LocalVersion { size: 5, modified_at: samples::NOW - 60_000, hash: "ab".repeat(32) }),
        remote: None,
        synced: Some(RemoteVersion { size: 4, hash: "cd".repeat(32), revision: 2, revision_id: "ef".repeat(32) }),
        problem: None,
        conflict: None,
        hold: None,
    }
}

#[tokio::test]
async fn an_explanation_shows_the_reason_and_all_three_trees() {
    let script = || {
        Daemon::start()
            .on(FOLDERS, one_folder())
            .on("GET /v1/folders/documents/explain?path=d%2Fx", Reply::json(&explanation("waiting")))
    };
    let outcome = hcfs(&script().socket(), &["explain", "d/x"]).await;
    let out = &outcome.out;
    assert!(out.starts_with("documents: d/x: waiting\n  the next cycle is to send it\n  hint: wait\n"), "{out}");
    assert!(out.contains("content abababababab") && out.contains("version 2, content cdcdcdcdcdcd"), "{out}");
    assert!(out.contains("on the server   nothing"), "{out}");
    let json = hcfs(&script().socket(), &["explain", "d/x", "--json"]).await.json();
    assert_eq!(
        (&json["state"], &json["next"], &json["local"]["size"]),
        (&"waiting".into(), &"upload".into(), &5.into())
    );
}
