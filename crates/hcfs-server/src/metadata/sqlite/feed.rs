//! The change feed: the files and the tombstones of a folder, by the numbers of their changes.

use async_trait::async_trait;
use hcfs_model::FileId;
use rusqlite::{Connection, OptionalExtension};

use super::file::{LISTED, hash32, listed, signed};
use super::folder::find_folder;
use super::{Sqlite, unsigned};
use crate::metadata::feed::page;
use crate::metadata::file::PAGE_BYTES;
use crate::metadata::{Bells, Change, Changed, FeedPage, Feeds, FolderKey, Outcome};

#[async_trait]
impl Feeds for Sqlite {
    async fn changes(&self, folder: FolderKey, after: Option<u64>, limit: u64) -> Outcome<FeedPage> {
        self.read(move |db| {
            let stand = find_folder(db, &folder)?.map(|id| stand(db, id).map(|(floor, last)| (id, floor, last)));
            let (id, floor, last) = stand.transpose()?.unwrap_or((0, 0, 0));
            let Some(after) = after else {
                return Ok(FeedPage::Changes { changes: Vec::new(), next: last, has_more: false });
            };
            if after < floor || after > last {
                return Ok(FeedPage::Reset);
            }
            if after == last {
                return Ok(FeedPage::Changes { changes: Vec::new(), next: last, has_more: false });
            }
            let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
            let asked = (id, signed(after)?, i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
            Ok(page(files(db, asked)?, removals(db, asked)?, limit, last))
        })
        .await
    }

    async fn forget_removals(&self, before: i64, limit: u64) -> Outcome<u64> {
        self.write(move |db| {
            let mut old = db.prepare_cached(
                "SELECT folder_id, path_hash, change_seq FROM tombstones INDEXED BY tombstones_by_age
                 WHERE change_seq IS NOT NULL AND removed_at < ?1 ORDER BY removed_at LIMIT ?2",
            )?;
            let rows = old.query_map((before, signed(limit)?), |row| {
                Ok((row.get::<_, i64>(0)?, hash32(row, 1)?, row.get::<_, i64>(2)?))
            })?;
            let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
            for (folder, path, seq) in &rows {
                db.prepare_cached("UPDATE folders SET feed_floor = max(feed_floor, ?2) WHERE id = ?1")?
                    .execute((folder, seq))?;
                db.prepare_cached("UPDATE tombstones SET change_seq = NULL WHERE folder_id = ?1 AND path_hash = ?2")?
                    .execute((folder, path))?;
            }
            Ok(rows.len() as u64)
        })
        .await
    }

    fn bells(&self) -> &Bells {
        &self.bells
    }
}

/// How far back a folder's feed reaches, and the number of the last change.
fn stand(db: &Connection, folder: i64) -> Outcome<(u64, u64)> {
    let found = db
        .prepare_cached("SELECT feed_floor, changes FROM folders WHERE id = ?1")?
        .query_row([folder], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
        .optional()?;
    Ok(found.unwrap_or((0, 0)))
}

fn files(db: &Connection, asked: (i64, i64, i64)) -> Outcome<Vec<Change>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {LISTED}, change_seq FROM files WHERE folder_id = ?1 AND change_seq > ?2 ORDER BY change_seq LIMIT ?3"
    ))?;
    let mut rows = statement.query(asked)?;
    let (mut changes, mut room) = (Vec::new(), PAGE_BYTES);
    // The first that does not fit comes along: it says that there is more.
    while room > 0
        && let Some(row) = rows.next()?
    {
        let file = listed(row)?;
        room = room.saturating_sub(file.json_bytes());
        changes.push(Change { seq: unsigned(row, 11)?, what: Changed::Listed(file) });
    }
    Ok(changes)
}

fn removals(db: &Connection, asked: (i64, i64, i64)) -> Outcome<Vec<Change>> {
    let mut statement = db.prepare_cached(
        "SELECT change_seq, path_hash FROM tombstones
         WHERE folder_id = ?1 AND change_seq > ?2 ORDER BY change_seq LIMIT ?3",
    )?;
    let rows = statement.query_map(asked, |row| {
        Ok(Change { seq: unsigned(row, 0)?, what: Changed::Removed(FileId(hash32(row, 1)?)) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
