//! States, kinds and moments in words, and the small pieces every view is made of.

use hcfs_api::quantity::{count, many};
use hcfs_api::{Folder, FolderMode, FolderState, Hold, SourceState, Status, UnixMillis};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::{Pen, View};

/// How a state looks: the class of its mark. The words stand beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Busy,
    Rest,
    Wants,
    Bad,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Rest => "rest",
            Self::Wants => "wants",
            Self::Bad => "bad",
        }
    }
}

pub(super) fn state(state: FolderState) -> (Tone, &'static str) {
    match state {
        FolderState::Starting => (Tone::Busy, "Starting"),
        FolderState::Locked => (Tone::Rest, "Locked"),
        FolderState::Scanning => (Tone::Busy, "Looking"),
        FolderState::Syncing => (Tone::Busy, "Syncing"),
        FolderState::Idle => (Tone::Good, "In step"),
        FolderState::Attention => (Tone::Wants, "Needs you"),
        FolderState::Paused => (Tone::Rest, "Paused"),
        FolderState::Held => (Tone::Wants, "Waits for your word"),
        FolderState::Halted => (Tone::Bad, "Halted"),
        FolderState::Offline => (Tone::Wants, "Server not reached"),
        FolderState::Unauthorised => (Tone::Bad, "Not authorised"),
        FolderState::OverQuota => (Tone::Bad, "Over quota"),
        FolderState::Error => (Tone::Bad, "Error"),
    }
}

pub(super) fn source_state(state: SourceState) -> (Tone, &'static str) {
    match state {
        SourceState::Waiting => (Tone::Rest, "Waits for its folder"),
        SourceState::Running => (Tone::Busy, "Running"),
        SourceState::Idle => (Tone::Good, "All brought"),
        SourceState::Attention => (Tone::Wants, "Some not brought"),
        SourceState::Failed => (Tone::Bad, "Failed"),
    }
}

pub(super) fn mode(mode: FolderMode) -> &'static str {
    match mode {
        FolderMode::Sync => "both ways",
        FolderMode::SendOnly => "sends only",
        FolderMode::ReceiveOnly => "receives only",
    }
}

/// A state with its mark.
pub(super) fn mark((tone, words): (Tone, &str)) -> Markup {
    html! { span class=(format!("state {}", tone.class())) { span .dot aria-hidden="true" {} (words) } }
}

/// Whether the folder's counts say anything: before it was opened they are all nought.
pub(super) fn is_known(folder: &Folder) -> bool {
    !matches!(folder.state, FolderState::Locked | FolderState::Starting)
}

/// How many things of a folder wait for the user.
pub(super) fn wants(folder: &Folder) -> u64 {
    let counts = &folder.counts;
    let listed = counts.problems + counts.conflicts + counts.holds;
    let (tone, _) = state(folder.state);
    let stands_still = tone == Tone::Bad || (folder.trouble.is_some() && folder.state != FolderState::Locked);
    if listed == 0 { u64::from(stands_still) } else { listed }
}

pub(super) fn all_wants(status: &Status) -> u64 {
    status.folders.iter().map(wants).sum()
}

/// One sentence on all folders, without numbers that change every second.
pub(super) fn said(status: &Status) -> String {
    if status.daemon.locked {
        return "Locked.".to_owned();
    }
    let folders = status.folders.iter().map(|folder| {
        let (_, words) = state(folder.state);
        match wants(folder) {
            0 => format!("{}: {words}.", folder.label),
            wanted => format!("{}: {words}, {} to decide.", folder.label, many(wanted, "thing")),
        }
    });
    folders.collect::<Vec<_>>().join(" ")
}

pub(super) fn conflict_kind(kind: &str) -> &str {
    match kind {
        "both_modified" => "Changed on both sides",
        "both_created" => "Made on both sides",
        "modified_here_deleted_there" => "Changed here, deleted on the server",
        "deleted_here_modified_there" => "Deleted here, changed on the server",
        "file_and_directory" => "A file on one side, a directory on the other",
        other => other,
    }
}

/// What a hold holds back.
pub(super) fn held(hold: &Hold) -> String {
    let files = format!("{} of {}", count(hold.count), many(hold.of, "file"));
    let all = many(hold.count, "file");
    match hold.kind.as_str() {
        "mass_deletion_here" => format!("{files} were deleted here, and are still on the server"),
        "mass_deletion_there" => format!("{files} were deleted on the server, and are still here"),
        "unknown_folder" => format!("The server does not know the folder any more; {all} would be deleted here"),
        "rollback" => format!("{files} are listed in an older version than before"),
        "equivocation" => format!("{files} are listed in another version of the same number than before"),
        "root_missing" => format!("The directory is missing; {all} would be deleted on the server"),
        "root_empty" => format!("The directory is empty; {all} would be deleted on the server"),
        "root_replaced" => {
            format!("Another directory stands there; what it lacks of {all} would be deleted on the server")
        }
        other => format!("{files} would be deleted ({other})"),
    }
}

/// The two answers to a hold: what lets it happen, and what takes it back.
pub(super) fn hold_answers(hold: &Hold) -> (String, String) {
    let files = many(hold.count, "file");
    match hold.kind.as_str() {
        "mass_deletion_here" => (format!("Delete {files} on the server, too"), format!("Bring {files} back here")),
        "mass_deletion_there" => (format!("Delete {files} here, too"), format!("Bring {files} back to the server")),
        "unknown_folder" => (format!("Delete {files} here"), format!("Send {files} to the server again")),
        "rollback" | "equivocation" => {
            (format!("Take {files} as the server lists them"), "Keep the versions that are here".to_owned())
        }
        "root_replaced" => ("Take the directory as it is".to_owned(), "Bring back what it lacks".to_owned()),
        _ => (format!("Delete {files} on the server"), format!("Bring {files} back here")),
    }
}

/// A name from outside: its direction stays its own.
pub(super) fn name(text: &str) -> Markup {
    html! { bdi { (text) } }
}

impl Pen<'_> {
    /// A moment on the clock of this machine.
    pub(super) fn moment(&self, at: UnixMillis) -> Markup {
        moment(at, self.zone)
    }

    /// What every form carries.
    pub(super) fn hidden(&self, act: &str) -> Markup {
        html! {
            input type="hidden" name="token" value=(self.token);
            input type="hidden" name="back" value=(self.back);
            input type="hidden" name="do" value=(act);
        }
    }

    /// A button that acts on a folder.
    pub(super) fn folder_button(&self, act: &str, label: &str, words: &str) -> Markup {
        html! {
            form method="post" action="act" {
                (self.hidden(act))
                input type="hidden" name="folder" value=(label);
                button { (words) span .unseen { " “" (name(label)) "”" } }
            }
        }
    }

    /// Pause or resume, and look now: what fits the folder's state.
    pub(super) fn folder_actions(&self, folder: &Folder) -> Markup {
        let label = &folder.label;
        html! {
            div .actions {
                @match folder.state {
                    FolderState::Locked => {},
                    FolderState::Paused => (self.folder_button("resume", label, "Resume")),
                    _ => {
                        (self.folder_button("look", label, "Look now"))
                        (self.folder_button("pause", label, "Pause"))
                    }
                }
            }
        }
    }
}

pub(super) fn moment(at: UnixMillis, zone: &TimeZone) -> Markup {
    let Ok(time) = Timestamp::from_millisecond(at) else { return html! { "unknown" } };
    let local = time.to_zoned(zone.clone());
    html! {
        time datetime=(time.to_string()) title=(local.strftime("%A, %e %B %Y, %H:%M:%S %Z").to_string()) {
            (local.strftime("%Y-%m-%d %H:%M").to_string())
        }
    }
}

/// A link to a view.
pub(super) fn link(view: &View, words: impl maud::Render) -> Markup {
    let href = view.href();
    // An empty reference is the document itself, with its query.
    let href = if href.is_empty() { "./" } else { &href };
    html! { a href=(href) { (words) } }
}
