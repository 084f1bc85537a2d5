//! The database of a device: a real one in memory that outlives the process, as committed transactions do.
//!
//! One that is not needed any more is emptied and serves again: making the tables and compiling the statements anew takes
//! longer than all that a scenario does with them. One that was ever damaged does not.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hcfs_state::{Connected, Identity, Opened, Place, StateError, Store};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::scene::locked;

/// A database, wherever the process is that uses it.
#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// `None` while a process has it, or where there is none yet.
    connection: Option<Connection>,
    is_held: bool,
    is_unclean: bool,
    /// Whether it, or a copy of it, was ever damaged.
    is_spoiled: bool,
    moved: u32,
    /// Copies of earlier times.
    copies: Vec<Vec<u8>>,
}

/// How many empty databases are kept.
const SPARE: usize = 16;

thread_local! {
    /// Databases with nothing in them but their tables.
    static EMPTY: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
}

fn empty() -> Connection {
    if let Some(connection) = EMPTY.with_borrow_mut(Vec::pop) {
        return connection;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_in_memory_with_flags(flags).unwrap()
}

/// Empties a database, and keeps it for whoever needs one next.
fn give_back(connection: Connection) {
    // What those two hold is the same in all of them.
    let named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('migration', 'folder')";
    let tables: Vec<String> = {
        let mut statement = connection.prepare_cached(named).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    // One that nobody came to use has no tables.
    if tables.is_empty() {
        return;
    }
    connection.execute_batch("BEGIN").unwrap();
    for table in tables {
        connection.prepare_cached(&format!("DELETE FROM {table}")).unwrap().execute([]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    EMPTY.with_borrow_mut(|empty| {
        if empty.len() < SPARE {
            empty.push(connection);
        }
    });
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.is_spoiled) {
            give_back(connection);
        }
    }
}

impl Database {
    /// Opens it for a process.
    pub(crate) fn open(&self, identity: &Identity) -> Result<Opened, StateError> {
        {
            let mut state = locked(&self.0);
            if state.is_held {
                return Err(StateError::Held { pid: None });
            }
            state.is_held = true;
        }
        let opened = Store::over(Box::new(Hold(self.clone())), identity)?;
        locked(&self.0).is_unclean = true;
        Ok(opened)
    }

    /// The process that had it closed it properly.
    pub(crate) fn closed(&self) {
        locked(&self.0).is_unclean = false;
    }

    /// Keeps a copy of how it is now.
    pub(crate) fn copy(&self) {
        let mut state = locked(&self.0);
        let copy = state.connection.as_mut().map(|connection| connection.serialize("main").unwrap().to_vec());
        state.copies.extend(copy);
    }

    /// Puts an earlier copy in its place; whether there is one.
    pub(crate) fn restore(&self, choice: usize) -> bool {
        let mut state = locked(&self.0);
        let State { connection, copies, .. } = &mut *state;
        let (Some(connection), Some(copy)) = (connection, copies.get(choice % copies.len().max(1))) else {
            return false;
        };
        let mut old = Connection::open_in_memory().unwrap();
        old.deserialize_read_exact("main", &copy[..], copy.len(), false).unwrap();
        Backup::new(&old, connection).unwrap().run_to_completion(1000, std::time::Duration::ZERO, None).unwrap();
        true
    }

    pub(crate) fn lose(&self) {
        let mut state = locked(&self.0);
        (state.connection, state.is_unclean) = (None, false);
    }

    /// Damages it in one of several ways; whether there was anything to damage.
    pub(crate) fn damage(&self, choice: usize) -> bool {
        let mut state = locked(&self.0);
        state.is_unclean = true;
        let Some(connection) = &state.connection else { return false };
        let ways = [
            "PRAGMA application_id = 7",
            "DELETE FROM migration",
            "PRAGMA user_version = 99",
            "DROP TABLE totals",
            "DELETE FROM folder",
            "UPDATE migration SET checksum = zeroblob(32)",
            "INSERT INTO changed (path) VALUES ('nothing differs here')",
            "DROP INDEX conflict_path",
        ];
        // A fresh one has none of these tables: then there is nothing to damage.
        let is_damaged = connection.execute_batch(ways[choice % ways.len()]).is_ok();
        state.is_spoiled |= is_damaged;
        is_damaged
    }
}

/// What a process has of a database.
struct Hold(Database);

impl Place for Hold {
    fn connect(&self) -> Result<Connected, StateError> {
        let mut state = locked(&self.0.0);
        let connection = state.connection.take().unwrap_or_else(empty);
        let lent = Lent { database: self.0.clone(), connection: Some(connection) };
        Ok(Connected { connection: Box::new(lent), is_unclean: state.is_unclean })
    }

    fn move_aside(&self) -> Result<PathBuf, StateError> {
        let mut state = locked(&self.0.0);
        (state.connection, state.is_unclean) = (None, false);
        state.moved += 1;
        Ok(PathBuf::from(format!("state.db.corrupt-{}", state.moved)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        locked(&self.0.0).is_held = false;
    }
}

/// A connection that stays open when its process ends, its transaction rolled back.
struct Lent {
    database: Database,
    connection: Option<Connection>,
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().unwrap()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            assert!(connection.is_autocommit(), "a transaction is open over an await");
            locked(&self.database.0).connection = Some(connection);
        }
    }
}
