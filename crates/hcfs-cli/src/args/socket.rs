//! Commands that the running daemon carries out.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hcfs_api::{FolderMode, Resolution};
use hcfs_model::{FolderLabel, RelPath};

use super::recovery::{AskedPath, TrashOptions};
use super::source::SourceCommand;
use super::value::{ByteRange, label, mode, remote_directory, remote_path, resolution, seconds};

/// A command for the running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SocketCommand {
    /// Bring folders in step now and wait until they are
    #[command(after_help = "Examples:\n  hcfs sync\n  hcfs sync documents --dry-run\n  hcfs sync --timeout 60")]
    Sync(SyncOptions),
    /// Show the state of the daemon, the server and every folder
    #[command(after_help = "Examples:\n  hcfs status --watch\n  hcfs status --json")]
    Status(StatusOptions),
    /// Wait until every folder is idle
    #[command(after_help = "Example:\n  hcfs wait --timeout 60 && echo in step")]
    Wait(WaitOptions),
    /// Add, list, remove, pause, resume or scan folders
    #[command(subcommand, after_help = "Example:\n  hcfs folder list")]
    Folder(FolderCommand),
    /// Bring files from other services into folders
    #[command(subcommand, after_help = "Example:\n  hcfs source list")]
    Source(SourceCommand),
    /// List files that changed on both sides, or resolve one
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hcfs conflicts\n  hcfs conflicts resolve report.odt keep-both"
    )]
    Conflicts(ConflictsOptions),
    /// List what is not in step, why, and what to do
    #[command(after_help = "Example:\n  hcfs problems --label documents")]
    Problems(ProblemsOptions),
    /// List what waits for a yes, such as many deletions at once, or answer it
    #[command(args_conflicts_with_subcommands = true, after_help = "Examples:\n  hcfs holds\n  hcfs holds restore 3")]
    Holds(HoldsOptions),
    /// List, bring back or remove what a cycle replaced or deleted here
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hcfs trash list\n  hcfs trash restore report.odt"
    )]
    Trash(TrashOptions),
    /// List the versions of a file that can be had on this device
    #[command(after_help = "Example:\n  hcfs history report.odt")]
    History(AskedPath),
    /// Say how a file stands, why, and what each side knows of it
    #[command(after_help = "Examples:\n  hcfs explain report.odt\n  hcfs explain ~/Documents/report.odt --json")]
    Explain(AskedPath),
    /// Print what happened, the oldest first
    #[command(after_help = "Examples:\n  hcfs log\n  hcfs log --follow --json")]
    Log(LogOptions),
    /// List files on the server
    #[command(after_help = "Example:\n  hcfs ls letters/2026")]
    Ls(LsOptions),
    /// Find files on the server by a part of their path
    #[command(after_help = "Examples:\n  hcfs search report\n  hcfs search .jpg --label photos --json")]
    Search(SearchOptions),
    /// Copy a file from the server
    #[command(after_help = "Examples:\n  hcfs get letters/a.txt\n  hcfs get disk.img head.bin --range 0-511")]
    Get(GetOptions),
    /// Print a file of the server to stdout
    #[command(after_help = "Example:\n  hcfs cat letters/a.txt | wc -w")]
    Cat(CatOptions),
    /// Copy a file to the server
    #[command(after_help = "Example:\n  hcfs put a.txt letters/a.txt")]
    Put(PutOptions),
    /// Delete files on the server
    #[command(after_help = "Example:\n  hcfs rm letters/a.txt letters/b.txt")]
    Rm(RmOptions),
    /// Rename a file on the server
    #[command(after_help = "Example:\n  hcfs mv letters/a.txt archive/a.txt")]
    Mv(MvOptions),
    /// Open the page of this machine's daemon in a browser, through a link that works once
    #[command(after_help = "Examples:\n  hcfs ui\n  hcfs ui --print")]
    Ui(UiOptions),
    /// Give a locked daemon the password of the recovery phrase; it is asked for, or read from stdin
    #[command(after_help = "Example:\n  hcfs unlock")]
    Unlock,
}

impl SocketCommand {
    /// Whether the command makes sense when no daemon runs: then the program runs one for as long as the command takes.
    #[must_use]
    pub fn brings_its_own_daemon(&self) -> bool {
        matches!(self, Self::Sync(_))
    }
}

/// `hcfs ui`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UiOptions {
    /// Print the link, and open no browser
    #[arg(long)]
    pub print: bool,
}

/// `hcfs sync`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct SyncOptions {
    /// The folders; by default all
    #[arg(value_name = "LABEL", value_parser = label)]
    pub labels: Vec<FolderLabel>,
    /// Print what would be done, and change nothing
    #[arg(long, conflicts_with = "timeout")]
    pub dry_run: bool,
    /// Give up waiting after so many seconds; the daemon goes on
    #[arg(long, value_name = "S", value_parser = seconds())]
    pub timeout: Option<u64>,
}

/// `hcfs status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StatusOptions {
    /// Go on showing it until interrupted
    #[arg(long)]
    pub watch: bool,
}

/// `hcfs wait`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct WaitOptions {
    /// Give up after so many seconds
    #[arg(long, value_name = "S", value_parser = seconds())]
    pub timeout: Option<u64>,
}

/// `hcfs folder …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum FolderCommand {
    /// Keep one more directory in step
    #[command(after_help = "Example:\n  hcfs folder add photos ~/Pictures --ignore '*.tmp'")]
    Add(AddedFolder),
    /// List the folders
    #[command(after_help = "Example:\n  hcfs folder list --json")]
    List,
    /// Stop keeping folders in step; the files stay on both sides
    #[command(after_help = "Example:\n  hcfs folder remove photos")]
    Remove(Labels),
    /// Stop moving changes until resumed
    #[command(after_help = "Example:\n  hcfs folder pause photos")]
    Pause(Labels),
    /// Go on after a pause
    #[command(after_help = "Example:\n  hcfs folder resume photos")]
    Resume(Labels),
    /// Look at the disk and the server now
    #[command(after_help = "Example:\n  hcfs folder scan photos --full")]
    Scan(ScannedFolders),
}

/// Folders by label.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Labels {
    /// The folders
    #[arg(value_name = "LABEL", value_parser = label, required = true)]
    pub labels: Vec<FolderLabel>,
}

/// `hcfs folder add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AddedFolder {
    /// Its name, the same on every device
    #[arg(value_name = "LABEL", value_parser = label)]
    pub label: FolderLabel,
    /// The directory; it must exist
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Which directions changes take
    #[arg(long, value_name = "MODE", default_value = "sync", value_parser = mode())]
    pub mode: FolderMode,
    /// A gitignore pattern of files to leave out; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub ignore: Vec<String>,
}

/// `hcfs folder scan`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ScannedFolders {
    /// The folders
    #[arg(value_name = "LABEL", value_parser = label, required = true)]
    pub labels: Vec<FolderLabel>,
    /// Read every file again, also those that look unchanged
    #[arg(long)]
    pub full: bool,
}

/// `hcfs conflicts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ConflictsOptions {
    /// The folder; by default all
    #[arg(long, value_name = "LABEL", value_parser = label, global = true)]
    pub label: Option<FolderLabel>,
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub command: Option<ConflictCommand>,
}

/// `hcfs conflicts …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConflictCommand {
    /// Say what becomes of a conflict
    #[command(after_help = "Example:\n  hcfs conflicts resolve report.odt keep-local")]
    Resolve(ResolvedConflict),
}

/// `hcfs conflicts resolve`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ResolvedConflict {
    /// The file, or its conflict copy
    #[arg(value_name = "PATH", value_parser = remote_path)]
    pub path: RelPath,
    /// keep-local: this device's version takes the name; accept-remote: the server's does, and the one here goes to the
    /// trash; keep-both: both stay, under two names; skip: neither is touched
    #[arg(value_name = "RESOLUTION", value_parser = resolution(), hide_possible_values = true)]
    pub resolution: Resolution,
}

/// `hcfs problems`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ProblemsOptions {
    /// The folder; by default all
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs holds`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct HoldsOptions {
    /// The folder; by default all, or the only one
    #[arg(long, value_name = "LABEL", value_parser = label, global = true)]
    pub label: Option<FolderLabel>,
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub command: Option<HoldCommand>,
}

/// `hcfs holds …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum HoldCommand {
    /// Let what is held happen
    #[command(after_help = "Example:\n  hcfs holds accept 3")]
    Accept(AnsweredHold),
    /// Bring the files back on the side that lost them
    #[command(after_help = "Example:\n  hcfs holds restore 3")]
    Restore(AnsweredHold),
}

/// `hcfs holds accept|restore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct AnsweredHold {
    /// Its number, as `hcfs holds` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
}

/// `hcfs log`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LogOptions {
    /// Print what happens from now on, until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// The folder; by default all
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs ls`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LsOptions {
    /// A directory on the server; by default the whole folder
    #[arg(value_name = "PATH", value_parser = remote_directory)]
    pub path: Option<RelPath>,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs search`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SearchOptions {
    /// A part of the path, in any case
    #[arg(value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub text: String,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs get`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GetOptions {
    /// The file on the server
    #[arg(value_name = "REMOTE", value_parser = remote_path)]
    pub remote: RelPath,
    /// Where to put it: a name or a directory; by default its name, here
    #[arg(value_name = "LOCAL")]
    pub local: Option<PathBuf>,
    /// A part only: A-B (both included), A- or -N, in bytes
    #[arg(long, value_name = "RANGE", value_parser = ByteRange::parse, allow_hyphen_values = true)]
    pub range: Option<ByteRange>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs cat`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CatOptions {
    /// The file on the server
    #[arg(value_name = "REMOTE", value_parser = remote_path)]
    pub remote: RelPath,
    /// A part only: A-B (both included), A- or -N, in bytes
    #[arg(long, value_name = "RANGE", value_parser = ByteRange::parse, allow_hyphen_values = true)]
    pub range: Option<ByteRange>,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs put`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PutOptions {
    /// The file here
    #[arg(value_name = "LOCAL")]
    pub local: PathBuf,
    /// Its name on the server
    #[arg(value_name = "REMOTE", value_parser = remote_path)]
    pub remote: RelPath,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs rm`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RmOptions {
    /// The files on the server
    #[arg(value_name = "PATH", value_parser = remote_path, required = true)]
    pub paths: Vec<RelPath>,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}

/// `hcfs mv`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct MvOptions {
    /// The file on the server
    #[arg(value_name = "FROM", value_parser = remote_path)]
    pub from: RelPath,
    /// Its new name
    #[arg(value_name = "TO", value_parser = remote_path)]
    pub to: RelPath,
    /// The folder; may be left out when there is one only
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}
