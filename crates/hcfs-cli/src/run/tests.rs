mod daemon;
mod direct;
mod recovery;
mod sources;
mod states;
mod transcripts;
mod wrongs;

use std::path::Path;

use hcfs_api::{ErrorCode, ExitCode, Folder, FolderState, LogEvent, Page, Status};
use serde_json::Value;

use self::daemon::{Daemon, Reply};
use crate::args::{Command, parse};
use crate::render::tests::samples;
use crate::run::run_socket;
use crate::terminal::Terminal;

/// What a command did.
struct Outcome {
    code: ExitCode,
    out: String,
    err: String,
}

impl Outcome {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}", self.out))
    }

    #[track_caller]
    fn error(&self) -> Value {
        let error: Value = serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {:?}", self.err));
        assert_eq!(error["schema"], 1);
        error["error"].clone()
    }
}

async fn hcfs(socket: &Path, line: &[&str]) -> Outcome {
    let (terminal, screen) = Terminal::scripted();
    screen.set_now(samples::NOW);
    let code = hcfs_at(socket, line, terminal).await;
    Outcome { code, out: screen.take_out(), err: screen.take_err() }
}

async fn hcfs_at(socket: &Path, line: &[&str], mut terminal: Terminal) -> ExitCode {
    let invocation = parse(std::iter::once("hcfs").chain(line.iter().copied())).unwrap();
    let Command::Socket(command) = invocation.command else { panic!("{line:?}") };
    run_socket(&command, &invocation.options, socket, &mut terminal).await
}

fn page<T>(items: Vec<T>, next: Option<u64>) -> Page<T> {
    Page { schema: 1, items, next }
}

fn folders(folders: &[Folder]) -> Reply {
    Reply::json(&page(folders.to_vec(), None))
}

fn one_folder() -> Reply {
    folders(&[samples::folder("documents", FolderState::Idle)])
}

const FOLDERS: &str = "GET /v1/folders";

#[tokio::test]
async fn nobody_at_the_socket_is_4() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let outcome = hcfs(&missing, &["status"]).await;
    assert_eq!(outcome.code.number(), 4);
    assert!(outcome.err.starts_with(&format!("error: no daemon answers at \"{}\": ", missing.display())));
    assert!(outcome.err.ends_with("hint: start it with `hcfs up` or `hcfs daemon`\n"), "{}", outcome.err);
    assert_eq!(outcome.out, "");
    let dead = dir.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let outcome = hcfs(&dead, &["status", "--json"]).await;
    assert_eq!((outcome.code.number(), outcome.error()["code"].as_str()), (4, Some("no_daemon")));
    assert!(!crate::is_reachable(&dead).await);
    assert!(crate::is_reachable(&Daemon::start().socket()).await);
}

#[tokio::test]
async fn a_daemon_that_hangs_up_or_stays_silent_is_4() {
    let daemon = Daemon::start().on("GET /v1/status", Reply::silent());
    let client = crate::client::Client::impatient(&daemon.socket());
    let error = client.get::<Status>("/v1/status").await.unwrap_err();
    assert_eq!(error.exit(), ExitCode::NoDaemon);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let outcome = hcfs(&socket, &["folder", "list"]).await;
    assert_eq!(outcome.code, ExitCode::NoDaemon, "{}", outcome.err);
}

#[tokio::test]
async fn every_error_of_the_daemon_ends_with_its_code() {
    for &code in ErrorCode::ALL {
        let daemon = Daemon::start().on("GET /v1/status", Reply::error(code, "it went wrong", "mend it"));
        let outcome = hcfs(&daemon.socket(), &["status"]).await;
        assert_eq!(outcome.code, code.exit(), "{code}");
        assert_eq!(outcome.err, "error: it went wrong\nhint: mend it\n");
        let daemon = Daemon::start().on("GET /v1/status", Reply::error(code, "it went wrong", ""));
        let outcome = hcfs(&daemon.socket(), &["status", "--json"]).await;
        assert_eq!(outcome.code, code.exit(), "{code}");
        let error = outcome.error();
        assert_eq!(error["code"], code.as_str());
        assert_eq!((&error["message"], &error["hint"]), (&"it went wrong".into(), &"".into()));
        assert_eq!(error["retryable"], code.is_retryable());
        assert_eq!(outcome.out, "");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_told_as_such() {
    for reply in
        [Reply::text("<html>"), Reply::text("{\"schema\":1}"), Reply::json(&samples::idle()).cut(), Reply::part(b"{")]
    {
        let daemon = Daemon::start().on("GET /v1/status", reply);
        let outcome = hcfs(&daemon.socket(), &["status"]).await;
        assert_eq!(outcome.code, ExitCode::Failed, "{}", outcome.err);
        assert!(outcome.err.starts_with("error: the daemon"), "{}", outcome.err);
        assert!(outcome.err.contains("\nhint: "), "{}", outcome.err);
    }
}

#[tokio::test]
async fn a_daemon_of_another_version_is_named_instead_of_its_grammar() {
    let mut newer = serde_json::to_value(samples::idle()).unwrap();
    newer["daemon"]["version"] = "99.0.0".into();
    newer["folders"][0]["state"] = "dreaming".into();
    let own = env!("CARGO_PKG_VERSION");
    for line in [&["status"][..], &["status", "--json"]] {
        let daemon =
            Daemon::start().on("GET /v1/status", Reply::json(&newer)).on("GET /v1/status", Reply::json(&newer));
        let outcome = hcfs(&daemon.socket(), line).await;
        assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Failed, ""));
        let said = format!("the daemon is version 99.0.0 and this program {own}: they do not understand each other");
        assert!(outcome.err.contains(&said) && outcome.err.contains("update the older of the two"), "{}", outcome.err);
        assert!(!outcome.err.contains("dreaming"), "{}", outcome.err);
    }
    // The reverse: a daemon that is older than the program.
    let mut old = serde_json::json!({"schema": 1, "daemon": {"version": "0.0.1"}});
    old["folders"] = serde_json::json!([{"label": "documents"}]);
    let daemon = Daemon::start()
        .on(FOLDERS, Reply::json(&serde_json::json!({"schema": 1, "items": [{"label": "documents"}]})))
        .on("GET /v1/status", Reply::json(&old));
    let outcome = hcfs(&daemon.socket(), &["folder", "list"]).await;
    assert!(outcome.err.contains("the daemon is version 0.0.1"), "{}", outcome.err);
    let daemon = Daemon::start()
        .on("POST /v1/page", Reply::error(ErrorCode::NoRoute, "there is no route", "restart the daemon"));
    let outcome = hcfs(&daemon.socket(), &["ui"]).await;
    assert_eq!((outcome.code, outcome.err.contains("restart the daemon")), (ExitCode::Failed, true));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let daemon = Daemon::start().on("GET /v1/status", Reply::json(&samples::idle()));
    let (terminal, screen) = Terminal::scripted();
    screen.close_out();
    assert_eq!(hcfs_at(&daemon.socket(), &["status"], terminal).await, ExitCode::Done);
    assert_eq!(screen.take_err(), "");
}

#[tokio::test]
async fn a_daemon_is_met_with_what_it_says_of_its_server() {
    let test = serde_json::json!({"schema": 1, "url": "https://s", "reachable": true, "accepted": true});
    let daemon = Daemon::start()
        .on("GET /v1/status", Reply::json(&samples::idle()))
        .on("POST /v1/server/test", Reply::json(&test));
    let (status, server) = crate::meet(&daemon.socket()).await.unwrap();
    assert_eq!(status, samples::idle());
    assert_eq!(server.unwrap().unwrap().accepted, Some(true));
    // An older daemon does not know the question, and a locked one is not asked.
    let old = Daemon::start()
        .on("GET /v1/status", Reply::json(&samples::idle()))
        .on("POST /v1/server/test", Reply::error(ErrorCode::NoRoute, "there is no such route", "restart the daemon"));
    assert_eq!(crate::meet(&old.socket()).await.unwrap().1.unwrap().unwrap_err().code, ErrorCode::NoRoute);
    let locked = Daemon::start().on("GET /v1/status", Reply::json(&samples::locked()));
    assert_eq!(crate::meet(&locked.socket()).await.unwrap().1, None);
    let nobody = crate::meet(Path::new("/no/such/socket")).await.unwrap_err();
    assert_eq!((nobody.code, nobody.hint.contains("hcfs up")), (ErrorCode::Offline, true));
}

#[tokio::test]
async fn version_needs_no_daemon() {
    let (mut terminal, screen) = Terminal::scripted();
    let mut options = crate::GlobalOptions::default();
    assert_eq!(crate::print_version(&options, &mut terminal), ExitCode::Done);
    assert_eq!(screen.take_out(), format!("hcfs {}\n", env!("CARGO_PKG_VERSION")));
    options.json = true;
    crate::print_version(&options, &mut terminal);
    let json: Value = serde_json::from_str(&screen.take_out()).unwrap();
    assert_eq!((&json["schema"], &json["version"]), (&1.into(), &env!("CARGO_PKG_VERSION").into()));
}

fn logged(folder: &str, id: u64, at: i64) -> LogEvent {
    LogEvent {
        folder: folder.into(),
        id,
        at,
        kind: "uploaded".into(),
        path: Some(format!("{folder}{id}")),
        text: "1 bytes sent".into(),
    }
}
