//! Status, sync, wait, the log, and the list of folders.

use hcfs_api::{FolderState, Lost, StreamEvent, SyncReply};

use super::*;

fn snapshot(status: &Status) -> StreamEvent {
    StreamEvent::Snapshot(Box::new(status.clone()))
}

fn of(state: FolderState) -> Status {
    samples::status(vec![samples::folder("documents", state)])
}

#[tokio::test]
async fn status_is_shown_or_given_as_it_came() {
    let daemon = Daemon::start().on("GET /v1/status", Reply::json(&samples::attention()));
    let outcome = hcfs(&daemon.socket(), &["status"]).await;
    assert_eq!(outcome.code, ExitCode::Done);
    assert!(outcome.out.contains("documents  attention"), "{}", outcome.out);
    let daemon = Daemon::start().on("GET /v1/status", Reply::json(&samples::attention()));
    let outcome = hcfs(&daemon.socket(), &["status", "--json"]).await;
    assert_eq!(outcome.json(), serde_json::to_value(samples::attention()).unwrap());
    assert_eq!(outcome.json()["schema"], 1);
}

#[tokio::test]
async fn status_is_cut_and_colored_at_a_terminal_only() {
    let daemon = Daemon::start().on("GET /v1/status", Reply::json(&samples::idle()));
    let (terminal, screen) = Terminal::scripted();
    hcfs_at(&daemon.socket(), &["status"], terminal.columns(20)).await;
    let out = screen.take_out();
    assert!(out.contains("\x1b[32m") && out.contains('…'), "{out}");
}

#[tokio::test]
async fn a_watched_status_is_told_at_every_change_until_the_daemon_ends() {
    let events = || {
        Reply::events(&[
            snapshot(&of(FolderState::Scanning)),
            StreamEvent::Status(Box::new(samples::folder("documents", FolderState::Idle))),
        ])
    };
    let daemon = Daemon::start().on("GET /v1/events", events()).on("GET /v1/events", events());
    let outcome = hcfs(&daemon.socket(), &["status", "--watch", "--json"]).await;
    let lines: Vec<Status> = outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [of(FolderState::Scanning), of(FolderState::Idle)]);
    assert_eq!(outcome.code, ExitCode::NoDaemon);
    let outcome = hcfs(&daemon.socket(), &["status", "--watch"]).await;
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("documents: scanning") && lines[1].starts_with("documents: idle"), "{lines:?}");
    assert_eq!(outcome.code, ExitCode::NoDaemon);
}

#[tokio::test]
async fn wait_ends_when_nothing_works_any_more() {
    for (state, code) in [
        (FolderState::Idle, 0),
        (FolderState::Attention, 3),
        (FolderState::Paused, 3),
        (FolderState::Offline, 3),
        (FolderState::Unauthorised, 5),
        (FolderState::Locked, 6),
    ] {
        let events = [
            snapshot(&of(FolderState::Syncing)),
            StreamEvent::Log(logged("documents", 1, 0)),
            StreamEvent::Lost(Lost { count: None }),
            StreamEvent::Status(Box::new(samples::folder("documents", state))),
        ];
        let daemon = Daemon::start().on("GET /v1/events", Reply::events(&events).open());
        let outcome = hcfs(&daemon.socket(), &["wait", "--json"]).await;
        assert_eq!(outcome.code.number(), code, "{state}: {}", outcome.err);
        assert_eq!(outcome.json()["idle"], code == 0);
        assert_eq!(outcome.json()["folders"][0]["state"], state.as_str());
    }
}

#[tokio::test]
async fn wait_gives_up_when_the_time_is_up() {
    let events = Reply::events(&[snapshot(&of(FolderState::Syncing))]).open();
    let daemon = Daemon::start().on("GET /v1/events", events);
    let outcome = hcfs(&daemon.socket(), &["wait", "--timeout", "0"]).await;
    assert_eq!(outcome.code, ExitCode::NotIdle);
    assert!(outcome.err.contains("the time ran out"), "{}", outcome.err);
    assert!(outcome.out.starts_with("documents: syncing"), "{}", outcome.out);
}

#[tokio::test]
async fn wait_ends_with_the_daemon() {
    let events = Reply::events(&[snapshot(&of(FolderState::Syncing))]);
    let daemon = Daemon::start().on("GET /v1/events", events);
    assert_eq!(hcfs(&daemon.socket(), &["wait"]).await.code, ExitCode::NoDaemon);
}

pub(super) fn syncing(daemon: Daemon, ended: bool, state: FolderState) -> Daemon {
    let reply = SyncReply { schema: 1, ended, folder: samples::folder("documents", state) };
    let events = || Reply::events(&[snapshot(&of(state))]).open();
    daemon
        .on("POST /v1/folders/documents/sync", Reply::json(&reply))
        .on("POST /v1/folders/documents/sync?timeout=7", Reply::json(&reply))
        .on("GET /v1/events", events())
        .on("GET /v1/events", events())
}

#[tokio::test]
async fn sync_runs_a_cycle_and_says_how_it_left_the_folders() {
    let both = [samples::folder("documents", FolderState::Idle), samples::folder("photos", FolderState::Attention)];
    let daemon = syncing(Daemon::start().on(FOLDERS, folders(&both)), true, FolderState::Idle);
    let outcome = hcfs(&daemon.socket(), &["sync", "documents"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(outcome.out, "documents: idle, 1,234 files, 5.3 GiB, checked 2 min ago\n");
    assert!(!daemon.lines().iter().any(|line| line.contains("photos")), "{:?}", daemon.lines());
    let daemon = syncing(Daemon::start().on(FOLDERS, one_folder()), true, FolderState::Attention);
    assert_eq!(hcfs(&daemon.socket(), &["sync"]).await.code, ExitCode::NotIdle);
    let daemon = syncing(Daemon::start().on(FOLDERS, one_folder()), false, FolderState::Syncing);
    let outcome = hcfs(&daemon.socket(), &["sync", "--timeout", "7", "--json"]).await;
    assert_eq!(outcome.code, ExitCode::NotIdle);
    assert_eq!(outcome.json()["ended"], false);
    assert_eq!(outcome.error()["code"], "timeout");
    let daemon = Daemon::start().on(FOLDERS, one_folder());
    let outcome = hcfs(&daemon.socket(), &["sync", "fotos"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert_eq!(outcome.err, "error: there is no folder \"fotos\"\nhint: there are: documents\n");
}

#[tokio::test]
async fn a_dry_run_prints_the_plan_and_asks_for_nothing_else() {
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on("GET /v1/folders/documents/plan?limit=1000", Reply::json(&samples::plan()))
        .on(FOLDERS, one_folder())
        .on("GET /v1/folders/documents/plan?limit=100000", Reply::json(&samples::plan()));
    let outcome = hcfs(&daemon.socket(), &["sync", "--dry-run"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert!(outcome.out.contains("and 1,000 more actions"), "{}", outcome.out);
    let outcome = hcfs(&daemon.socket(), &["sync", "--dry-run", "--json"]).await;
    let plan = &outcome.json()["plans"][0];
    assert_eq!(
        (&plan["folder"], &plan["total"], &plan["actions"][0]["kind"]),
        (&"documents".into(), &1004.into(), &"rename_remote".into())
    );
    assert!(daemon.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", daemon.lines());
}

#[tokio::test]
async fn the_log_of_several_folders_is_one_in_order_of_time() {
    let both = [samples::folder("a", FolderState::Idle), samples::folder("b", FolderState::Idle)];
    let log = |label: &str, after: u64| format!("GET /v1/folders/{label}/log?after={after}&limit=1000");
    let daemon = Daemon::start()
        .on(FOLDERS, folders(&both))
        .on(&log("a", 0), Reply::json(&page(vec![logged("a", 1, 1000), logged("a", 2, 4000)], Some(2))))
        .on(&log("a", 2), Reply::json(&page(vec![logged("a", 3, 5000)], None)))
        .on(&log("b", 0), Reply::json(&page(vec![logged("b", 7, 3000)], None)));
    let outcome = hcfs(&daemon.socket(), &["log"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(
        outcome.out,
        "1970-01-01 00:00:01  a: a1: 1 bytes sent\n1970-01-01 00:00:03  b: b7: 1 bytes sent\n\
         1970-01-01 00:00:04  a: a2: 1 bytes sent\n1970-01-01 00:00:05  a: a3: 1 bytes sent\n"
    );
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_is_left() {
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on("GET /v1/folders/documents/log?after=0&limit=1000", Reply::json(&page(vec![logged("a", 1, 1)], Some(0))));
    assert_eq!(hcfs(&daemon.socket(), &["log"]).await.code, ExitCode::Failed);
}

#[tokio::test]
async fn a_followed_log_tells_of_gaps_and_goes_on() {
    let events = || {
        Reply::events(&[
            snapshot(&of(FolderState::Idle)),
            StreamEvent::Log(logged("documents", 1, 1000)),
            StreamEvent::Log(logged("photos", 9, 1000)),
            StreamEvent::Lost(Lost { count: Some(2) }),
            snapshot(&of(FolderState::Idle)),
            StreamEvent::Log(logged("documents", 4, 2000)),
        ])
    };
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on("GET /v1/events", events())
        .on(FOLDERS, one_folder())
        .on("GET /v1/events", events());
    let outcome = hcfs(&daemon.socket(), &["log", "--follow", "--label", "documents"]).await;
    assert_eq!(
        outcome.out,
        "1970-01-01 00:00:01  documents: documents1: 1 bytes sent\n1970-01-01 00:00:02  documents: documents4: 1 bytes sent\n"
    );
    assert!(
        outcome.err.starts_with("2 events did not arrive here; `hcfs log` has them all\nerror: "),
        "{}",
        outcome.err
    );
    assert_eq!(outcome.code, ExitCode::NoDaemon);
    let outcome = hcfs(&daemon.socket(), &["log", "--follow", "--json"]).await;
    let lines: Vec<Value> = outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line["schema"] == 1));
    assert_eq!(lines[1]["folder"], "photos");
    assert_eq!(lines[2]["lost"]["count"], 2);
    assert_eq!(lines[3]["id"], 4);
}

#[tokio::test]
async fn folders_are_told_what_to_do() {
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on("POST /v1/folders/documents/pause", Reply::done())
        .on(FOLDERS, one_folder())
        .on("POST /v1/folders/documents/resume", Reply::done())
        .on(FOLDERS, one_folder())
        .on("POST /v1/folders/documents/scan?full=true", Reply::done())
        .on(FOLDERS, one_folder());
    let outcome = hcfs(&daemon.socket(), &["folder", "pause", "documents"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "documents: paused\n"));
    let outcome = hcfs(&daemon.socket(), &["folder", "resume", "documents", "--quiet"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, ""));
    let outcome = hcfs(&daemon.socket(), &["folder", "scan", "documents", "--full", "--json"]).await;
    assert_eq!((outcome.code, outcome.json()["schema"].clone()), (ExitCode::Done, 1.into()));
    // One wrong label: none is told.
    let outcome = hcfs(&daemon.socket(), &["folder", "pause", "documents", "other"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert_eq!(daemon.lines().len(), 7);
}

#[tokio::test]
async fn a_folder_is_added_with_its_whole_path() {
    let daemon = Daemon::start().on("POST /v1/folders", Reply::done());
    let dir = daemon.dir().join("d");
    std::fs::create_dir(&dir).unwrap();
    let roundabout = dir.join("../d");
    let line = ["folder", "add", "l", roundabout.to_str().unwrap(), "--mode", "receive-only", "--ignore", "*.o"];
    let outcome = hcfs(&daemon.socket(), &line).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    let sent: Value = serde_json::from_slice(&daemon.seen()[0].body).unwrap();
    let path = dir.canonicalize().unwrap();
    assert_eq!(sent, serde_json::json!({"label": "l", "path": path, "mode": "receive-only", "ignore": ["*.o"]}));
    let missing = daemon.dir().join("missing");
    let outcome = hcfs(&daemon.socket(), &["folder", "add", "l", missing.to_str().unwrap()]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.starts_with(&format!("error: cannot use \"{}\"", missing.display())), "{}", outcome.err);
    assert_eq!(daemon.seen().len(), 1);
}

#[tokio::test]
async fn a_folder_is_removed_after_a_yes() {
    let removed = || Daemon::start().on(FOLDERS, one_folder()).on("DELETE /v1/folders/documents", Reply::done());
    let line = ["folder", "remove", "documents"];
    let daemon = removed();
    let outcome = hcfs(&daemon.socket(), &line).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(outcome.err.contains("--yes"), "{}", outcome.err);
    assert_eq!(daemon.lines(), [FOLDERS]);
    let outcome = hcfs(&removed().socket(), &["folder", "remove", "documents", "--yes"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    for (answer, code) in [("y", 0), ("YES", 0), ("n", 1), ("", 1), ("yesterday", 1)] {
        let daemon = removed();
        let (terminal, screen) = Terminal::scripted();
        screen.answer(answer);
        assert_eq!(hcfs_at(&daemon.socket(), &line, terminal.asking()).await.number(), code, "{answer}");
        assert_eq!(daemon.lines().len(), if code == 0 { 2 } else { 1 }, "{answer}");
        assert!(screen.take_err().starts_with("Stop keeping documents in step? The files stay on both sides. [y/N] "));
    }
}

#[tokio::test]
async fn folders_are_listed() {
    let daemon = Daemon::start().on(FOLDERS, one_folder()).on(FOLDERS, one_folder());
    let outcome = hcfs(&daemon.socket(), &["folder", "list"]).await;
    assert_eq!(outcome.out, "documents  idle  sync  /home/me/documents\n");
    let outcome = hcfs(&daemon.socket(), &["folder", "list", "--json"]).await;
    assert_eq!((&outcome.json()["schema"], &outcome.json()["folders"][0]["label"]), (&1.into(), &"documents".into()));
}

#[tokio::test]
async fn a_link_to_the_page_is_printed_and_opened_without_standing_in_an_argument() {
    let url = "http://127.0.0.1:7001/ab/open?once=not-in-a-name";
    let link = hcfs_api::PageLink { schema: hcfs_api::SCHEMA, url: url.into(), expires_at: 120_000 };
    let daemon = Daemon::start();
    let daemon = ["ui", "ui --print", "ui --json", "ui"]
        .iter()
        .fold(daemon, |daemon, _| daemon.on("POST /v1/page", Reply::json(&link)));
    let (seen, opened) = std::sync::mpsc::channel();
    let (terminal, screen) = Terminal::scripted();
    let terminal = terminal.browsing(move |file| {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file)?.permissions());
        seen.send((file.to_owned(), std::fs::read_to_string(file)?, mode & 0o777)).unwrap();
        Ok(())
    });
    assert_eq!(hcfs_at(&daemon.socket(), &["ui"], terminal).await, ExitCode::Done);
    let (file, text, mode) = opened.try_recv().unwrap();
    assert!(text.contains(&format!("0; url={url}\"")) && !file.to_str().unwrap().contains("not-in-a-name"), "{text}");
    assert_eq!((mode, file.parent()), (0o600, daemon.socket().parent()));
    assert_eq!(screen.take_out(), format!("{url}\n"));
    assert_eq!(screen.take_err(), "opened in the browser; the link works once, for 2 min\n");

    let (terminal, screen) = Terminal::scripted();
    let terminal = terminal.browsing(|_| panic!("only printed"));
    assert_eq!(hcfs_at(&daemon.socket(), &["ui", "--print"], terminal).await, ExitCode::Done);
    assert_eq!(screen.take_out(), format!("{url}\n"));
    let outcome = hcfs(&daemon.socket(), &["ui", "--json"]).await;
    assert_eq!(outcome.json()["url"], url);

    let (terminal, screen) = Terminal::scripted();
    let terminal = terminal.browsing(|_| Err(std::io::Error::other("none")));
    assert_eq!(hcfs_at(&daemon.socket(), &["ui"], terminal).await, ExitCode::Done);
    assert!(screen.take_err().starts_with("no browser opened it (none); the link works once"));
}

#[tokio::test]
async fn a_password_goes_to_the_daemon_and_nowhere_else() {
    let daemon = Daemon::start()
        .on("POST /v1/unlock", Reply::done())
        .on("POST /v1/unlock", Reply::error(ErrorCode::WrongPassword, "the password is wrong", "try again"));
    let (terminal, screen) = Terminal::scripted();
    screen.answer("correct horse");
    assert_eq!(hcfs_at(&daemon.socket(), &["unlock"], terminal).await, ExitCode::Done);
    assert_eq!(daemon.seen()[0].body, br#"{"password":"correct horse"}"#);
    assert_eq!(screen.take_out() + &screen.take_err(), "unlocked\n");
    assert_eq!(screen.asked().len(), 1);
    for (answer, code) in [("wrong", 6), ("", 6), ("\x03", 130)] {
        let (terminal, screen) = Terminal::scripted();
        screen.answer(answer);
        assert_eq!(hcfs_at(&daemon.socket(), &["unlock"], terminal).await.number(), code, "{answer:?}");
        assert_eq!(daemon.seen().len(), 2, "{answer:?}");
    }
}
