//! Commands that the program carries out itself, with the daemon's or the server's library.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hcfs_model::{AccountAddress, FolderLabel};

use super::server::{AccountCommand, InvitationCommand, ServeOptions};
use super::service::ServiceCommand;
use super::source::FetchOptions;
use super::storage::{CheckOptions, GcOptions, PublishOptions, StorageOptions};

/// A command that needs no running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LocalCommand {
    /// Do all of it on this machine: make an account if there is none, start a server if none is configured, keep DIR in step
    #[command(after_help = "Example:\n  hcfs up ~/Documents")]
    Up(UpOptions),
    /// Set up an account and a folder; ask for what is missing
    #[command(
        after_help = "Examples:\n  hcfs init --folder ~/Documents --label documents --server https://sync.example.org \
                            --token-file token.txt\n  hcfs init --folder ~/Documents --mnemonic-file words.txt"
    )]
    Init(InitOptions),
    /// Run the background service
    #[command(after_help = "Example:\n  hcfs daemon --config /etc/hcfs/config.toml")]
    Daemon,
    /// Let systemd run the background service: install, look at or remove it
    #[command(
        subcommand,
        after_help = "Examples:\n  hcfs service install\n  hcfs service install --system --user ana\n  hcfs service \
                      status --json"
    )]
    Service(ServiceCommand),
    /// Check everything that can be wrong here, and say how to mend it
    #[command(after_help = "Examples:\n  hcfs doctor\n  hcfs doctor --quiet\n  hcfs doctor --json")]
    Doctor,
    /// Show, export, seal anew or import the account's key
    #[command(subcommand, after_help = "Example:\n  hcfs key show-account")]
    Key(KeyCommand),
    /// Fetch one file from another service to a path or stdout; no daemon is needed
    #[command(after_help = "Examples:\n  hcfs fetch url https://example.org/list.csv\n  hcfs fetch storage_file \
                      file_78901 passport.pdf --base-url https://files.example --credential env:FILES_TOKEN\n  hcfs \
                      fetch url https://example.org/list.csv - | wc -l")]
    Fetch(Box<FetchOptions>),
    /// Run a server, or manage its accounts and tokens
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hcfs server --listen 127.0.0.1:8080 --data /srv/hcfs\n  hcfs server --listen [::]:443 \
                      --tls-cert chain.pem --tls-key key.pem\n  hcfs server token create \
                      --account 5Grw…"
    )]
    Server(ServerOptions),
}

/// `hcfs up [DIR]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UpOptions {
    /// The folder to keep in step; it is made if it is missing. Without it, the folders that are configured
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `hcfs init`. What is absent is asked for, kept as configured, or takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct InitOptions {
    /// A folder to keep in step
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The folder's name, the same on every device; by default the directory's name
    #[arg(long, value_name = "NAME", value_parser = FolderLabel::new, requires = "folder")]
    pub label: Option<FolderLabel>,
    /// The server's address; without it, a server on this machine
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The account on the server; by default the one the recovery phrase gives
    #[arg(long, value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: Option<AccountAddress>,
    /// A file that holds the server's token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A file that holds the 24 words of an account that exists
    #[arg(long, value_name = "FILE")]
    pub mnemonic_file: Option<PathBuf>,
    /// What opens the recovery phrase on this machine: prompt, keyring, keyfile:PATH or credential:NAME
    // Kept as text: the daemon's configuration has the same setting and the one parser of it.
    #[arg(long, value_name = "HOW")]
    pub unlock: Option<String>,
    /// This device's name, as conflict copies show it
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

/// `hcfs key …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Print the account's address
    #[command(after_help = "Example:\n  hcfs key show-account --json")]
    ShowAccount,
    /// Show the 24 words; without a terminal, write them to a file only you can read
    #[command(after_help = "Example:\n  hcfs key export-mnemonic")]
    ExportMnemonic,
    /// Seal the recovery phrase on this machine with another password
    #[command(after_help = "Example:\n  hcfs key change-password")]
    ChangePassword,
    /// Take over an account from its 24 words; they are asked for if no file is given
    #[command(after_help = "Example:\n  hcfs key import --mnemonic-file words.txt")]
    Import(KeyImport),
}

/// `hcfs key import`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct KeyImport {
    /// A file that holds the words
    #[arg(long, value_name = "FILE")]
    pub mnemonic_file: Option<PathBuf>,
}

/// `hcfs server`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ServerOptions {
    /// Where to listen; port 0 takes a free one. By default 127.0.0.1 and a free port, or the socket systemd hands over
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The server's files, instead of HCFS_SERVER_DATA or $XDG_DATA_HOME/hcfs/server
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Where it keeps what is not there.
    #[command(flatten)]
    pub storage: StorageOptions,
    /// Print the address the server listens on, once it does
    #[arg(long)]
    pub print_address: bool,
    /// How to serve.
    #[command(flatten)]
    pub serve: Box<ServeOptions>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<ServerCommand>,
}

/// `hcfs server …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ServerCommand {
    /// Make, list or end the tokens clients show
    #[command(subcommand, after_help = "Example:\n  hcfs server token list --account 5Grw…")]
    Token(TokenCommand),
    /// Add, list or close accounts, and say what they may have
    #[command(subcommand, after_help = "Example:\n  hcfs server account list")]
    Account(AccountCommand),
    /// Invite people who have no account here yet
    #[command(subcommand, after_help = "Example:\n  hcfs server invitation create --label aunt")]
    Invitation(InvitationCommand),
    /// Remove what no file needs any more; servers may run meanwhile
    #[command(after_help = "Example:\n  hcfs server gc --data /srv/hcfs")]
    Gc(GcOptions),
    /// Check that every file has its blob, and every blob its file; ends with 1 when a blob is missing or damaged
    #[command(after_help = "Example:\n  hcfs server check --hashes --data /srv/hcfs")]
    Check(CheckOptions),
    /// Let everybody fetch a file's blob, as it is now, by the hash that is printed
    #[command(after_help = "Example:\n  hcfs server publish --account 5Grw… --folder photos alps/1.jpg")]
    Publish(PublishOptions),
    /// End a publication
    #[command(after_help = "Example:\n  hcfs server withdraw --account 5Grw… --folder photos alps/1.jpg")]
    Withdraw(PublishOptions),
    /// Show how much is stored
    #[command(after_help = "Example:\n  hcfs server stats --json")]
    Stats,
}

/// `hcfs server token …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it is shown this once
    #[command(after_help = "Example:\n  hcfs server token create --account 5Grw… --label laptop > token.txt")]
    Create(TokenCreate),
    /// List the tokens of an account; their secrets are not kept and not shown
    #[command(after_help = "Example:\n  hcfs server token list --account 5Grw…")]
    List(TokenList),
    /// End a token
    #[command(after_help = "Example:\n  hcfs server token revoke --account 5Grw… 0123456789abcdef")]
    Revoke(TokenRevoke),
}

/// `hcfs server token create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenCreate {
    /// The account it is for
    #[arg(long, value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
    /// What it is for, as the list shows it
    #[arg(long, value_name = "NAME", default_value = "")]
    pub label: String,
    /// How long it lasts; by default until it is revoked
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
}

/// `hcfs server token list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenList {
    /// The account
    #[arg(long, value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
}

/// `hcfs server token revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenRevoke {
    /// The account
    #[arg(long, value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
    /// The token's id, as the list shows it: not the token itself
    #[arg(value_name = "ID")]
    pub id: String,
}
