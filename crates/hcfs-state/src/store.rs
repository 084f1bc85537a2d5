//! Opening a folder's database, and what it takes to trust it.

use std::path::{Path, PathBuf};

use hcfs_model::{AccountAddress, FolderHash};

use crate::database::{self, Attached};
use crate::place::{Held, OnDisk, Place};
use crate::{StateError, check, schema};

/// The state of one folder.
///
/// Calls are synchronous; the value may move between threads and is used by one at a time.
pub struct Store {
    // Before the place: the database is closed while that is still held.
    pub(crate) connection: Held,
    place: Box<dyn Place>,
    identity: Identity,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Whose state a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountAddress,
    /// The folder on the server.
    pub folder: FolderHash,
}

/// An opened state.
#[derive(Debug)]
pub struct Opened {
    /// The state.
    pub store: Store,
    /// How it came to be.
    pub outcome: Outcome,
}

/// How an opened state came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    Fresh,
    /// It was there and passed its checks.
    Existing,
    /// It was there and damaged: it was moved aside, and this is a fresh one.
    Rebuilt {
        /// Where the damaged database now is, with its log beside it.
        moved_to: PathBuf,
        /// What was wrong with it; it may name a file.
        reason: String,
    },
}

impl Store {
    /// Opens or makes the database at `path`; its directory must exist.
    ///
    /// A database that was closed properly is trusted after cheap checks (its header, migrations, identity and marks).
    /// One that was not, as its log tells, is read whole: `PRAGMA quick_check` and [`Self::check_all`]. Damage found
    /// later is an error for which [`StateError::is_damage`] holds; then [`Self::rebuild`] is the way on.
    ///
    /// While it is open no other program can read the database.
    ///
    /// # Errors
    /// Held by another process, newer, of another identity, or a file that cannot be used. Damage is not an error here.
    pub fn open(path: &Path, identity: &Identity) -> Result<Opened, StateError> {
        database::check_library()?;
        Self::over(Box::new(OnDisk::take(path)?), identity)
    }

    /// As [`Self::open`], wherever the database lies.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(place: Box<dyn Place>, identity: &Identity) -> Result<Opened, StateError> {
        let (connection, outcome) = match attach(&*place, identity) {
            Err(error) if error.is_damage() => replace(&*place, identity, &error)?,
            attached => attached?,
        };
        let store = Self { connection, place, identity: identity.clone() };
        Ok(Opened { store, outcome })
    }

    /// Moves the database aside for `reason` and starts a fresh one, without letting go of its place.
    ///
    /// # Errors
    /// A file cannot be moved or made.
    pub fn rebuild(self, reason: &StateError) -> Result<Opened, StateError> {
        let Self { connection, place, identity } = self;
        place.keep_log(&connection, true)?;
        // A connection that cannot be closed is given up; it holds no lock that the fresh one needs.
        drop(connection);
        let (connection, outcome) = replace(&*place, &identity, reason)?;
        Ok(Opened { store: Self { connection, place, identity }, outcome })
    }
}

/// Moves the database aside and makes a fresh one.
fn replace(place: &dyn Place, identity: &Identity, reason: &StateError) -> Result<(Held, Outcome), StateError> {
    let moved_to = place.move_aside()?;
    tracing::warn!("the folder's state is damaged; it was moved aside and is rebuilt");
    // The reason may name a file.
    tracing::debug!(%reason, ?moved_to, "the damaged state");
    let (connection, _) = attach(place, identity)?;
    Ok((connection, Outcome::Rebuilt { moved_to, reason: reason.to_string() }))
}

/// Opens the database, and makes it if there is none.
fn attach(place: &dyn Place, identity: &Identity) -> Result<(Held, Outcome), StateError> {
    let attached = database::attach(
        place,
        &schema::TREES,
        |connection| schema::verify_identity(connection, identity),
        |connection| schema::seed_identity(connection, identity),
    )?;
    let Attached { connection, is_fresh, unclean } = attached;
    if unclean {
        check::all(&connection)?;
    } else {
        check::marks(&connection)?;
    }
    place.keep_log(&connection, false)?;
    let outcome = if is_fresh { Outcome::Fresh } else { Outcome::Existing };
    Ok((connection, outcome))
}

#[cfg(test)]
mod tests {
    use hcfs_model::{FolderLabel, Inode, LocalEntry, RelPath, SaltedHash, UnixNanos};

    use super::*;
    use crate::LocalUpdate;

    fn opened() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let folder = FolderHash::of_label(&FolderLabel::new("documents").unwrap());
        let identity = Identity { account: AccountAddress::from_public_key([7; 32]), folder };
        let store = Store::open(&directory.path().join("state.db"), &identity).unwrap().store;
        (directory, store)
    }

    fn many() -> LocalUpdate {
        let inode = Inode { device: 1, number: 2 };
        let fingerprint = hcfs_model::Fingerprint { size: 1, mtime: UnixNanos(0), ctime: UnixNanos(0), inode };
        let entry = LocalEntry { hash: SaltedHash([1; 32]), fingerprint, disk_path: None };
        let put = (0..2_000).map(|n| (RelPath::new(&format!("file {n}")).unwrap(), entry.clone())).collect();
        LocalUpdate { put, ..LocalUpdate::default() }
    }

    #[test]
    fn a_full_disk_is_told_apart_and_heals() {
        let (_directory, mut store) = opened();
        let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = |store: &Store, pages: i64| {
            store.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        limit(&store, pages);
        assert!(matches!(store.record_local(&many(), true), Err(StateError::Full)));
        assert_eq!(store.rows().count(), 0);
        assert!(!store.meta().unwrap().baseline.local);
        limit(&store, pages + 1_000);
        assert_eq!(store.record_local(&many(), true).unwrap().written, 2_000);
        store.check_all().unwrap();
    }

    #[test]
    fn a_read_only_state_is_told_apart() {
        let (_directory, mut store) = opened();
        store.connection.pragma_update(None, "query_only", true).unwrap();
        assert!(matches!(store.record_local(&many(), true), Err(StateError::ReadOnly)));
    }

    #[test]
    fn commits_are_durable_and_what_they_take_is_bounded() {
        let (_directory, store) = opened();
        let pragma = |name: &str| -> String {
            store
                .connection
                .query_row(&format!("PRAGMA {name}"), [], |row| {
                    row.get_ref(0)?.as_str().map(str::to_owned).or_else(|_| row.get::<_, i64>(0).map(|n| n.to_string()))
                })
                .unwrap()
        };
        assert_eq!([pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")], ["wal", "2", "1"]);
        // Bytes of a log that is kept, and KiB of pages in memory.
        assert_eq!([pragma("journal_size_limit"), pragma("cache_size")], ["16777216", "-8192"]);
    }

    #[test]
    fn every_table_is_strict() {
        let (_directory, store) = opened();
        let loose: i64 = store
            .connection
            .query_row(
                "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
                 AND name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(loose, 0);
    }
}
