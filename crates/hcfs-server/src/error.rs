//! Why a server does not start, or its data directory cannot be used.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hcfs_model::{AccountAddress, FileId};

use crate::blobs::WriteError;
use crate::collect::CollectError;
use crate::metadata::MetadataError;
use crate::tls::TlsError;
use crate::{Storage, place};

/// Why a server does not start or stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file or directory of the data directory cannot be made, read or written.
    #[error("cannot use \"{}\"", path.display())]
    Data {
        /// What was to be used.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another server has the data directory.
    #[error("the data directory \"{}\" is in use by another server", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The database cannot be opened, or is not one of ours.
    #[error("cannot use the database {name}")]
    Database {
        /// The database file, or the database server.
        name: String,
        /// What is wrong with it.
        source: MetadataError,
    },
    /// The blobs cannot be reached, read or written.
    #[error("cannot use the blobs {name}")]
    Blobs {
        /// The directory or the bucket.
        name: String,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot speak TLS")]
    Tls(#[source] TlsError),
    /// A URL of the configuration cannot be used.
    #[error("the URL of the {what} cannot be used: {reason}")]
    Url {
        /// What it is the URL of.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
    /// Requests were still running when the time of a shutdown was over.
    #[error("requests were cut off at the end of the time for shutting down")]
    Cut,
    /// The server does not know this account.
    #[error("there is no account {account}")]
    NoSuchAccount {
        /// The account asked for.
        account: AccountAddress,
    },
    /// The folder has no such file.
    #[error("the folder has no file {file}")]
    NoSuchFile {
        /// The file asked for.
        file: FileId,
    },
    /// Nobody published this file.
    #[error("the file {file} is not published")]
    NotPublished {
        /// The file asked for.
        file: FileId,
    },
    /// No invitation has this id.
    #[error("there is no invitation {id}")]
    NoSuchInvitation {
        /// The id asked for.
        id: String,
    },
    /// Addresses were to be taken for tokens where other machines can reach the server.
    #[error("addresses are no secrets: {address} can be reached by other machines")]
    OpenToAll {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// No token has this id.
    #[error("there is no token {id} for this account")]
    NoSuchToken {
        /// The id asked for.
        id: String,
    },
}

impl ServerError {
    /// The failure of a storage's database.
    pub(crate) fn database(storage: &Storage, source: MetadataError) -> Self {
        let name = match &storage.database {
            Some(config) => format!("\"{}\" of the database server", config.get_dbname().unwrap_or_default()),
            None => format!("\"{}\"", place::database(&storage.data).display()),
        };
        Self::Database { name, source }
    }

    /// The failure of a storage's blobs.
    pub(crate) fn blobs(storage: &Storage, source: WriteError) -> Self {
        let name = match &storage.bucket {
            Some(bucket) => format!("of the bucket \"{}\"", bucket.bucket),
            None => format!("in \"{}\"", place::blobs(&storage.data).display()),
        };
        Self::Blobs { name, source: Box::new(source) }
    }

    /// The failure of work on a storage.
    pub(crate) fn storage(storage: &Storage, source: CollectError) -> Self {
        match source {
            CollectError::Metadata(source) => Self::database(storage, source),
            CollectError::Blobs(source) => Self::blobs(storage, source),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Blobs { .. } => "check that the store can be reached with these credentials, and that it has room",
            Self::Url { .. } => "give --database postgres://USER@HOST/NAME, --blobs s3://BUCKET/PREFIX?endpoint=URL",
            Self::Data { .. } => {
                "check that the directory exists, that its disk has room, and that you may write to it"
            }
            Self::InUse { .. } => "stop the other server, or choose another directory with --data",
            Self::Database { source, .. } => source.hint(),
            Self::Tls(_) => "both files are PEM; the certificate's own comes first, and the key is the certificate's",
            Self::Listen { .. } => "choose another address with --listen; another program may hold this one",
            Self::Random => "this machine's random number source is not working; restart it",
            Self::Cut => "clients try again by themselves; what was answered is stored",
            Self::NoSuchAccount { .. } => "see the accounts with: hcfs server account list",
            Self::NoSuchFile { .. } => "give the folder's label and the file's path in it, as its owner knows them",
            Self::NotPublished { .. } => "a publication ends with the file's next content",
            Self::NoSuchInvitation { .. } => "see the invitations with: hcfs server invitation list",
            Self::OpenToAll { .. } => "take addresses for tokens only with --listen 127.0.0.1:PORT",
            Self::NoSuchToken { .. } => "see the ids with: hcfs server token list",
        }
    }
}
