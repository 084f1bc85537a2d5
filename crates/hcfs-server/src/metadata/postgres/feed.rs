//! The change feed: the files and the tombstones of a folder, by the numbers of their changes.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use hcfs_model::FileId;
use tokio_postgres::IsolationLevel;

use super::file::{LISTED, listed};
use super::{Postgres, bytes, signed, unsigned};
use crate::metadata::feed::page;
use crate::metadata::file::PAGE_BYTES;
use crate::metadata::folder::folder_bytes;
use crate::metadata::{Bells, Change, Changed, FeedPage, Feeds, FolderKey, Outcome};

#[async_trait]
impl Feeds for Postgres {
    async fn changes(&self, folder: FolderKey, after: Option<u64>, limit: u64) -> Outcome<FeedPage> {
        let mut client = self.client().await?;
        // One snapshot for the files and the tombstones.
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let tx = tx.start().await?;
        let (id, floor, last) = stand(&tx, &folder).await?;
        let Some(after) = after else { return Ok(nothing(last)) };
        if after < floor || after > last {
            return Ok(FeedPage::Reset);
        }
        if after == last {
            return Ok(nothing(last));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        let rows = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let files = files(&tx, id, signed(after)?, rows).await?;
        let removals = removals(&tx, id, signed(after)?, rows).await?;
        tx.commit().await?;
        Ok(page(files, removals, limit, last))
    }

    async fn forget_removals(&self, before: i64, limit: u64) -> Outcome<u64> {
        self.execute(
            "WITH old AS (
                 SELECT folder_id, path_hash, change_seq FROM tombstones
                 WHERE change_seq IS NOT NULL AND removed_at < $1 ORDER BY removed_at LIMIT $2
                 FOR UPDATE SKIP LOCKED
             ), floors AS (
                 UPDATE folders f SET feed_floor = greatest(f.feed_floor, m.seq)
                 FROM (SELECT folder_id, max(change_seq) AS seq FROM old GROUP BY folder_id) m
                 WHERE f.id = m.folder_id
             )
             UPDATE tombstones t SET change_seq = NULL FROM old
             WHERE t.folder_id = old.folder_id AND t.path_hash = old.path_hash",
            &[&before, &signed(limit)?],
        )
        .await
    }

    fn bells(&self) -> &Bells {
        &self.bells
    }
}

fn nothing(next: u64) -> FeedPage {
    FeedPage::Changes { changes: Vec::new(), next, has_more: false }
}

/// A folder's row id, how far back its feed reaches, and the number of the last change.
async fn stand(tx: &Transaction<'_>, folder: &FolderKey) -> Outcome<(i64, u64, u64)> {
    let statement = tx
        .prepare_cached(
            "SELECT f.id, f.feed_floor, f.changes FROM folders f JOIN accounts a ON a.id = f.account_id
             WHERE a.ss58 = $1 AND f.hash = $2",
        )
        .await?;
    let row = tx.query_opt(&statement, &[&folder.account.as_str(), &&folder_bytes(folder.folder)[..]]).await?;
    let Some(row) = row else { return Ok((0, 0, 0)) };
    Ok((row.try_get(0)?, unsigned(&row, 1)?, unsigned(&row, 2)?))
}

async fn files(tx: &Transaction<'_>, folder_id: i64, after: i64, limit: i64) -> Outcome<Vec<Change>> {
    // The first that does not fit comes along: it says that there is more.
    let query = format!(
        "SELECT {LISTED}, change_seq FROM (
             SELECT f.*, sum(length(encrypted_path)) OVER (ORDER BY change_seq) AS so_far FROM (
                 SELECT * FROM files WHERE folder_id = $1 AND change_seq > $2 ORDER BY change_seq LIMIT $3
             ) f
         ) rows WHERE so_far - length(encrypted_path) <= $4 ORDER BY change_seq"
    );
    let statement = tx.prepare_cached(&query).await?;
    let most = signed(PAGE_BYTES as u64)?;
    let rows = tx.query(&statement, &[&folder_id, &after, &limit, &most]).await?;
    rows.iter().map(|row| Ok(Change { seq: unsigned(row, 11)?, what: Changed::Listed(listed(row)?) })).collect()
}

async fn removals(tx: &Transaction<'_>, folder_id: i64, after: i64, limit: i64) -> Outcome<Vec<Change>> {
    let statement = tx
        .prepare_cached(
            "SELECT change_seq, path_hash FROM tombstones
             WHERE folder_id = $1 AND change_seq > $2 ORDER BY change_seq LIMIT $3",
        )
        .await?;
    let rows = tx.query(&statement, &[&folder_id, &after, &limit]).await?;
    rows.iter()
        .map(|row| Ok(Change { seq: unsigned(row, 0)?, what: Changed::Removed(FileId(bytes(row, 1)?)) }))
        .collect()
}
