//! Commands about the command line itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `hcfs completions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct CompletionsOptions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// `hcfs man`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ManOptions {
    /// Where to put the pages; it is made if it is missing, and pages of the same names are replaced
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
