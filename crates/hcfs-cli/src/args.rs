//! What the user asked for: the arguments, read and checked.
//!
//! Invariants: no option takes a secret; every label, path, address and range is valid once it is read. Deliberately
//! absent: whether the object named exists, which only the daemon knows.

mod about;
mod local;
mod recovery;
mod server;
mod service;
mod socket;
mod source;
mod storage;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use hcfs_api::{ExitCode, Paths, PathsError};

pub use about::{CompletionsOptions, ManOptions};
pub use local::{
    InitOptions, KeyCommand, KeyImport, LocalCommand, ServerCommand, ServerOptions, TokenCommand, TokenCreate,
    TokenList, TokenRevoke, UpOptions,
};
pub use recovery::{AskedPath, RestoredFile, TrashCommand, TrashOptions};
pub use server::{
    AccountCommand, AccountQuota, InvitationCommand, InvitationCreate, InvitationWithdraw, OneAccount, ServeOptions,
};
pub use service::{ServiceCommand, ServiceScope};
pub use socket::{
    AddedFolder, AnsweredHold, CatOptions, ConflictCommand, ConflictsOptions, FolderCommand, GetOptions, HoldCommand,
    HoldsOptions, Labels, LogOptions, LsOptions, MvOptions, ProblemsOptions, PutOptions, ResolvedConflict, RmOptions,
    ScannedFolders, SearchOptions, SocketCommand, StatusOptions, SyncOptions, UiOptions, WaitOptions,
};
pub use source::{AddedSource, FetchOptions, NamedSource, RanSource, ServiceOptions, SourceCommand};
pub use storage::{CheckOptions, GcOptions, PublishOptions, StorageOptions};
pub use value::ByteRange;

use crate::error::CliError;
use crate::terminal::Terminal;

/// Keeps a folder in step with an end-to-end encrypted store.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "hcfs",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Example:\n  hcfs up ~/Documents\n\nExit codes: 0 done, 1 failed, 2 wrong use, 3 not idle, 4 daemon not \
                  reachable, 5 not authorised, 6 locked, 7 held by another instance, 77 permission missing, 78 \
                  configuration wrong, 130 interrupted."
)]
pub struct Invocation {
    /// What every command takes.
    #[command(flatten)]
    pub options: GlobalOptions,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalOptions {
    /// Print JSON: one object, or one a line where there is no end
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors and what was asked for, and nothing else
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Answer every question with yes
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// The configuration, instead of HCFS_CONFIG or $XDG_CONFIG_HOME/hcfs/config.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The state directory, instead of HCFS_STATE_DIR or $XDG_STATE_HOME/hcfs
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// The daemon's socket, instead of HCFS_SOCKET or $XDG_RUNTIME_DIR/hcfs/hcfs.sock
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
}

impl GlobalOptions {
    /// Where the program's files are: these options first, then the environment. A relative path given as an option is
    /// taken from the working directory.
    ///
    /// # Errors
    /// A place that is not known, or cannot be used.
    pub fn paths(&self, env: &impl Fn(&str) -> Option<OsString>) -> Result<Paths, PathsError> {
        Paths::from_env(&|name| self.variable(name, env))
    }

    /// A variable of the environment, or the option that comes before it.
    #[must_use]
    pub fn variable(&self, name: &str, env: &impl Fn(&str) -> Option<OsString>) -> Option<OsString> {
        let option = match name {
            "HCFS_CONFIG" => &self.config,
            "HCFS_STATE_DIR" => &self.state_dir,
            "HCFS_SOCKET" => &self.socket,
            _ => &None,
        };
        match option {
            // Only an empty path has no absolute form; it is then refused as what it is.
            Some(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()).into()),
            None => env(name),
        }
    }
}

/// A command, by who carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Carried out in this process, by the daemon's or the server's library.
    #[command(flatten)]
    Local(LocalCommand),
    /// Carried out by the running daemon, through its socket: [`crate::run_socket`].
    #[command(flatten)]
    Socket(SocketCommand),
    /// Print the script that lets a shell complete commands and options
    #[command(after_help = "Examples:\n  hcfs completions bash > ~/.local/share/bash-completion/completions/hcfs\n  \
                            hcfs completions fish > ~/.config/fish/completions/hcfs.fish")]
    Completions(CompletionsOptions),
    /// Write the manual pages into a directory, one for each command
    #[command(after_help = "Example:\n  hcfs man ~/.local/share/man/man1")]
    Man(ManOptions),
    /// Print the program's version
    #[command(after_help = "Example:\n  hcfs version --json")]
    Version,
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// There is nothing to carry out: help was asked for, or the arguments are wrong.
pub fn parse<I, T>(args: I) -> Result<Invocation, Stop>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    Invocation::try_parse_from(&args).map_err(|error| {
        let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
        Stop { error, json }
    })
}

/// Why there is nothing to carry out.
#[derive(Debug)]
pub struct Stop {
    error: clap::Error,
    json: bool,
}

impl Stop {
    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        if self.error.use_stderr() { ExitCode::Usage } else { ExitCode::Done }
    }

    /// Prints the help to stdout, or what is wrong to stderr, and says how the program ends.
    pub fn print(&self, terminal: &mut Terminal) -> ExitCode {
        if self.json && self.error.use_stderr() {
            CliError::usage(self.message(), "see `hcfs --help`").report(terminal, true);
        } else {
            let text = self.error.render();
            let color = if self.error.use_stderr() { terminal.err_color() } else { terminal.look().color };
            let text = if color { text.ansi().to_string() } else { text.to_string() };
            if self.error.use_stderr() {
                terminal.err(&text);
            } else {
                // A reader that goes away is no failure of a help text.
                let _ = terminal.out(&text);
            }
        }
        self.exit()
    }

    /// The first sentence, without the mark in front.
    fn message(&self) -> String {
        let text = self.error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).trim().to_owned()
    }
}
