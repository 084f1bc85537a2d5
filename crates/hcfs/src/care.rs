//! `hcfs server gc|check|stats`: looking after a server's storage, while servers run on it or not.

use std::time::Duration;

use hcfs_cli::args::{CheckOptions, GcOptions, GlobalOptions};
use hcfs_cli::{ExitCode, Terminal, json_object};
use hcfs_server::{Clock, Storage, maintenance};

use crate::failure::{Failure, Outcome};

/// Removes what nobody needs.
pub(crate) async fn gc(
    options: &GcOptions,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let grace = Duration::from_hours(u64::from(options.grace));
    let done = maintenance::collect(storage, grace, &Clock::system()).await.map_err(Failure::server)?;
    let counts = [
        ("marked", done.marked),
        ("repacked", done.repacked),
        ("removed", done.removed),
        ("sessions_removed", done.sessions),
    ];
    tell(&counts, global, terminal)?;
    Ok(ExitCode::Done)
}

/// Checks that every row has its blob. Ends with 1 when one has not.
pub(crate) async fn check(
    options: &CheckOptions,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let report = maintenance::check(storage, options.hashes, &Clock::system()).await.map_err(Failure::server)?;
    for fault in &report.faults {
        if global.json {
            let fields = [
                ("row", fault.row.into()),
                ("object", fault.object.as_str().into()),
                ("ciphertext_hash", fault.ciphertext_hash.as_str().into()),
                ("fault", if fault.damaged { "damaged" } else { "missing" }.into()),
            ];
            terminal.out(&format!("{}\n", json_object(&fields)))?;
        } else {
            let what = if fault.damaged { "damaged" } else { "missing" };
            terminal.out(&format!("{what}  row {}  object {}\n", fault.row, fault.object))?;
        }
    }
    let counts = [
        ("rows", report.rows),
        ("objects", report.objects),
        ("object_bytes", report.object_bytes),
        ("missing", report.missing),
        ("damaged", report.damaged),
        ("waiting", report.waiting),
        ("stray", report.stray),
    ];
    tell(&counts, global, terminal)?;
    Ok(if report.is_sound() { ExitCode::Done } else { ExitCode::Failed })
}

/// Says how much there is.
pub(crate) async fn stats(storage: &Storage, global: &GlobalOptions, terminal: &mut Terminal) -> Outcome {
    let stats = maintenance::stats(storage).await.map_err(Failure::server)?;
    let counts = [
        ("accounts", stats.accounts),
        ("folders", stats.folders),
        ("files", stats.files),
        ("bytes", stats.bytes),
        ("sessions", stats.sessions),
        ("unused_objects", stats.unused_objects),
    ];
    tell(&counts, global, terminal)?;
    Ok(ExitCode::Done)
}

fn tell(counts: &[(&str, u64)], global: &GlobalOptions, terminal: &mut Terminal) -> Result<(), Failure> {
    if global.json {
        let fields: Vec<_> = counts.iter().map(|(name, count)| (*name, (*count).into())).collect();
        terminal.out(&format!("{}\n", json_object(&fields)))?;
    } else {
        for (name, count) in counts {
            terminal.out(&format!("{:<18}{count}\n", name.replace('_', " ")))?;
        }
    }
    Ok(())
}
