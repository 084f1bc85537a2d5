//! The program's own log: to the journal under a service manager, else to stderr.

use std::io::IsTerminal;

use hcfs_cli::args::{Command, Invocation, LocalCommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log. `HCFS_LOG` says what is in it; without it a service logs what happens and a command only what is
/// wrong.
pub(crate) fn start(invocation: &Invocation) {
    let is_service =
        matches!(&invocation.command, Command::Local(LocalCommand::Daemon) | Command::Local(LocalCommand::Server(_)));
    // The watcher's library names paths in its warnings.
    let default = if is_service { "info,notify=off" } else { "error,notify=off" };
    let filter = EnvFilter::try_from_env("HCFS_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    if let Some(journal) = is_journal().then(tracing_journald::layer).and_then(Result::ok) {
        registry.with(journal).init();
    } else {
        let colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        registry.with(layer.with_ansi(colored)).init();
    }
}

/// Whether stderr leads to the journal: `JOURNAL_STREAM` names its device and inode.
fn is_journal() -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}
