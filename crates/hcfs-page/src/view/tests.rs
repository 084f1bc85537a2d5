//! Views, drawn from values.

use hcfs_api::{
    Conflict, ConflictSide, Counts, DaemonStatus, Direction, ErrorCode, Folder, FolderMode, FolderState, Hold, Problem,
    Rates, SCHEMA, ServerStatus, Source, SourceKind, SourceProblem, SourceState, SourceTransfer, SourceTrouble, Totals,
    Transfer, Trouble, Version,
};

use super::*;

/// A name that would do anything a name could do to a page.
const EVIL: &str = "<script>x</script>\"'><img src=x onerror=y>&amp;</title>\u{202e}.txt";

fn pen(zone: &TimeZone) -> Pen<'_> {
    Pen { back: View::Folder(EVIL.into()).href(), token: "t".repeat(64), zone }
}

fn folder(state: FolderState) -> Folder {
    Folder {
        label: EVIL.into(),
        path: EVIL.into(),
        mode: FolderMode::Sync,
        state,
        trouble: Some(Trouble { code: ErrorCode::Offline, message: EVIL.into(), hint: EVIL.into() }),
        counts: Counts { pending: 3, problems: 1, conflicts: 1, holds: 1, ..Counts::default() },
        rates: Rates { up: 1, down: 2, seconds_left: Some(3) },
        transfers: vec![Transfer { path: EVIL.into(), direction: Direction::Up, done: 9, size: 3 }],
        last_cycle_at: Some(1_700_000_000_000),
        cycles: 1,
    }
}

fn source() -> Source {
    Source {
        name: EVIL.into(),
        kind: SourceKind::Cid,
        into: EVIL.into(),
        state: SourceState::Failed,
        trouble: Some(SourceTrouble { code: EVIL.into(), message: EVIL.into(), hint: EVIL.into() }),
        files: 1,
        problems: 1,
        transfers: vec![SourceTransfer { item: EVIL.into(), stage: EVIL.into(), percent: None, done: 1, size: None }],
        last_run: None,
        next_run_at: Some(i64::MAX),
    }
}

fn status(folders: Vec<Folder>) -> Status {
    Status {
        schema: SCHEMA,
        daemon: DaemonStatus {
            version: EVIL.into(),
            pid: 1,
            started_at: 0,
            uptime_seconds: 1,
            device: EVIL.into(),
            locked: false,
        },
        server: ServerStatus {
            url: Some(EVIL.into()),
            embedded: false,
            reachable: Some(true),
            account: Some(EVIL.into()),
            version: None,
            capabilities: vec![],
        },
        idle: Status::all_idle(&folders),
        totals: Totals::of(&folders),
        folders,
        sources: vec![source()],
        rates: Rates::default(),
    }
}

fn detail(state: FolderState) -> FolderDetail {
    let side = ConflictSide { size: 5, at: Some(0), device: Some(EVIL.into()) };
    FolderDetail {
        schema: SCHEMA,
        folder: folder(state),
        problems: vec![Problem { path: Some(EVIL.into()), code: EVIL.into(), message: EVIL.into(), hint: EVIL.into() }],
        conflicts: vec![Conflict {
            id: 7,
            path: EVIL.into(),
            kind: EVIL.into(),
            copy: Some(EVIL.into()),
            at: 0,
            local_size: None,
            remote_size: None,
            local: Some(side),
            remote: None,
            skipped: true,
        }],
        holds: vec![Hold {
            id: 8,
            kind: "mass_deletion_here".into(),
            scope: Some(EVIL.into()),
            count: 40,
            of: 50,
            examples: vec![EVIL.into()],
            at: 0,
        }],
    }
}

fn event() -> LogEvent {
    LogEvent { folder: EVIL.into(), id: 9, at: 0, kind: EVIL.into(), path: Some(EVIL.into()), text: EVIL.into() }
}

fn explanation() -> Explanation {
    Explanation {
        schema: SCHEMA,
        path: EVIL.into(),
        state: EVIL.into(),
        reason: EVIL.into(),
        hint: EVIL.into(),
        next: None,
        local: None,
        remote: None,
        synced: None,
        problem: None,
        conflict: None,
        hold: None,
    }
}

fn bodies() -> Vec<(View, Result<Body, ApiError>)> {
    let folder = || EVIL.to_owned();
    let version = |place: &str| Version {
        place: place.into(),
        path: EVIL.into(),
        at: None,
        size: 1,
        revision: None,
        trash_id: Some(EVIL.into()),
    };
    let trashed = TrashedFile { id: EVIL.into(), path: EVIL.into(), at: 0, size: 1 };
    let problem = SourceProblem {
        item: EVIL.into(),
        code: EVIL.into(),
        message: EVIL.into(),
        hint: EVIL.into(),
        at: 0,
        again_at: None,
    };
    vec![
        (View::Overview, Ok(Body::Overview(vec![Moved { up: 10, down: 5 }; 3]))),
        (View::Attention, Ok(Body::Attention(vec![detail(FolderState::Attention)]))),
        (
            View::Folder(folder()),
            Ok(Body::Folder { detail: Box::new(detail(FolderState::Paused)), log: vec![event()] }),
        ),
        (
            View::Trash { folder: folder(), after: 0 },
            Ok(Body::Trash {
                folder: folder(),
                after: 0,
                files: Page { schema: SCHEMA, items: vec![trashed], next: Some(1) },
            }),
        ),
        (
            View::File { folder: folder(), path: EVIL.into() },
            Ok(Body::File {
                folder: folder(),
                explained: Box::new(explanation()),
                history: History {
                    schema: SCHEMA,
                    path: EVIL.into(),
                    versions: vec![version("trash"), version("conflict_copy"), version(EVIL)],
                },
            }),
        ),
        (
            View::Log { folder: folder(), after: Some(1) },
            Ok(Body::Log {
                folder: folder(),
                after: Some(1),
                events: Page { schema: SCHEMA, items: vec![event()], next: Some(9) },
            }),
        ),
        (
            View::Sources,
            Ok(Body::Sources(vec![SourceDetail { schema: SCHEMA, source: source(), problems: vec![problem] }])),
        ),
        (View::Settings, Ok(Body::Settings(Limits { schema: SCHEMA, upload: 1, download: 0, transfers: 8 }))),
        (View::Overview, Err(ApiError::new(ErrorCode::Io, EVIL, EVIL))),
    ]
}

fn html(view: &View, status: &Status, body: Result<Body, ApiError>) -> String {
    let zone = TimeZone::UTC;
    let pen = pen(&zone);
    let drawn = pen.drawn(view, status, body);
    let notice = crate::gate::Notice { good: false, text: EVIL.into(), hint: EVIL.into() };
    shell::document(view, &drawn, Some(&notice), &pen.token).into_string()
}

#[test]
fn no_name_becomes_markup_in_any_view() {
    let status = status(vec![folder(FolderState::Attention)]);
    for (view, body) in bodies() {
        let html = html(&view, &status, body);
        // The document's own script is the only one, and it has an address.
        assert_eq!(html.matches("<script").count(), 1, "{view:?}\n{html}");
        assert!(!html.contains("<img") && !html.contains("\"'>"), "{view:?}\n{html}");
        assert!(html.contains("&lt;script&gt;x"), "{view:?} shows the name");
        assert_eq!(html.matches("</title>").count(), 1, "{view:?}");
        // Nothing that the policy of the page would stop.
        assert!(!html.contains(" style=") && !html.contains("javascript:"), "{view:?}");
        assert!(!html.contains("http://") && !html.contains("https://"), "{view:?} loads nothing from elsewhere");
        // Every form carries the token, and says what it does.
        assert_eq!(html.matches("method=\"post\"").count(), html.matches("name=\"token\"").count(), "{view:?}");
        assert_eq!(html.matches("method=\"post\"").count(), html.matches("name=\"do\"").count(), "{view:?}");
    }
}

#[test]
fn ids_are_said_once_and_labels_meet_their_fields() {
    let status = status(vec![folder(FolderState::Attention)]);
    for (view, body) in bodies() {
        let html = html(&view, &status, body);
        let of = |attribute: &str| -> Vec<String> {
            let start = format!(" {attribute}=\"");
            let parts = html.split(start.as_str()).skip(1);
            parts.filter_map(|part| part.split_once('"').map(|(value, _)| value.to_owned())).collect()
        };
        let mut ids = of("id");
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{view:?}: {ids:?}");
        let referring = ["for", "aria-labelledby", "aria-describedby"].map(of).concat();
        for referred in referring {
            assert!(!referred.contains(' '), "{view:?}: {referred}");
            assert!(ids.contains(&referred), "{view:?}: nothing has the id {referred}");
        }
    }
}

#[test]
fn views_are_read_as_they_are_written() {
    for (view, _) in bodies() {
        assert_eq!(View::read(&view.href()), Some(view));
    }
    for wrong in
        ["..", "folder", "trash?folder=a&after=x", "file?folder=a", "//example.org", "http://a/", "act", "live"]
    {
        assert_eq!(View::read(wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_said_is_true_and_does_not_change_with_every_byte() {
    let calm = |state| Folder {
        label: "docs".into(),
        trouble: None,
        counts: Counts::default(),
        transfers: Vec::new(),
        ..folder(state)
    };
    let headline = |status: &Status| {
        let html = html(&View::Overview, status, Ok(Body::Overview(Vec::new())));
        html.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")).unwrap().0.to_owned()
    };
    let mut moving = calm(FolderState::Syncing);
    moving.counts.pending = 12;
    let mut held = calm(FolderState::Held);
    held.counts.holds = 2;
    let mut halted = calm(FolderState::Halted);
    halted.trouble = folder(FolderState::Halted).trouble;
    for (one, head, said) in [
        (calm(FolderState::Idle), "Everything is in step", "docs: In step."),
        (moving.clone(), "Syncing 12 changes", "docs: Syncing."),
        (calm(FolderState::Scanning), "Looking for changes", "docs: Looking."),
        (calm(FolderState::Paused), "Resting", "docs: Paused."),
        (held, "2 things need you", "docs: Waits for your word, 2 things to decide."),
        (halted, "One thing needs you", "docs: Halted, 1 thing to decide."),
    ] {
        let status = status(vec![one]);
        assert_eq!((headline(&status).as_str(), words::said(&status).as_str()), (head, said));
    }
    let before = words::said(&status(vec![moving.clone()]));
    moving.counts.pending = 11;
    moving.rates.up = 999;
    assert_eq!(words::said(&status(vec![moving])), before);

    let mut locked = status(vec![calm(FolderState::Locked)]);
    locked.daemon.locked = true;
    assert_eq!((headline(&locked).as_str(), words::said(&locked).as_str()), ("Locked", "Locked."));
    let html = html(&View::Overview, &locked, Ok(Body::Overview(Vec::new())));
    assert!(html.contains("type=\"password\"") && !html.contains("0 files"), "nobody knows what is in step");
}

#[test]
fn a_part_that_shows_the_same_has_the_same_version() {
    let status = status(vec![folder(FolderState::Attention)]);
    let zone = TimeZone::UTC;
    let versions = |moved: u64| -> Vec<(&str, String)> {
        let body = Ok(Body::Overview(vec![Moved { up: moved, down: 0 }; 2]));
        pen(&zone).drawn(&View::Overview, &status, body).parts.iter().map(|part| (part.id, part.version())).collect()
    };
    assert_eq!(versions(5), versions(5));
    let changed: Vec<&str> =
        versions(5).into_iter().zip(versions(5000)).filter(|(a, b)| a != b).map(|((id, _), _)| id).collect();
    assert_eq!(changed, ["throughput"]);
}

#[test]
fn the_page_is_small() {
    let folders: Vec<Folder> =
        (0..20).map(|at| Folder { label: format!("folder {at}"), ..folder(FolderState::Syncing) }).collect();
    let page = html(&View::Overview, &status(folders), Ok(Body::Overview(vec![Moved { up: 1, down: 2 }; 120])));
    let assets = [include_str!("../../assets/style.css"), include_str!("../../assets/script.js")];
    let all = page.len() + assets.map(str::len).iter().sum::<usize>() + include_str!("../../assets/icon.svg").len();
    assert!(all <= 100_000, "{all} bytes");
}
