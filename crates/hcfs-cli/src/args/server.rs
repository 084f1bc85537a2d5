//! `hcfs server`: how it serves, and whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hcfs_model::AccountAddress;

/// How a server serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ServeOptions {
    /// The certificate to speak TLS with, as PEM, those that vouch for it included; SIGHUP reads it again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy whose X-Forwarded-For is believed: its address, or a network as 10.0.0.0/8; may be given again
    #[arg(long, value_name = "ADDR")]
    pub trust_proxy: Vec<String>,
    /// Where to show metrics for Prometheus; everybody who reaches the address can read them
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// What clients call this server, as sync.example.org or 192.0.2.1:8080; accounts log in with their key for this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Let every account in that logs in; without it, those that were added, have a token or bring an invitation
    #[arg(long)]
    pub open_registration: bool,
    /// How long the token of a login lasts; by default until it is revoked
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub token_days: Option<u32>,
    /// How many bytes of files an account may have; by default as many as the disk holds
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<u64>,
    /// A file that holds the value of X-Billing-Bypass which lifts the quota of a request
    #[arg(long, value_name = "FILE")]
    pub billing_bypass_file: Option<PathBuf>,
    /// Take an account's address for its token, as the reference client sends it; for trials, on this machine only
    #[arg(long)]
    pub address_tokens: bool,
}

/// `hcfs server account …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AccountCommand {
    /// Make an account known: it may log in with its key. A closed account is opened again
    #[command(after_help = "Example:\n  hcfs server account add 5Grw…")]
    Add(OneAccount),
    /// List the accounts
    #[command(after_help = "Example:\n  hcfs server account list --json")]
    List,
    /// Close an account: its tokens end at once and it gets no new ones; its files stay
    #[command(after_help = "Example:\n  hcfs server account close 5Grw…")]
    Close(OneAccount),
    /// Say how many bytes of files an account may have
    #[command(
        after_help = "Examples:\n  hcfs server account quota 5Grw… 100000000000\n  hcfs server account quota 5Grw…"
    )]
    Quota(AccountQuota),
}

/// An account of the server.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OneAccount {
    /// Its address
    #[arg(value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
}

/// `hcfs server account quota`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AccountQuota {
    /// Its address
    #[arg(value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
    /// The quota; without it, what the server gives everybody
    #[arg(value_name = "BYTES")]
    pub bytes: Option<u64>,
}

/// `hcfs server invitation …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum InvitationCommand {
    /// Make an invitation and print its code, this once: it lets one account in
    #[command(after_help = "Example:\n  hcfs server invitation create --label aunt > code.txt")]
    Create(InvitationCreate),
    /// List the invitations nobody has used
    #[command(after_help = "Example:\n  hcfs server invitation list")]
    List,
    /// Take an invitation back
    #[command(after_help = "Example:\n  hcfs server invitation withdraw 0123456789abcdef")]
    Withdraw(InvitationWithdraw),
}

/// `hcfs server invitation create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InvitationCreate {
    /// Whom it is for, as the list shows it
    #[arg(long, value_name = "NAME", default_value = "")]
    pub label: String,
    /// How long it can be used
    #[arg(long, value_name = "DAYS", default_value = "7", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// `hcfs server invitation withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InvitationWithdraw {
    /// The invitation's id, as the list shows it
    #[arg(value_name = "ID")]
    pub id: String,
}
