//! The JSON of every answer and request, literally: a field cannot change its name, type or place unseen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests may fail loudly")]

use hcfs_api::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `value` is written as `expected`, and read back as itself, also with a field this version does not know.
#[track_caller]
fn is_written<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, expected: Value) {
    assert_eq!(serde_json::to_value(value).unwrap(), expected);
    let back = T::deserialize(&expected).unwrap();
    assert_eq!(&back, value);
    // Dropped here: a literal at the call reads better than a reference to one.
    drop(expected);
}

#[track_caller]
fn ignores_unknown_fields<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let mut json = serde_json::to_value(value).unwrap();
    json.as_object_mut().unwrap().insert("from_the_future".into(), json!([1]));
    assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
}

fn folder() -> Folder {
    Folder {
        label: "documents".into(),
        path: "/home/me/Documents".into(),
        mode: FolderMode::Sync,
        state: FolderState::Syncing,
        trouble: Some(Trouble { code: ErrorCode::Offline, message: "m".into(), hint: "h".into() }),
        counts: Counts { synced_files: 1, synced_bytes: 2, local_files: 3, remote_files: 4, pending: 5, ..counts() },
        rates: Rates { up: 10, down: 20, seconds_left: Some(30) },
        transfers: vec![Transfer { path: "a/b".into(), direction: Direction::Up, done: 1, size: 2 }],
        last_cycle_at: Some(1_700_000_000_000),
        cycles: 6,
    }
}

fn counts() -> Counts {
    Counts {
        pending_up: 6,
        pending_down: 7,
        sent: 8,
        received: 9,
        problems: 10,
        conflicts: 11,
        holds: 12,
        ..Counts::default()
    }
}

fn counts_json() -> Value {
    json!({
        "synced_files": 1, "synced_bytes": 2, "local_files": 3, "remote_files": 4, "pending": 5, "pending_up": 6,
        "pending_down": 7, "sent": 8, "received": 9, "problems": 10, "conflicts": 11, "holds": 12
    })
}

fn folder_json() -> Value {
    json!({
        "label": "documents", "path": "/home/me/Documents", "mode": "sync", "state": "syncing",
        "trouble": {"code": "offline", "message": "m", "hint": "h"},
        "counts": counts_json(),
        "rates": {"up": 10, "down": 20, "seconds_left": 30},
        "transfers": [{"path": "a/b", "direction": "up", "done": 1, "size": 2}],
        "last_cycle_at": 1_700_000_000_000_i64, "cycles": 6
    })
}

fn source() -> Source {
    Source {
        name: "passports".into(),
        kind: SourceKind::StorageFile,
        into: "documents/passports".into(),
        state: SourceState::Running,
        trouble: Some(SourceTrouble { code: "unauthorized".into(), message: "m".into(), hint: "h".into() }),
        files: 3,
        problems: 1,
        transfers: vec![SourceTransfer {
            item: "file_1".into(),
            stage: "preparing".into(),
            percent: Some(40),
            done: 1,
            size: Some(2),
        }],
        last_run: Some(SourceRun { began_at: 5, ended_at: Some(6), brought: 1, unchanged: 2 }),
        next_run_at: Some(7),
    }
}

fn source_json() -> Value {
    json!({
        "name": "passports", "kind": "storage_file", "into": "documents/passports", "state": "running",
        "trouble": {"code": "unauthorized", "message": "m", "hint": "h"}, "files": 3, "problems": 1,
        "transfers": [{"item": "file_1", "stage": "preparing", "percent": 40, "done": 1, "size": 2}],
        "last_run": {"began_at": 5, "ended_at": 6, "brought": 1, "unchanged": 2}, "next_run_at": 7
    })
}

fn status() -> Status {
    let folders = vec![folder()];
    Status {
        schema: SCHEMA,
        daemon: DaemonStatus {
            version: "0.1.0".into(),
            pid: 7,
            started_at: 5,
            uptime_seconds: 9,
            device: "laptop".into(),
            locked: false,
        },
        server: ServerStatus {
            url: Some("https://example.org".into()),
            embedded: false,
            reachable: Some(true),
            account: Some("5x".into()),
            version: Some("1".into()),
            capabilities: vec!["ranges".into()],
        },
        idle: Status::all_idle(&folders),
        totals: Totals::of(&folders),
        folders,
        sources: vec![source()],
        rates: Rates::default(),
    }
}

#[test]
fn status_of_everything() {
    let mut totals = counts_json();
    totals.as_object_mut().unwrap().insert("folders".into(), json!(1));
    is_written(
        &status(),
        json!({
            "schema": 1,
            "daemon": {"version": "0.1.0", "pid": 7, "started_at": 5, "uptime_seconds": 9, "device": "laptop",
                       "locked": false},
            "server": {"url": "https://example.org", "embedded": false, "reachable": true, "account": "5x",
                       "version": "1", "capabilities": ["ranges"]},
            "idle": false,
            "folders": [folder_json()],
            "sources": [source_json()],
            "totals": totals,
            "rates": {"up": 0, "down": 0}
        }),
    );
    ignores_unknown_fields(&status());
    assert_eq!(status().exit(), ExitCode::NotIdle);
}

#[test]
fn a_folder_with_what_is_wrong_in_it() {
    let conflict = Conflict {
        id: 1,
        path: "a".into(),
        kind: "both_modified".into(),
        copy: Some("a (conflict)".into()),
        at: 2,
        local_size: Some(3),
        remote_size: None,
        local: Some(ConflictSide { size: 3, at: Some(4), device: Some("d".into()) }),
        remote: None,
        skipped: false,
    };
    let hold = Hold {
        id: 1,
        kind: "mass_deletion_here".into(),
        scope: Some("d".into()),
        count: 30,
        of: 40,
        examples: vec!["a".into()],
        at: 2,
    };
    let problem = Problem { path: None, code: "disk_full".into(), message: "m".into(), hint: "h".into() };
    is_written(
        &FolderDetail {
            schema: SCHEMA,
            folder: folder(),
            problems: vec![problem],
            conflicts: vec![conflict],
            holds: vec![hold],
        },
        json!({
            "schema": 1, "folder": folder_json(),
            "problems": [{"code": "disk_full", "message": "m", "hint": "h"}],
            "conflicts": [{"id": 1, "path": "a", "kind": "both_modified", "copy": "a (conflict)", "at": 2,
                           "local_size": 3, "local": {"size": 3, "at": 4, "device": "d"}, "skipped": false}],
            "holds": [{"id": 1, "kind": "mass_deletion_here", "scope": "d", "count": 30, "of": 40, "examples": ["a"], "at": 2}]
        }),
    );
}

#[test]
fn the_text_of_every_state_and_mode() {
    let states = FolderState::ALL;
    let texts = json!([
        "starting",
        "locked",
        "scanning",
        "syncing",
        "idle",
        "attention",
        "paused",
        "held",
        "halted",
        "offline",
        "unauthorised",
        "over_quota",
        "error"
    ]);
    is_written(&states.to_vec(), texts);
    for state in states {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    is_written(
        &vec![FolderMode::Sync, FolderMode::SendOnly, FolderMode::ReceiveOnly],
        json!(["sync", "send-only", "receive-only"]),
    );
    is_written(
        &vec![Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth, Resolution::Skip],
        json!(["keep-local", "accept-remote", "keep-both", "skip"]),
    );
}

#[test]
fn answers_of_operations() {
    is_written(&Done::default(), json!({"schema": 1}));
    is_written(
        &Account { schema: SCHEMA, account: None, device: "d".into(), locked: true },
        json!({"schema": 1, "device": "d", "locked": true}),
    );
    is_written(
        &SyncReply { schema: SCHEMA, ended: true, folder: folder() },
        json!({"schema": 1, "ended": true, "folder": folder_json()}),
    );
    is_written(
        &RemoteFile {
            path: "a".into(),
            size: 1,
            hash: "ab".into(),
            file_id: "cd".into(),
            revision: 2,
            revision_id: "ef".into(),
        },
        json!({"path": "a", "size": 1, "hash": "ab", "file_id": "cd", "revision": 2, "revision_id": "ef"}),
    );
    is_written(&Page { schema: SCHEMA, items: vec![1], next: Some(4) }, json!({"schema": 1, "items": [1], "next": 4}));
    is_written(
        &Plan {
            schema: SCHEMA,
            actions: vec![PlannedAction {
                kind: "rename_remote".into(),
                path: "a".into(),
                to: Some("b".into()),
                bytes: None,
            }],
            total: 1,
            upload_bytes: 2,
            download_bytes: 3,
            conflicts: vec![PlannedConflict {
                path: "c".into(),
                kind: "both_created".into(),
                resolution: Resolution::KeepBoth,
                copy: Some("d".into()),
            }],
            holds: vec![PlannedHold { kind: "k".into(), count: 1, of: 2, examples: vec![] }],
            reported: vec![Reported { path: "e".into(), reason: "r".into() }],
        },
        json!({
            "schema": 1, "actions": [{"kind": "rename_remote", "path": "a", "to": "b"}], "total": 1,
            "upload_bytes": 2, "download_bytes": 3,
            "conflicts": [{"path": "c", "kind": "both_created", "resolution": "keep-both", "copy": "d"}],
            "holds": [{"kind": "k", "count": 1, "of": 2, "examples": []}],
            "reported": [{"path": "e", "reason": "r"}]
        }),
    );
}

#[test]
fn requests() {
    is_written(
        &AddFolder { label: "l".into(), path: "/p".into(), mode: FolderMode::SendOnly, ignore: vec!["*.o".into()] },
        json!({"label": "l", "path": "/p", "mode": "send-only", "ignore": ["*.o"]}),
    );
    let short: AddFolder = serde_json::from_value(json!({"label": "l", "path": "/p"})).unwrap();
    assert_eq!(short.mode, FolderMode::Sync);
    is_written(&MoveRequest { from: "a".into(), to: "b".into() }, json!({"from": "a", "to": "b"}));
    is_written(&ResolveRequest { resolution: Resolution::Skip }, json!({"resolution": "skip"}));
    is_written(&SettleHoldRequest { accept: true }, json!({"accept": true}));
    // A mistyped field of a request is refused: it would be a wish nobody hears.
    assert!(serde_json::from_value::<SettleHoldRequest>(json!({"accept": true, "force": true})).is_err());
    let unlock: UnlockRequest = serde_json::from_value(json!({"password": "secret word"})).unwrap();
    assert_eq!(unlock.password, "secret word");
    assert!(!format!("{unlock:?}").contains("secret"));
}

#[test]
fn sources() {
    is_written(
        &SourceDetail {
            schema: SCHEMA,
            source: source(),
            problems: vec![SourceProblem {
                item: "file_2".into(),
                code: "locked".into(),
                message: "m".into(),
                hint: "h".into(),
                at: 1,
                again_at: Some(2),
            }],
        },
        json!({
            "schema": 1, "source": source_json(),
            "problems": [{"item": "file_2", "code": "locked", "message": "m", "hint": "h", "at": 1, "again_at": 2}]
        }),
    );
    is_written(
        &SourceFile { item: "i".into(), path: "p".into(), size: 1, hash: "ab".into(), verified: true, at: 2 },
        json!({"item": "i", "path": "p", "size": 1, "hash": "ab", "verified": true, "at": 2}),
    );
    is_written(&SourceTest { schema: SCHEMA, found: vec!["f".into()] }, json!({"schema": 1, "found": ["f"]}));
    is_written(
        &RunReply { schema: SCHEMA, ended: true, source: source() },
        json!({"schema": 1, "ended": true, "source": source_json()}),
    );
    let spec = SourceSpec { items: vec!["https://example.org/a".into()], ..SourceSpec::of(SourceKind::Url) };
    is_written(
        &AddSource { name: "n".into(), spec, into: "docs".into(), every: Some("1h".into()) },
        json!({"name": "n", "spec": {"kind": "url", "items": ["https://example.org/a"]}, "into": "docs", "every": "1h"}),
    );
    let mistyped = json!({"name": "n", "spec": {"kind": "url", "item": ["a"]}, "into": "docs"});
    assert!(serde_json::from_value::<AddSource>(mistyped).is_err());
    for kind in SourceKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let states = [
        (SourceState::Waiting, "waiting", ExitCode::NotIdle),
        (SourceState::Running, "running", ExitCode::NotIdle),
        (SourceState::Idle, "idle", ExitCode::Done),
        (SourceState::Attention, "attention", ExitCode::NotIdle),
        (SourceState::Failed, "failed", ExitCode::Unauthorised),
    ];
    for (state, text, exit) in states {
        assert_eq!((state.as_str(), serde_json::to_value(state).unwrap()), (text, json!(text)));
        assert_eq!(Source { state, ..source() }.exit(), exit);
    }
    assert_eq!(Source { state: SourceState::Failed, trouble: None, ..source() }.exit(), ExitCode::Failed);
}

#[test]
fn the_page_and_the_limits() {
    let link = PageLink { schema: SCHEMA, url: "http://127.0.0.1:1/open/secret".into(), expires_at: 9 };
    is_written(&link, json!({"schema": 1, "url": "http://127.0.0.1:1/open/secret", "expires_at": 9}));
    assert!(!format!("{link:?}").contains("secret"));
    is_written(
        &Limits { schema: SCHEMA, upload: 1, download: 2, transfers: 3 },
        json!({"schema": 1, "upload": 1, "download": 2, "transfers": 3}),
    );
}

#[test]
fn a_checkup_and_a_test_of_the_server() {
    let check = Check {
        name: "n".into(),
        about: Some("a".into()),
        verdict: Verdict::Warn,
        message: "m".into(),
        hint: "h".into(),
    };
    is_written(
        &Checkup::of(vec![check]),
        json!({"schema": 1, "checks": [{"name": "n", "about": "a", "verdict": "warn", "message": "m", "hint": "h"}]}),
    );
    for verdict in [Verdict::Ok, Verdict::Warn, Verdict::Fail] {
        assert_eq!(serde_json::to_value(verdict).unwrap(), json!(verdict.as_str()));
    }
    let test = ServerTest {
        schema: SCHEMA,
        url: "u".into(),
        reachable: true,
        accepted: Some(false),
        clock_ahead_seconds: Some(-5),
        trouble: Some(Trouble { code: ErrorCode::Unauthorised, message: "m".into(), hint: "h".into() }),
    };
    let trouble = json!({"code": "unauthorised", "message": "m", "hint": "h"});
    is_written(
        &test,
        json!({"schema": 1, "url": "u", "reachable": true, "accepted": false, "clock_ahead_seconds": -5,
            "trouble": trouble}),
    );
}

#[test]
fn errors() {
    is_written(
        &ErrorBody { error: ApiError::new(ErrorCode::Busy, "m", "h") },
        json!({"error": {"code": "busy", "message": "m", "hint": "h", "retryable": true}}),
    );
    let short: ErrorBody = serde_json::from_value(json!({"error": {"code": "new_kind", "message": "m"}})).unwrap();
    assert_eq!(short.error.code, ErrorCode::Unknown);
    assert_eq!(short.error.exit(), ExitCode::Failed);
}

#[test]
fn stream_elements_are_read_as_they_are_written() {
    let log = LogEvent {
        folder: "f".into(),
        id: 3,
        at: 4,
        kind: "uploaded".into(),
        path: Some("p".into()),
        text: "t".into(),
    };
    is_written(&log, json!({"folder": "f", "id": 3, "at": 4, "kind": "uploaded", "path": "p", "text": "t"}));
    is_written(&Lost { count: Some(2) }, json!({"count": 2}));
    let names = ["snapshot", "log", "status", "source", "lost"];
    let events = [
        StreamEvent::Snapshot(Box::new(status())),
        StreamEvent::Log(log),
        StreamEvent::Status(Box::new(folder())),
        StreamEvent::Source(Box::new(source())),
        StreamEvent::Lost(Lost { count: None }),
    ];
    for (event, name) in events.into_iter().zip(names) {
        assert_eq!(event.name(), name);
        assert_eq!(StreamEvent::parse(name, &event.to_json().unwrap()).unwrap(), Some(event));
    }
    assert_eq!(StreamEvent::parse("from_the_future", "{}").unwrap(), None);
}
