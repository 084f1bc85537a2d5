//! Sources, over the socket.

use hcfs_api::{AddSource, RunReply, RunSource, SourceDetail, SourceState, SourceTest, SourceTrouble};
use serde_json::json;

use super::*;

const SOURCES: &str = "GET /v1/sources";
const RUN: &str = "POST /v1/sources/passports/run";

fn reply(state: SourceState) -> RunReply {
    RunReply { schema: 1, ended: true, source: samples::source("passports", state) }
}

#[tokio::test]
async fn sources_are_listed() {
    let script = || Daemon::start().on(SOURCES, Reply::json(&page(samples::sources(), None)));
    let outcome = hcfs(&script().socket(), &["source", "list"]).await;
    assert_eq!(outcome.code, ExitCode::Done);
    assert!(outcome.out.contains("passports  attention") && outcome.out.contains("hint: renew"), "{}", outcome.out);
    let outcome = hcfs(&script().socket(), &["source", "list", "--json"]).await;
    assert_eq!(outcome.json(), json!({"schema": 1, "sources": samples::sources()}));
}

#[tokio::test]
async fn a_source_is_added_as_it_was_typed() {
    let daemon = Daemon::start().on("POST /v1/sources", Reply::done());
    let line = ["source", "add", "p", "url", "--item", "https://a/b", "--into", "docs/p", "--every", "1h"];
    let outcome = hcfs(&daemon.socket(), &line).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "p: brings files into docs/p\n"));
    let sent: AddSource = serde_json::from_slice(&daemon.seen()[0].body).unwrap();
    assert_eq!((sent.name.as_str(), sent.into.as_str(), sent.every.as_deref()), ("p", "docs/p", Some("1h")));
    assert_eq!(sent.spec.items, ["https://a/b"]);
}

#[tokio::test]
async fn a_run_ends_as_the_source_stands() {
    let failed = |code: &str| {
        let mut reply = reply(SourceState::Failed);
        let (message, hint) = ("no".to_owned(), "mend".to_owned());
        reply.source.trouble = Some(SourceTrouble { code: code.into(), message, hint });
        reply
    };
    for (reply, code, said) in [
        (reply(SourceState::Idle), ExitCode::Done, "passports: 2 files brought, 1 unchanged\n"),
        (failed("unauthorized"), ExitCode::Unauthorised, "  no\n  hint: mend\n"),
        (failed("unreachable"), ExitCode::Failed, "  no\n"),
        (RunReply { ended: false, ..reply(SourceState::Running) }, ExitCode::NotIdle, "passports: still at it\n"),
    ] {
        let daemon = Daemon::start().on(RUN, Reply::json(&reply));
        let outcome = hcfs(&daemon.socket(), &["source", "run", "passports"]).await;
        assert_eq!(outcome.code, code, "{}", outcome.out);
        assert!(outcome.out.contains(said), "{}", outcome.out);
    }
    let daemon = Daemon::start().on(RUN, Reply::json(&reply(SourceState::Idle)));
    let line = ["source", "run", "passports", "--again", "x", "--timeout", "3", "--quiet"];
    assert_eq!(hcfs(&daemon.socket(), &line).await.out, "");
    let sent: RunSource = serde_json::from_slice(&daemon.seen()[0].body).unwrap();
    assert_eq!(sent, RunSource { again: vec!["x".into()], again_all: false, timeout: Some(3) });
}

#[tokio::test]
async fn what_could_not_be_brought_is_listed_after_a_run() {
    let mut attention = reply(SourceState::Attention);
    attention.source.problems = 1;
    let problems = "GET /v1/sources/passports/problems?after=0&limit=1000";
    let script = || {
        Daemon::start()
            .on(RUN, Reply::json(&attention))
            .on(problems, Reply::json(&page(vec![samples::source_problem()], None)))
    };
    let outcome = hcfs(&script().socket(), &["source", "run", "passports"]).await;
    assert_eq!(outcome.code, ExitCode::NotIdle);
    assert!(outcome.out.contains("file_78901\n  the file \"file_78901\" is locked"), "{}", outcome.out);
    let outcome = hcfs(&script().socket(), &["source", "run", "passports", "--json"]).await;
    assert_eq!(outcome.json()["problems"][0]["code"], "locked");
    let detail = SourceDetail { schema: 1, source: attention.source.clone(), problems: Vec::new() };
    let daemon = script().on("GET /v1/sources/passports", Reply::json(&detail)).on(
        "GET /v1/sources/passports/files?after=0&limit=1000",
        Reply::json(&page(vec![samples::source_file()], None)),
    );
    let outcome = hcfs(&daemon.socket(), &["source", "show", "passports", "--json"]).await;
    assert_eq!(outcome.json()["files"][0]["path"], "passports/a.pdf");
}

#[tokio::test]
async fn a_source_is_tested_cancelled_and_removed() {
    let test = SourceTest { schema: 1, found: vec!["the service answers".into(), "a \u{1b} b".into()] };
    let daemon = Daemon::start()
        .on("POST /v1/sources/p/test", Reply::json(&test))
        .on("POST /v1/sources/p/cancel", Reply::done())
        .on("DELETE /v1/sources/p", Reply::done())
        .on("POST /v1/sources/q/test", Reply::error(ErrorCode::Unauthorised, "no", "renew"));
    let outcome = hcfs(&daemon.socket(), &["source", "test", "p"]).await;
    assert_eq!(outcome.out, "the service answers\na \\u{1b} b\n");
    assert_eq!(hcfs(&daemon.socket(), &["source", "cancel", "p"]).await.out, "p: cancelled\n");
    assert_eq!(hcfs(&daemon.socket(), &["source", "remove", "p"]).await.code, ExitCode::Usage, "it asks first");
    let outcome = hcfs(&daemon.socket(), &["source", "remove", "p", "--yes"]).await;
    assert_eq!(outcome.out, "p: brings nothing any more\n");
    assert_eq!(hcfs(&daemon.socket(), &["source", "test", "q"]).await.code, ExitCode::Unauthorised);
}
