//! What can go wrong with a folder's state.

use std::path::{Path, PathBuf};

use hcfs_model::RelPath;
use rusqlite::ErrorCode;

/// Why a call on the state failed. Nothing of a failed call is kept: its transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process, or another store of this one, holds the database.
    #[error("the state is held by {}", pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Held {
        /// Who holds it, where the lock file says so.
        pid: Option<u32>,
    },
    /// A newer program wrote the database; it is left untouched.
    #[error("the state has version {found}, and this program knows versions up to {known}")]
    Newer {
        /// The database's version.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The database belongs to another account or folder; it is left untouched.
    #[error("the state belongs to account {account} and folder {folder}")]
    OtherIdentity {
        /// The account it was made for.
        account: String,
        /// The folder hash it was made for.
        folder: String,
    },
    /// The SQLite library is one that can damage a database in WAL mode (3.7.0 to 3.51.2).
    #[error("SQLite {version} is too old, 3.51.3 is needed")]
    SqliteTooOld {
        /// The version of the library in use.
        version: String,
    },
    /// No space is left on the file system of the state.
    #[error("no space is left for the state")]
    Full,
    /// The state may not be written.
    #[error("the state is read-only")]
    ReadOnly,
    /// The database is damaged.
    #[error("the state is damaged: {what}")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// The database is well formed and contradicts itself.
    #[error("the state contradicts itself: {0}")]
    Inconsistent(#[from] Inconsistent),
    /// A number too large to be kept: above 2^63 − 1.
    #[error("the {what} of {path:?} is {value}, which is too large")]
    OutOfRange {
        /// The file.
        path: RelPath,
        /// Which number.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A file of the state could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused for another reason.
    #[error("the state database refused: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// The trees disagree, or the revision is suspect, and no mark says so.
    #[error("{0:?} differs and is not marked")]
    Unmarked(RelPath),
    /// A mark without a difference.
    #[error("{0:?} is marked and does not differ")]
    StaleMark(RelPath),
    /// A listed or agreed version without a living revision mark, or a listed one above it.
    #[error("{0:?} has a revision that its mark does not cover")]
    AboveMark(RelPath),
    /// The kept totals are not those of the rows.
    #[error("the totals of the {0} tree are not those of its rows")]
    Totals(&'static str),
}

impl StateError {
    /// Whether the database itself is bad: [`crate::Store::rebuild`] is the way on.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Inconsistent(_))
    }

    /// What a user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { .. } => Some("stop the other instance first"),
            Self::Newer { .. } => Some("use the program that wrote it, or a newer one"),
            Self::OtherIdentity { .. } => Some("use another state directory for this account and folder"),
            Self::SqliteTooOld { .. } => Some("build the program with its bundled SQLite"),
            Self::Full => Some("free some space where the state is kept"),
            Self::ReadOnly => Some("make the state directory writable for this user"),
            Self::Corrupt { .. } | Self::Inconsistent(_) => {
                Some("the state is rebuilt by reading the folder and the server again")
            }
            Self::OutOfRange { .. } | Self::File { .. } | Self::Sqlite(_) => None,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::File { path: path.to_owned(), source },
        }
    }
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::corrupt(error.to_string()),
                ErrorCode::DiskFull => Self::Full,
                ErrorCode::ReadOnly => Self::ReadOnly,
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Held { pid: None },
                _ => Self::Sqlite(error),
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::corrupt(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn of_a_file(kind: ErrorKind) -> StateError {
        StateError::file(Path::new("state.db"), kind.into())
    }

    #[test]
    fn what_the_disk_says_is_told_apart() {
        assert!(matches!(of_a_file(ErrorKind::StorageFull), StateError::Full));
        assert!(matches!(of_a_file(ErrorKind::QuotaExceeded), StateError::Full));
        assert!(matches!(of_a_file(ErrorKind::ReadOnlyFilesystem), StateError::ReadOnly));
        assert!(matches!(of_a_file(ErrorKind::PermissionDenied), StateError::File { .. }));
    }

    #[test]
    fn what_a_user_can_do_is_said_for_each_cause_and_for_no_other() {
        let (account, folder) = (String::new(), String::new());
        let causes = [
            StateError::Held { pid: None },
            StateError::Newer { found: 3, known: 2 },
            StateError::OtherIdentity { account, folder },
            StateError::SqliteTooOld { version: String::new() },
            StateError::Full,
            StateError::ReadOnly,
            StateError::corrupt("found"),
        ];
        let mut hints: Vec<_> = causes.iter().filter_map(StateError::hint).filter(|hint| hint.len() > 20).collect();
        hints.dedup();
        assert_eq!(hints.len(), causes.len(), "{hints:?}");
        assert_eq!(of_a_file(ErrorKind::PermissionDenied).hint(), None);
    }
}
