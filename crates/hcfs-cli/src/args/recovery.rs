//! Commands about what can be had back, and about why a path stands as it does.

use clap::{Args, Subcommand};
use hcfs_model::FolderLabel;

use super::value::label;

/// `hcfs trash`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TrashOptions {
    /// The folder; by default all, or the only one
    #[arg(long, value_name = "LABEL", value_parser = label, global = true)]
    pub label: Option<FolderLabel>,
    /// What to do instead of listing it.
    #[command(subcommand)]
    pub command: Option<TrashCommand>,
}

/// `hcfs trash …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TrashCommand {
    /// List what a cycle replaced or deleted here, the newest first
    #[command(after_help = "Example:\n  hcfs trash list --json")]
    List,
    /// Bring files back; a name that is taken gets a free one beside it
    #[command(after_help = "Examples:\n  hcfs trash restore report.odt\n  hcfs trash restore photos/2026")]
    Restore(RestoredFile),
    /// Remove everything in the trash for good
    #[command(after_help = "Example:\n  hcfs trash empty --label documents --yes")]
    Empty,
}

/// `hcfs trash restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoredFile {
    /// A file, of which the newest version comes back; a directory, of which all files do; or the id of one version
    #[arg(value_name = "PATH|ID")]
    pub what: String,
}

/// `hcfs history` and `hcfs explain`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AskedPath {
    /// The file: its path in the folder, or from the root, starting with /
    #[arg(value_name = "PATH")]
    pub path: String,
    /// The folder; may be left out when there is one only, or the path starts with /
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub label: Option<FolderLabel>,
}
