//! The metadata store: everything the server knows but the blobs' bytes.
//!
//! [`MetadataStore`] is what the rest of the server works with; it is the sum of one trait for each concept. There are
//! two stores: [`sqlite`], a file of this server alone, and [`postgres`], shared by any number of servers. All SQL is below
//! this module; it speaks in the model's terms.
//!
//! A new question is a method of the concept's trait ([`Files`], [`Feeds`], [`Folders`], [`Objects`], …),
//! its SQL in `sqlite/` and in `postgres/`, and a case of the contract, which runs over every store. What both stores
//! decide alike (whether a revision may follow another, which renames of a batch go) is a function here, not SQL.
//!
//! Invariants: a change is one transaction, and its answer leaves after the commit; whenever a row
//! stops pointing to an object, that is noted with the same transaction; every change of a folder's files changes its state tag.
//!
//! Deliberately absent: blobs, HTTP, and rules that need neither (sizes, signatures).

mod account;
mod bells;
mod feed;
mod file;
mod folder;
mod login;
pub(crate) mod name;
mod object;
mod postgres;
mod publication;
mod rename;
mod session;
mod sqlite;
mod token;

use std::sync::Arc;

pub use account::AccountRow;
pub(crate) use account::{Accounts, Summary, Usage};
pub(crate) use bells::Bells;
pub(crate) use feed::{Change, Changed, FeedPage, Feeds};
pub(crate) use file::{Committed, FileKey, FileRow, Files, ListedFile, Listing, NewRevision, Removal, StoredRevision};
pub(crate) use folder::{FolderKey, FolderRow, Folders};
pub use login::InvitationRow;
pub(crate) use login::{Admission, Logins, NewLogin};
pub(crate) use name::Names;
pub(crate) use object::{Objects, PlacedBlob, Totals};
pub(crate) use postgres::Postgres;
pub(crate) use publication::Publications;
pub(crate) use rename::{Rename, RenameFailure, RenameOutcome};
pub(crate) use session::{NewSession, SessionId, SessionRefusal, SessionRow, Sessions};
pub(crate) use sqlite::Sqlite;
pub use token::TokenRow;
pub(crate) use token::{NewToken, PresentedToken, Tokens};

/// What keeps the metadata store from answering.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetadataError {
    /// The database refused a statement or a commit.
    #[error("the database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// The database server refused a statement or a commit, or went away.
    #[error("the database failed")]
    Postgres(#[source] Arc<tokio_postgres::Error>),
    /// No connection to the database server could be had in time.
    #[error("the database cannot be reached")]
    Connection(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The database server takes no changes.
    #[error("the database is a standby and takes no changes")]
    ReadOnly,
    /// The database file cannot be made or opened.
    #[error("the file cannot be opened")]
    File(#[source] Arc<std::io::Error>),
    /// The SQLite library is one with a known fault.
    #[error("SQLite {0} can corrupt a database in WAL mode")]
    OldSqlite(&'static str),
    /// The database was written by a newer program.
    #[error("the database has schema version {found}, and this program knows {known}")]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A migration was applied with another text than this program has.
    #[error("migration {0} of the database is not the one this program knows")]
    ForeignMigration(i64),
    /// A value in the database that this program would not have written.
    #[error("the database holds a value that cannot be: {0}")]
    Impossible(&'static str),
    /// An upload session was removed while it was finalized.
    #[error("the upload session was removed")]
    SessionGone,
    /// The thread of the store has ended.
    #[error("the metadata store is closed")]
    Closed,
}

impl MetadataError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Sqlite(_) | Self::File(_) => "check that the disk has room and that the file belongs to this user",
            Self::Postgres(_) | Self::Connection(_) | Self::ReadOnly => {
                "check the address, the password and the certificate of the database server, and its log"
            }
            Self::OldSqlite(_) => "build the program with its own SQLite",
            Self::Newer { .. } | Self::ForeignMigration(_) => "use the newest hcfs that has served this directory",
            Self::Impossible(_) => "the database is damaged; restore it from a backup",
            Self::Closed | Self::SessionGone => "start the server again",
        }
    }
}

impl From<rusqlite::Error> for MetadataError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

pub(crate) type Outcome<T> = Result<T, MetadataError>;

/// A metadata store.
#[async_trait::async_trait]
pub(crate) trait MetadataStore:
    Accounts + Feeds + Files + Folders + Logins + Names + Objects + Publications + Sessions + Tokens
{
    /// Whether it answers and could commit. Writes nothing.
    async fn ping(&self) -> Outcome<()>;
}
