//! Where a server keeps what it stores, and the commands that look after it.

use clap::Args;
use hcfs_model::{AccountAddress, FolderLabel};

/// Where a server keeps what is not in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StorageOptions {
    /// Keep metadata in this PostgreSQL database, postgres://USER@HOST/NAME, instead of a file; the password is in PGPASSWORD
    #[arg(long, value_name = "URL", global = true)]
    pub database: Option<String>,
    /// Keep blobs in this bucket, s3://BUCKET/PREFIX?endpoint=URL, instead of files; the keys are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "URL", global = true)]
    pub blobs: Option<String>,
}

/// `hcfs server gc`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GcOptions {
    /// Keep what has been unneeded for a shorter time
    #[arg(long, value_name = "HOURS", default_value_t = 1)]
    pub grace: u32,
}

/// `hcfs server check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckOptions {
    /// Read every blob and compare its hash
    #[arg(long)]
    pub hashes: bool,
}

/// `hcfs server publish` and `withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PublishOptions {
    /// Whose file it is
    #[arg(long, value_name = "SS58", value_parser = AccountAddress::parse)]
    pub account: AccountAddress,
    /// The folder it is in
    #[arg(long, value_name = "LABEL", value_parser = FolderLabel::new)]
    pub folder: FolderLabel,
    /// The file's path in the folder
    #[arg(value_name = "PATH")]
    pub path: String,
}
