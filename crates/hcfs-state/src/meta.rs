//! Small values of the folder: what was complete, who this device is, when things happened.

use hcfs_model::UnixNanos;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::edit::Edit;
use crate::{StateError, Store};

pub(crate) const LISTING_TAG: &str = "listing_tag";
pub(crate) const BASELINE_LOCAL: &str = "baseline_local";
pub(crate) const BASELINE_REMOTE: &str = "baseline_remote";
const ROOT: &str = "root";
const ROOT_INODE: &str = "root_inode";
const LAST_CYCLE: &str = "last_cycle";
const LAST_FULL_SCAN: &str = "last_full_scan";

/// Which trees were ever observed whole since the database was made. Until both were, an absence says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Baseline {
    /// A full scan was recorded.
    pub local: bool,
    /// A full listing was recorded.
    pub remote: bool,
}

impl Baseline {
    /// Whether both trees were observed whole.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.local && self.remote
    }
}

/// Small values of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The id in the marker of the folder's root.
    pub root: Option<[u8; 16]>,
    /// The number of the root's inode.
    pub root_inode: Option<u64>,
    /// This device's id.
    pub device: Option<[u8; 16]>,
    /// This device's name.
    pub device_name: String,
    /// What was observed whole. Set by the recording calls; cleared here where the trees must not be trusted any more.
    pub baseline: Baseline,
    /// When a cycle last ended. Writing it costs a commit: not something to do when nothing else changed.
    pub last_cycle: Option<UnixNanos>,
    /// When a full scan last ended; the same holds.
    pub last_full_scan: Option<UnixNanos>,
}

impl Store {
    /// The small values of the folder.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn meta(&self) -> Result<Meta, StateError> {
        let connection = &self.connection;
        let device: Option<([u8; 16], String)> = connection
            .prepare_cached("SELECT id, name FROM device WHERE own = 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (device, device_name) = device.map_or_else(Default::default, |(id, name)| (Some(id), name));
        Ok(Meta {
            root: get(connection, ROOT)?,
            root_inode: get(connection, ROOT_INODE)?.map(i64::cast_unsigned),
            device,
            device_name,
            baseline: Baseline {
                local: get::<bool>(connection, BASELINE_LOCAL)?.unwrap_or(false),
                remote: get::<bool>(connection, BASELINE_REMOTE)?.unwrap_or(false),
            },
            last_cycle: get(connection, LAST_CYCLE)?.map(UnixNanos),
            last_full_scan: get(connection, LAST_FULL_SCAN)?.map(UnixNanos),
        })
    }

    /// Replaces the small values; only those that differ are written. A device name without an id is not kept.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put_meta(&mut self, meta: &Meta) -> Result<(), StateError> {
        let edit = Edit::begin(&mut self.connection)?;
        let connection = edit.connection();
        set(connection, ROOT, meta.root)?;
        set(connection, ROOT_INODE, meta.root_inode.map(u64::cast_signed))?;
        set_flag(connection, BASELINE_LOCAL, meta.baseline.local)?;
        set_flag(connection, BASELINE_REMOTE, meta.baseline.remote)?;
        set(connection, LAST_CYCLE, meta.last_cycle.map(|time| time.0))?;
        set(connection, LAST_FULL_SCAN, meta.last_full_scan.map(|time| time.0))?;
        // Another id is another device: the row before stays, as one this folder was once synced by.
        connection
            .prepare_cached("UPDATE device SET own = 0 WHERE own = 1 AND id IS NOT ?1")?
            .execute(params![meta.device])?;
        if let Some(id) = meta.device {
            connection
                .prepare_cached(
                    "INSERT INTO device (id, own, name) VALUES (?1, 1, ?2)
                     ON CONFLICT (id) DO UPDATE SET own = 1, name = excluded.name
                     WHERE own = 0 OR name <> excluded.name",
                )?
                .execute(params![id, meta.device_name])?;
        }
        edit.commit()?;
        Ok(())
    }
}

pub(crate) fn get<T: FromSql>(connection: &Connection, name: &str) -> Result<Option<T>, StateError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Sets a value, or removes it; writes only if that is a difference.
pub(crate) fn set(connection: &Connection, name: &str, value: Option<impl ToSql>) -> Result<(), StateError> {
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT INTO meta (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
            )?
            .execute(params![name, value])?,
        None => connection.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([name])?,
    };
    Ok(())
}

pub(crate) fn set_flag(connection: &Connection, name: &str, value: bool) -> Result<(), StateError> {
    set(connection, name, value.then_some(true))
}
