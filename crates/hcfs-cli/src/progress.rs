//! What is seen while the daemon works: bars that are drawn in place at a terminal, a line now and then elsewhere.
//!
//! Deliberately absent: where the numbers come from; the daemon measures rates and times.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hcfs_api::{Folder, FolderState, Status, UnixMillis};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::MissedTickBehavior;

use crate::client::Client;
use crate::client::events::Watched;
use crate::error::CliError;
use crate::render::{self, Look};
use crate::terminal::Terminal;

/// How often times that pass are drawn again.
const TICK: Duration = Duration::from_secs(1);
/// How often a line is printed of a folder that works, in milliseconds.
const LINE_EVERY: UnixMillis = 30_000;

/// A view of statuses as they come.
pub(crate) struct LiveView {
    kind: Kind,
    tell: Tell,
}

/// Prints a line that is told, not drawn.
type Tell = fn(&mut Terminal, &str) -> Result<(), CliError>;

enum Kind {
    /// Nobody wants to see it.
    Hidden,
    /// Lines drawn in place, on stderr.
    Drawn(ProgressBar),
    /// A line when a folder's state changes, and every 30 s while it works.
    Told(BTreeMap<String, Said>),
}

impl Kind {
    fn fit_for(terminal: &Terminal) -> Self {
        if terminal.is_watched() {
            Self::Drawn(drawn_on(ProgressDrawTarget::stderr()))
        } else {
            Self::Told(BTreeMap::new())
        }
    }
}

/// What was last said of a folder.
struct Said {
    state: FolderState,
    trouble: Option<String>,
    at: UnixMillis,
}

impl LiveView {
    /// A view beside a command's own work: on stderr, none if it is to be quiet. A program that reads JSON finds nothing
    /// but JSON there.
    pub(crate) fn new(terminal: &Terminal, quiet: bool, json: bool) -> Self {
        let hidden = quiet || (json && !terminal.is_watched());
        let kind = if hidden { Kind::Hidden } else { Kind::fit_for(terminal) };
        let tell: Tell = |terminal, line| {
            terminal.err(line);
            Ok(())
        };
        Self { kind, tell }
    }

    /// A view that is what was asked for: where nobody watches, its lines are the command's result.
    pub(crate) fn of_result(terminal: &Terminal) -> Self {
        Self { kind: Kind::fit_for(terminal), tell: Terminal::out }
    }

    /// Shows a status.
    pub(crate) fn show(&mut self, status: &Status, terminal: &mut Terminal) -> Result<(), CliError> {
        let now = terminal.now();
        match &mut self.kind {
            Kind::Hidden => {}
            Kind::Drawn(lines) => {
                let look = terminal.err_look();
                // A line as wide as the terminal makes some of them begin another.
                let look = Look { width: look.width.map(|columns| columns.saturating_sub(1)), ..look };
                lines.set_message(render::live(status, now, look).join("\n"));
                lines.tick();
            }
            Kind::Told(said) => {
                said.retain(|label, _| status.folders.iter().any(|folder| folder.label == *label));
                for folder in &status.folders {
                    if is_news(said.get(&folder.label), folder, now) {
                        (self.tell)(terminal, &format!("{}\n", render::phase(folder, now)))?;
                        if let Some(hint) =
                            folder.trouble.as_ref().map(|trouble| &trouble.hint).filter(|hint| !hint.is_empty())
                        {
                            (self.tell)(terminal, &format!("hint: {}\n", render::plain(hint)))?;
                        }
                        let trouble = folder.trouble.as_ref().map(|trouble| trouble.message.clone());
                        said.insert(folder.label.clone(), Said { state: folder.state, trouble, at: now });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Takes away what is drawn.
impl Drop for LiveView {
    fn drop(&mut self) {
        if let Kind::Drawn(lines) = &self.kind {
            lines.finish_and_clear();
        }
    }
}

/// Lines that are nothing but their message.
#[expect(clippy::expect_used, reason = "the template is a constant, and a test draws with it")]
fn drawn_on(target: ProgressDrawTarget) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("a template");
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn is_news(said: Option<&Said>, folder: &Folder, now: UnixMillis) -> bool {
    let Some(said) = said else { return true };
    let trouble = folder.trouble.as_ref().map(|trouble| trouble.message.as_str());
    said.state != folder.state
        || said.trouble.as_deref() != trouble
        || (folder.state.is_working() && now.saturating_sub(said.at) >= LINE_EVERY)
}

/// Shows the status until it is `done`, or for as long as `within`; then whether it is.
pub(crate) async fn watch(
    watched: &mut Watched,
    view: &mut LiveView,
    terminal: &mut Terminal,
    within: Option<Duration>,
    done: impl Fn(&Status) -> bool,
) -> Result<bool, CliError> {
    let ended = async {
        match within {
            Some(within) => tokio::time::sleep(within).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(ended);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        view.show(watched.status(), terminal)?;
        if done(watched.status()) {
            return Ok(true);
        }
        tokio::select! {
            changed = watched.changed() => changed?,
            _ = tick.tick() => {}
            () = &mut ended => return Ok(false),
        }
    }
}

/// Shows what the daemon at a socket does, for as long as it runs: for `hcfs up`, which ends by itself.
///
/// # Errors
/// The daemon cannot be reached, or went away.
pub async fn show_live(socket: &Path, terminal: &mut Terminal, quiet: bool) -> Result<(), CliError> {
    let mut watched = Watched::new(&Client::new(socket)).await?;
    let mut view = LiveView::new(terminal, quiet, false);
    watch(&mut watched, &mut view, terminal, None, |_| false).await?;
    Ok(())
}

/// Lines drawn in place on stderr, gone with this.
pub(crate) struct Lines(ProgressBar);

impl Lines {
    pub(crate) fn drawn() -> Self {
        Self(drawn_on(ProgressDrawTarget::stderr()))
    }

    #[expect(clippy::needless_pass_by_value, reason = "lines are made to be shown once")]
    pub(crate) fn show(&self, lines: Vec<String>) {
        self.0.set_message(lines.join("\n"));
        self.0.tick();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar for one file that is fetched: its size may become known on the way.
pub struct FetchBar(ProgressBar);

impl FetchBar {
    /// A bar on stderr, if somebody watches.
    #[must_use]
    pub fn new(terminal: &Terminal, quiet: bool, name: &str) -> Self {
        Self(copy_bar(terminal, quiet, name, 0))
    }

    /// So many bytes are there, of so many where that is known.
    pub fn show(&self, done: u64, size: Option<u64>) {
        self.0.set_length(size.unwrap_or(done));
        self.0.set_position(done);
    }

    /// Takes it away.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A bar for one file that is copied through this process.
pub(crate) fn copy_bar(terminal: &Terminal, quiet: bool, name: &str, size: u64) -> ProgressBar {
    if quiet || !terminal.is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    bar.with_style(copy_style()).with_message(render::plain(name).into_owned())
}

#[expect(clippy::expect_used, reason = "the template is a constant, and a test draws with it")]
fn copy_style() -> ProgressStyle {
    ProgressStyle::with_template("{percent:>3} % {binary_bytes_per_sec} {eta} {wide_msg}").expect("a template")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::samples;

    #[test]
    fn without_a_terminal_changes_are_told_and_work_every_half_minute() {
        let (mut terminal, screen) = Terminal::scripted();
        let mut view = LiveView::new(&terminal, false, false);
        let mut told = |status: &Status, now: UnixMillis| {
            screen.set_now(now);
            view.show(status, &mut terminal).unwrap();
            screen.take_err()
        };
        let only_first = |mut status: Status| {
            status.folders.truncate(1);
            status
        };
        let (idle, syncing) = (only_first(samples::idle()), only_first(samples::syncing()));
        assert_eq!(told(&idle, 0).lines().count(), 1);
        assert_eq!(told(&idle, 100_000), "", "an idle folder has no news");
        let first = told(&syncing, 100_000);
        assert!(first.starts_with("documents: syncing, ") && first.lines().count() == 1, "{first:?}");
        assert_eq!(told(&syncing, 129_999), "");
        assert_eq!(told(&syncing, 130_000).lines().count(), 1);
        assert_eq!(told(&samples::no_folders(), 130_000), "");
        assert_eq!(told(&syncing, 130_001).lines().count(), 1, "a folder that came back is news");
        assert_eq!(screen.take_out(), "");
    }

    #[test]
    fn trouble_is_told_once_with_what_to_do() {
        let (mut terminal, screen) = Terminal::scripted();
        let mut view = LiveView::new(&terminal, false, false);
        view.show(&samples::offline(), &mut terminal).unwrap();
        let told = screen.take_err();
        assert!(told.lines().any(|line| line.starts_with("hint: ")), "{told}");
        view.show(&samples::offline(), &mut terminal).unwrap();
        assert_eq!(screen.take_err(), "");
    }

    #[test]
    fn drawn_lines_follow_the_status() {
        let (mut terminal, screen) = Terminal::scripted();
        let lines = drawn_on(ProgressDrawTarget::hidden());
        let mut view = LiveView { kind: Kind::Drawn(lines.clone()), tell: Terminal::out };
        view.show(&samples::syncing(), &mut terminal).unwrap();
        assert_eq!(lines.message(), render::live(&samples::syncing(), 0, Look::default()).join("\n"));
        view.show(&samples::no_folders(), &mut terminal).unwrap();
        assert_eq!(lines.message(), "");
        drop(view);
        assert!(lines.is_finished());
        assert_eq!(screen.take_out() + &screen.take_err(), "");
        copy_style();
    }

    #[test]
    fn quiet_shows_nothing() {
        let (mut terminal, screen) = Terminal::scripted();
        LiveView::new(&terminal, true, false).show(&samples::syncing(), &mut terminal).unwrap();
        LiveView::new(&terminal, false, true).show(&samples::syncing(), &mut terminal).unwrap();
        assert_eq!(screen.take_err() + &screen.take_out(), "");
    }
}
