//! What every command prints: stdout, stderr and exit code, as text and as JSON. The daemon is a scripted one.

use std::collections::BTreeSet;

use clap::Subcommand as _;
use hcfs_api::{Emptied, History, PageLink, RunReply, SourceDetail, SourceState, SourceTest, StreamEvent, Version};

use super::direct::{file, lines};
use super::recovery::{back, explanation, restore, with_trash};
use super::states::syncing;
use super::wrongs::{conflict, hold, problem};
use super::*;
use crate::args::SocketCommand;

const EVENTS: &str = "GET /v1/events";

/// One command and the daemon it meets.
struct Scene {
    line: &'static [&'static str],
    script: fn(Daemon) -> Daemon,
    /// What is typed at the question.
    types: Option<&'static str>,
}

fn scene(line: &'static [&'static str], script: fn(Daemon) -> Daemon) -> Scene {
    Scene { line, script, types: None }
}

fn one(daemon: Daemon) -> Daemon {
    daemon.on(FOLDERS, one_folder())
}

fn about_state() -> Vec<Scene> {
    fn stream(state: FolderState) -> Reply {
        let status = samples::status(vec![samples::folder("documents", state)]);
        Reply::events(&[StreamEvent::Snapshot(Box::new(status))])
    }
    fn logged_page(daemon: Daemon) -> Daemon {
        one(daemon).on(
            "GET /v1/folders/documents/log?after=0&limit=1000",
            Reply::json(&page(vec![logged("a", 1, 5000)], None)),
        )
    }
    vec![
        scene(&["status"], |daemon| daemon.on("GET /v1/status", Reply::json(&samples::attention()))),
        scene(&["status", "--watch"], |daemon| daemon.on(EVENTS, stream(FolderState::Idle))),
        scene(&["wait"], |daemon| daemon.on(EVENTS, stream(FolderState::Idle).open())),
        scene(&["wait", "--timeout", "0"], |daemon| daemon.on(EVENTS, stream(FolderState::Syncing).open())),
        scene(&["sync"], |daemon| syncing(one(daemon), true, FolderState::Idle)),
        scene(&["sync", "documents"], |daemon| syncing(one(daemon), true, FolderState::Attention)),
        scene(&["sync", "elsewhere"], one),
        scene(&["sync", "--dry-run"], |daemon| {
            one(daemon)
                .on("GET /v1/folders/documents/plan?limit=1000", Reply::json(&samples::plan()))
                .on("GET /v1/folders/documents/plan?limit=100000", Reply::json(&samples::plan()))
        }),
        scene(&["log"], logged_page),
        scene(&["log", "--follow"], |daemon| {
            let events = [
                StreamEvent::Snapshot(Box::new(samples::idle())),
                StreamEvent::Log(logged("documents", 3, 5000)),
                StreamEvent::Lost(hcfs_api::Lost { count: Some(2) }),
            ];
            one(daemon).on(EVENTS, Reply::events(&events))
        }),
        Scene {
            types: Some("correct horse"),
            ..scene(&["unlock"], |daemon| daemon.on("POST /v1/unlock", Reply::done()))
        },
        scene(&["ui", "--print"], |daemon| {
            let url = "http://127.0.0.1:7001/ab/open?once=cd".into();
            let link = PageLink { schema: 1, url, expires_at: samples::NOW + 120_000 };
            daemon.on("POST /v1/page", Reply::json(&link))
        }),
    ]
}

fn about_folders() -> Vec<Scene> {
    vec![
        scene(&["folder", "list"], one),
        scene(&["folder", "add", "photos", "/"], |daemon| daemon.on("POST /v1/folders", Reply::done())),
        scene(&["folder", "remove", "documents"], one),
        scene(&["folder", "remove", "documents", "--yes"], |daemon| {
            one(daemon).on("DELETE /v1/folders/documents", Reply::done())
        }),
        scene(&["folder", "pause", "documents"], |daemon| {
            one(daemon).on("POST /v1/folders/documents/pause", Reply::done())
        }),
        scene(&["folder", "resume", "documents"], |daemon| {
            one(daemon).on("POST /v1/folders/documents/resume", Reply::done())
        }),
        scene(&["folder", "scan", "documents"], |daemon| {
            one(daemon).on("POST /v1/folders/documents/scan?full=false", Reply::done())
        }),
    ]
}

fn about_what_is_wrong() -> Vec<Scene> {
    fn list<T: serde::Serialize>(daemon: Daemon, what: &str, items: Vec<T>) -> Daemon {
        let route = format!("GET /v1/folders/documents/{what}?after=0&limit=1000");
        one(daemon).on(&route, Reply::json(&page(items, None)))
    }
    vec![
        scene(&["problems"], |daemon| list(daemon, "problems", vec![problem("a.txt")])),
        scene(&["conflicts"], |daemon| list(daemon, "conflicts", vec![conflict(1, "a.txt")])),
        scene(&["conflicts", "resolve", "a.txt", "keep-both"], |daemon| {
            list(daemon, "conflicts", vec![conflict(1, "a.txt")])
                .on("POST /v1/folders/documents/conflicts/1", Reply::done())
        }),
        scene(&["conflicts", "resolve", "b.txt", "skip"], |daemon| {
            list(daemon, "conflicts", vec![conflict(1, "a.txt")])
        }),
        scene(&["holds"], |daemon| list(daemon, "holds", vec![hold(3)])),
        scene(&["holds", "accept", "3"], |daemon| list(daemon, "holds", vec![hold(3)])),
        scene(&["holds", "accept", "3", "--yes"], |daemon| {
            list(daemon, "holds", vec![hold(3)]).on("POST /v1/folders/documents/holds/3", Reply::done())
        }),
        scene(&["holds", "restore", "3"], |daemon| one(daemon).on("POST /v1/folders/documents/holds/3", Reply::done())),
        scene(&["explain", "d/x"], |daemon| {
            one(daemon).on("GET /v1/folders/documents/explain?path=d%2Fx", Reply::json(&explanation("waiting")))
        }),
    ]
}

fn about_what_can_be_had_back() -> Vec<Scene> {
    vec![
        scene(&["trash"], |_| with_trash()),
        scene(&["trash", "list"], |_| with_trash()),
        scene(&["trash", "restore", "a.txt"], |_| with_trash().on(&restore("3-0"), back("a (restored).txt", true))),
        scene(&["trash", "empty"], |_| with_trash()),
        scene(&["trash", "empty", "--yes"], |_| {
            let gone = Emptied { schema: 1, files: 5, bytes: 10_240 };
            with_trash().on("DELETE /v1/folders/documents/trash", Reply::json(&gone))
        }),
        scene(&["history", "a.txt"], |daemon| {
            let version = |place: &str, trash_id: Option<&str>| Version {
                place: place.into(),
                path: "a.txt".into(),
                at: Some(samples::NOW - 60_000),
                size: 2048,
                revision: trash_id.is_none().then_some(3),
                trash_id: trash_id.map(Into::into),
            };
            let versions = vec![version("here", None), version("server", None), version("trash", Some("2-0"))];
            let history = History { schema: 1, path: "a.txt".into(), versions };
            one(daemon).on("GET /v1/folders/documents/history?path=a.txt", Reply::json(&history))
        }),
    ]
}

fn about_files() -> Vec<Scene> {
    const READ: &str = "GET /v1/folders/documents/content?path=a.txt";
    vec![
        scene(&["ls"], |daemon| {
            one(daemon).on("GET /v1/folders/documents/files", Reply::text(&lines(&[file("a.txt"), file("d/b.txt")])))
        }),
        scene(&["search", "B.T"], |daemon| {
            one(daemon).on("GET /v1/folders/documents/files", Reply::text(&lines(&[file("a.txt"), file("d/b.txt")])))
        }),
        scene(&["search", "nothing"], |daemon| {
            one(daemon).on("GET /v1/folders/documents/files", Reply::text(&lines(&[file("a.txt"), file("d/b.txt")])))
        }),
        scene(&["cat", "a.txt"], |daemon| one(daemon).on(READ, Reply::content(b"a text\n", 7))),
        scene(&["get", "a.txt", "DIR/b.txt"], |daemon| one(daemon).on(READ, Reply::content(b"a text\n", 7))),
        scene(&["get", "a.txt", "DIR/s"], |daemon| one(daemon).on(READ, Reply::content(b"a text\n", 7))),
        scene(&["put", "DIR/b.bin", "b.bin"], |daemon| {
            std::fs::write(daemon.dir().join("b.bin"), "some bytes").unwrap();
            one(daemon).on("PUT /v1/folders/documents/content?path=b.bin&replace=false", Reply::done())
        }),
        scene(&["put", "/dev/null", "b.bin"], one),
        scene(&["mv", "a", "b"], |daemon| one(daemon).on("POST /v1/folders/documents/move", Reply::done())),
        scene(&["rm", "a"], one),
        scene(&["rm", "a", "--yes"], |daemon| {
            one(daemon).on("DELETE /v1/folders/documents/content?path=a", Reply::done())
        }),
    ]
}

fn about_sources() -> Vec<Scene> {
    fn named(method: &str, rest: &str) -> String {
        format!("{method} /v1/sources/passports{rest}")
    }
    fn ran(daemon: Daemon) -> Daemon {
        let reply = RunReply { schema: 1, ended: true, source: samples::source("passports", SourceState::Idle) };
        daemon.on(&named("POST", "/run"), Reply::json(&reply))
    }
    vec![
        scene(&["source", "list"], |daemon| daemon.on("GET /v1/sources", Reply::json(&page(samples::sources(), None)))),
        scene(&["source", "add", "lists", "url", "--item", "https://example.org/a", "--into", "documents"], |daemon| {
            daemon.on("POST /v1/sources", Reply::done())
        }),
        scene(&["source", "show", "passports"], |daemon| {
            let source = samples::source("passports", SourceState::Attention);
            let detail = SourceDetail { schema: 1, source, problems: Vec::new() };
            daemon
                .on(&named("GET", ""), Reply::json(&detail))
                .on(
                    &named("GET", "/problems?after=0&limit=1000"),
                    Reply::json(&page(vec![samples::source_problem()], None)),
                )
                .on(&named("GET", "/files?after=0&limit=1000"), Reply::json(&page(vec![samples::source_file()], None)))
        }),
        scene(&["source", "test", "passports"], |daemon| {
            let test = SourceTest { schema: 1, found: vec!["the service answers".into()] };
            daemon.on(&named("POST", "/test"), Reply::json(&test))
        }),
        scene(&["source", "run", "passports"], ran),
        scene(&["source", "cancel", "passports"], |daemon| daemon.on(&named("POST", "/cancel"), Reply::done())),
        scene(&["source", "remove", "passports"], |daemon| daemon),
        scene(&["source", "remove", "passports", "--yes"], |daemon| daemon.on(&named("DELETE", ""), Reply::done())),
    ]
}

/// What each command prints, as text, then as JSON.
async fn transcript(scenes: Vec<Scene>) -> String {
    let mut text = String::new();
    for Scene { line, script, types } in scenes {
        for json in [false, true] {
            let daemon = script(Daemon::start());
            let dir = daemon.dir().to_string_lossy().into_owned();
            let typed: Vec<String> = line.iter().map(|word| word.replace("DIR", &dir)).collect();
            let mut typed: Vec<&str> = typed.iter().map(String::as_str).collect();
            typed.extend(json.then_some("--json"));
            let (terminal, screen) = Terminal::scripted();
            screen.set_now(samples::NOW);
            if let Some(types) = types {
                screen.answer(types);
            }
            let code = hcfs_at(&daemon.socket(), &typed, terminal).await;
            let told = |stream: &str, said: String| {
                let said = said.replace(&dir, "DIR");
                said.lines().map(|line| format!("{stream} {line}\n")).collect::<String>()
            };
            text.push_str(&format!("$ hcfs {}\n", typed.join(" ").replace(&dir, "DIR")));
            text.push_str(&told(" ", screen.take_out()));
            text.push_str(&told("!", screen.take_err()));
            text.push_str(&format!("({})\n\n", code.number()));
        }
    }
    text
}

#[tokio::test]
async fn transcripts() {
    insta::assert_snapshot!("state", transcript(about_state()).await);
    insta::assert_snapshot!("folders", transcript(about_folders()).await);
    insta::assert_snapshot!("what_is_wrong", transcript(about_what_is_wrong()).await);
    insta::assert_snapshot!("what_can_be_had_back", transcript(about_what_can_be_had_back()).await);
    insta::assert_snapshot!("files", transcript(about_files()).await);
    insta::assert_snapshot!("sources", transcript(about_sources()).await);
}

#[test]
fn every_command_for_the_daemon_has_a_transcript() {
    fn walk(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for below in command.get_subcommands() {
            let path = format!("{path}{} ", below.get_name());
            if !below.is_subcommand_required_set() {
                found.insert(path.clone());
            }
            walk(below, &path, found);
        }
    }
    let mut commands = BTreeSet::new();
    walk(&SocketCommand::augment_subcommands(clap::Command::new("hcfs")), "", &mut commands);
    assert!(commands.len() > 30, "{commands:?}");
    let scenes = [
        about_state(),
        about_folders(),
        about_what_is_wrong(),
        about_what_can_be_had_back(),
        about_files(),
        about_sources(),
    ];
    let lines: Vec<String> = scenes.iter().flatten().map(|scene| scene.line.join(" ") + " ").collect();
    for command in commands {
        assert!(lines.iter().any(|line| line.starts_with(&command)), "hcfs {command}has no transcript");
    }
}
