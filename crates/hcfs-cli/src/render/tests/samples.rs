//! Statuses as a daemon would give them.

use hcfs_api::{
    Counts, DaemonStatus, Direction, ErrorCode, Folder, FolderMode, FolderState, Plan, PlannedAction, PlannedConflict,
    PlannedHold, Rates, Reported, Resolution, SCHEMA, ServerStatus, Source, SourceFile, SourceKind, SourceProblem,
    SourceRun, SourceState, SourceTransfer, SourceTrouble, Status, Totals, Transfer, Trouble, UnixMillis,
};

/// 2026-11-21 06:40:00 UTC.
pub(crate) const NOW: UnixMillis = 1_795_243_200_000;

pub(crate) fn folder(label: &str, state: FolderState) -> Folder {
    Folder {
        label: label.into(),
        path: format!("/home/me/{label}"),
        mode: FolderMode::Sync,
        state,
        trouble: None,
        counts: Counts {
            synced_files: 1234,
            synced_bytes: 5_678_901_234,
            local_files: 1234,
            remote_files: 1234,
            ..Counts::default()
        },
        rates: Rates::default(),
        transfers: Vec::new(),
        last_cycle_at: Some(NOW - 120_000),
        cycles: 3,
    }
}

pub(crate) fn status(folders: Vec<Folder>) -> Status {
    Status {
        schema: SCHEMA,
        daemon: DaemonStatus {
            version: "0.1.0".into(),
            pid: 4242,
            started_at: NOW - 10_800_000,
            uptime_seconds: 10_800,
            device: "laptop".into(),
            locked: false,
        },
        server: ServerStatus {
            url: Some("https://sync.example.org".into()),
            embedded: false,
            reachable: Some(true),
            account: Some("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into()),
            version: Some("0.1.0".into()),
            capabilities: vec![],
        },
        idle: Status::all_idle(&folders),
        totals: Totals::of(&folders),
        rates: Rates::default(),
        folders,
        sources: Vec::new(),
    }
}

pub(crate) fn source(name: &str, state: SourceState) -> Source {
    Source {
        name: name.into(),
        kind: SourceKind::StorageFile,
        into: format!("documents/{name}"),
        state,
        trouble: None,
        files: 3,
        problems: 0,
        transfers: Vec::new(),
        last_run: Some(SourceRun { began_at: NOW - 130_000, ended_at: Some(NOW - 120_000), brought: 2, unchanged: 1 }),
        next_run_at: Some(NOW + 3_300_000),
    }
}

/// One source in each state.
pub(crate) fn sources() -> Vec<Source> {
    let transfer = |item: &str, stage: &str, percent, done, size| SourceTransfer {
        item: item.into(),
        stage: stage.into(),
        percent,
        done,
        size,
    };
    let mut running = source("videos", SourceState::Running);
    running.kind = SourceKind::DownloadTask;
    running.next_run_at = None;
    running.transfers = vec![
        transfer("https://media.example/1", "preparing", Some(40), 0, None),
        transfer("https://media.example/2", "preparing", None, 0, None),
        transfer("https://media.example/3", "bringing", None, 5 << 20, Some(20 << 20)),
        transfer("https://media.example/4", "bringing", None, 5 << 20, None),
        transfer("https://media.example/5", "verifying", None, 5 << 20, Some(5 << 20)),
    ];
    let mut failed = source("reports", SourceState::Failed);
    failed.kind = SourceKind::SignedUrl;
    failed.trouble = Some(SourceTrouble {
        code: "unauthorized".into(),
        message: "the service does not accept the credential".into(),
        hint: "renew the credential at the service and store it where the source reads it".into(),
    });
    let mut attention = source("passports", SourceState::Attention);
    attention.problems = 1;
    vec![attention, failed, running, source("lists", SourceState::Idle), source("all", SourceState::Waiting)]
}

pub(crate) fn source_problem() -> SourceProblem {
    SourceProblem {
        item: "file_78901".into(),
        code: "locked".into(),
        message: "the file \"file_78901\" is locked at the service".into(),
        hint: "it is tried again by itself; free the file at the service if this lasts".into(),
        at: NOW,
        again_at: Some(NOW + 60_000),
    }
}

pub(crate) fn source_file() -> SourceFile {
    SourceFile {
        item: "file_1".into(),
        path: "passports/a.pdf".into(),
        size: 2 << 20,
        hash: "ab".into(),
        verified: true,
        at: NOW - 7_200_000,
    }
}

pub(crate) fn transfers(count: usize, name: &str) -> Vec<Transfer> {
    (0..count)
        .map(|at| Transfer {
            path: format!("{name}{at}"),
            direction: if at % 2 == 0 { Direction::Up } else { Direction::Down },
            done: (at as u64 + 1) << 20,
            size: 30 << 20,
        })
        .collect()
}

pub(crate) fn idle() -> Status {
    status(vec![folder("documents", FolderState::Idle), folder("photos", FolderState::Idle)])
}

pub(crate) fn syncing() -> Status {
    let mut moving = folder("documents", FolderState::Syncing);
    moving.counts.pending = 12;
    moving.counts.pending_up = 300 << 20;
    moving.counts.pending_down = 5 << 20;
    moving.rates = Rates { up: 3_500_000, down: 0, seconds_left: Some(90) };
    moving.transfers = transfers(10, "letters/2026/a long name of a file that goes on and on and on ");
    moving.transfers.push(Transfer { path: "empty".into(), direction: Direction::Up, done: 0, size: 0 });
    status(vec![moving, folder("photos", FolderState::Scanning), folder("音楽", FolderState::Starting)])
}

pub(crate) fn offline() -> Status {
    let mut waiting = folder("documents", FolderState::Offline);
    waiting.trouble = Some(Trouble {
        code: ErrorCode::Offline,
        message: "https://sync.example.org refuses the connection".into(),
        hint: "check that the server runs; the folder goes on by itself when it answers".into(),
    });
    waiting.counts.pending = 3;
    let mut status = status(vec![waiting]);
    status.server.reachable = Some(false);
    status
}

pub(crate) fn locked() -> Status {
    let mut status = status(vec![folder("documents", FolderState::Locked)]);
    status.daemon.locked = true;
    status.server.embedded = true;
    status.server.url = None;
    status.server.reachable = None;
    status.server.account = None;
    status
}

pub(crate) fn attention() -> Status {
    let mut left = folder("documents", FolderState::Attention);
    left.counts.problems = 2;
    left.counts.conflicts = 1;
    left.counts.holds = 1;
    let mut halted = folder("photos", FolderState::Halted);
    halted.trouble = Some(Trouble {
        code: ErrorCode::BadFolder,
        message: "the directory \"/home/me/photos\" is missing".into(),
        hint: "plug the disk in, or remove the folder with `hcfs folder remove photos`".into(),
    });
    status(vec![left, halted, folder("music", FolderState::Paused), folder("x", FolderState::OverQuota)])
}

pub(crate) fn no_folders() -> Status {
    status(Vec::new())
}

pub(crate) fn all() -> Vec<Status> {
    vec![idle(), syncing(), offline(), locked(), attention(), no_folders()]
}

pub(crate) fn plan() -> Plan {
    let action = |kind: &str, path: &str, to: Option<&str>, bytes: Option<u64>| PlannedAction {
        kind: kind.into(),
        path: path.into(),
        to: to.map(str::to_owned),
        bytes,
    };
    Plan {
        actions: vec![
            action("rename_remote", "a/old.txt", Some("a/new.txt"), None),
            action("upload", "letters/b.txt", None, Some(2048)),
            action("download", "c.txt", None, Some(1 << 30)),
            action("delete_local", "d.txt", None, None),
        ],
        total: 1004,
        upload_bytes: 4096,
        download_bytes: 1 << 30,
        conflicts: vec![PlannedConflict {
            path: "e.txt".into(),
            kind: "both_modified".into(),
            resolution: Resolution::KeepBoth,
            copy: Some("e (conflict, laptop, 2026-11-21).txt".into()),
        }],
        holds: vec![PlannedHold {
            kind: "mass_deletion_here".into(),
            count: 30,
            of: 40,
            examples: vec!["f.txt".into()],
        }],
        reported: vec![Reported { path: "g.txt".into(), reason: "it changes while it is read".into() }],
        ..empty_plan()
    }
}

pub(crate) fn empty_plan() -> Plan {
    Plan {
        schema: SCHEMA,
        actions: vec![],
        total: 0,
        upload_bytes: 0,
        download_bytes: 0,
        conflicts: vec![],
        holds: vec![],
        reported: vec![],
    }
}
