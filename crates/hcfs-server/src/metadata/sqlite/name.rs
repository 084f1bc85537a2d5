//! Names in plaintext.

use async_trait::async_trait;
use hcfs_model::{AccountAddress, FileId, FolderHash};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::file::{listed, signed};
use super::folder::find_folder;
use super::{Sqlite, unsigned};
use crate::metadata::name::{
    Count, Directory, DirectoryPage, Hit, LISTED_OF_F, NameIndex, PathOutcome, Search, SearchPage, SortBy, Wanted,
};
use crate::metadata::{FolderKey, ListedFile, MetadataError, Names, Outcome};

#[async_trait]
impl Names for Sqlite {
    async fn register_paths(&self, folder: FolderKey, paths: Vec<(FileId, String)>) -> Outcome<Vec<PathOutcome>> {
        self.write_in(&folder.clone(), move |db| {
            let Some(folder_id) = find_folder(db, &folder)? else {
                return Ok(vec![PathOutcome::NotFound; paths.len()]);
            };
            paths.into_iter().map(|(file, path)| register(db, folder_id, file, &path)).collect()
        })
        .await
    }

    async fn browse(&self, folder: FolderKey, directory: String, wanted: Wanted) -> Outcome<DirectoryPage> {
        self.survey(move |db| {
            let Some(folder_id) = find_folder(db, &folder)? else { return Ok(DirectoryPage::default()) };
            let (folders, count) = directories(db, folder_id, &directory, &wanted)?;
            let rest = wanted.limit - folders.len() as u64;
            let (files, total) = files(db, folder_id, &directory, &wanted, wanted.offset.saturating_sub(count), rest)?;
            Ok(DirectoryPage { folders, files, total: count + total })
        })
        .await
    }

    async fn search(&self, account: AccountAddress, search: Search) -> Outcome<SearchPage> {
        self.survey(move |db| search_names(db, &account, &search)).await
    }

    async fn by_extension(&self, account: AccountAddress) -> Outcome<Vec<Count>> {
        self.survey(move |db| {
            let sql = "SELECT f.extension, count(*), sum(f.size_bytes)
                       FROM files f INDEXED BY files_by_extension JOIN folders d ON d.id = f.folder_id
                       JOIN accounts a ON a.id = d.account_id
                       WHERE a.ss58 = ?1 AND f.extension IS NOT NULL GROUP BY f.extension";
            counts(db, sql, &account)
        })
        .await
    }

    async fn by_source(&self, account: AccountAddress) -> Outcome<Vec<Count>> {
        self.survey(move |db| {
            let sql = "SELECT f.source, count(*), sum(f.size_bytes)
                       FROM accounts a JOIN folders d ON d.account_id = a.id JOIN files f ON f.folder_id = d.id
                       WHERE a.ss58 = ?1 GROUP BY f.source";
            counts(db, sql, &account)
        })
        .await
    }
}

fn register(db: &Connection, folder_id: i64, file: FileId, path: &str) -> Outcome<PathOutcome> {
    let found: Option<(i64, Option<String>, Option<String>)> = db
        .prepare_cached("SELECT id, relative_path, file_name FROM files WHERE folder_id = ?1 AND path_hash = ?2")?
        .query_row((folder_id, file.0), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((id, known, file_name)) = found else { return Ok(PathOutcome::NotFound) };
    match known {
        Some(known) if known == path => return Ok(PathOutcome::Skipped),
        Some(_) => return Ok(PathOutcome::Mismatch),
        None => {}
    }
    let index = NameIndex::of(file_name.as_deref(), Some(path));
    db.prepare_cached(
        "UPDATE files SET relative_path = ?2, directory = ?3, extension = ?4, search_name = ?5 WHERE id = ?1",
    )?
    .execute((id, path, index.directory, index.extension, index.search_name))?;
    Ok(PathOutcome::Updated)
}

/// The directories of a page, and how many there are in all.
fn directories(db: &Connection, folder_id: i64, directory: &str, wanted: &Wanted) -> Outcome<(Vec<Directory>, u64)> {
    // '0' follows '/': the range holds everything below the directory and nothing else.
    let (low, high) = match directory {
        "" => ("\u{1}".to_owned(), None),
        directory => (format!("{directory}/"), Some(format!("{directory}0"))),
    };
    let skip = if directory.is_empty() { 0 } else { directory.chars().count() + 1 };
    let order = if wanted.descending && wanted.sort_by == SortBy::Name { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT substr(rest, 1, instr(rest || '/', '/') - 1) AS name, count(*), sum(size_bytes)
         FROM (SELECT substr(directory, :skip + 1) AS rest, size_bytes FROM files INDEXED BY files_by_directory
               WHERE folder_id = :folder AND directory >= :low AND (:high IS NULL OR directory < :high))
         GROUP BY name ORDER BY name {order}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":skip": i64::try_from(skip).unwrap_or(i64::MAX), ":folder": folder_id, ":low": low, ":high": high
    })?;
    let (mut page, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if count >= wanted.offset && (page.len() as u64) < wanted.limit {
            page.push(Directory { name: row.get(0)?, file_count: unsigned(row, 1)?, total_bytes: unsigned(row, 2)? });
        }
        count += 1;
    }
    Ok((page, count))
}

/// Files of one directory from `offset` on, and how many there are in all.
fn files(
    db: &Connection,
    folder_id: i64,
    directory: &str,
    wanted: &Wanted,
    offset: u64,
    limit: u64,
) -> Outcome<(Vec<ListedFile>, u64)> {
    let extensions = as_json(wanted.extensions.as_deref());
    let filter = "f.folder_id = :folder AND f.directory = :directory
        AND (:extensions IS NULL OR f.extension IN (SELECT value FROM json_each(:extensions)))";
    let total = db.prepare_cached(&format!("SELECT count(*) FROM files f WHERE {filter}"))?.query_row(
        named_params! { ":folder": folder_id, ":directory": directory, ":extensions": extensions },
        |row| unsigned(row, 0),
    )?;
    let sql =
        format!("SELECT {LISTED_OF_F} FROM files f WHERE {filter} {} LIMIT :limit OFFSET :offset", wanted.order_by());
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":folder": folder_id, ":directory": directory, ":extensions": extensions,
            ":limit": signed(limit)?, ":offset": i64::try_from(offset).unwrap_or(i64::MAX),
        },
        listed,
    )?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

fn search_names(db: &Connection, account: &AccountAddress, search: &Search) -> Outcome<SearchPage> {
    // The index reads a text up to its first zero byte; no path holds one.
    if search.text.contains('\0') {
        return Ok(SearchPage { hits: Vec::new(), total: 0 });
    }
    let extensions = as_json(search.wanted.extensions.as_deref());
    // A phrase of trigrams is found where the text itself is.
    let phrase = format!("\"{}\"", search.text.replace('"', "\"\""));
    let tables = "names n JOIN files f ON f.id = n.rowid JOIN folders d ON d.id = f.folder_id
        JOIN accounts a ON a.id = d.account_id
        WHERE names MATCH :phrase AND a.ss58 = :account AND f.size_bytes BETWEEN :smallest AND :largest
        AND f.created_at BETWEEN :first AND :last
        AND (:extensions IS NULL OR f.extension IN (SELECT value FROM json_each(:extensions)))";
    let largest = i64::try_from(*search.size.end()).unwrap_or(i64::MAX);
    let smallest = i64::try_from(*search.size.start()).unwrap_or(i64::MAX);
    let total = db.prepare_cached(&format!("SELECT count(*) FROM {tables}"))?.query_row(
        named_params! {
            ":phrase": phrase, ":account": account.as_str(), ":smallest": smallest, ":largest": largest,
            ":first": search.created.start(), ":last": search.created.end(), ":extensions": extensions,
        },
        |row| unsigned(row, 0),
    )?;
    let sql = format!(
        "SELECT {LISTED_OF_F}, lower(hex(d.hash)), d.label FROM {tables} {} LIMIT :limit OFFSET :offset",
        search.wanted.order_by()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":phrase": phrase, ":account": account.as_str(), ":smallest": smallest, ":largest": largest,
        ":first": search.created.start(), ":last": search.created.end(), ":extensions": extensions,
        ":limit": signed(search.wanted.limit)?,
        ":offset": i64::try_from(search.wanted.offset).unwrap_or(i64::MAX),
    })?;
    let mut hits = Vec::new();
    while let Some(row) = rows.next()? {
        hits.push(hit(row)?);
    }
    Ok(SearchPage { hits, total })
}

fn hit(row: &Row<'_>) -> Outcome<Hit> {
    let folder: String = row.get(11)?;
    Ok(Hit {
        folder: FolderHash::from_hex(&folder).map_err(|_| MetadataError::Impossible("a folder hash"))?,
        label: row.get(12)?,
        file: listed(row)?,
    })
}

fn as_json(extensions: Option<&[String]>) -> Option<String> {
    // A list of texts has a JSON form.
    extensions.map(|extensions| serde_json::to_string(extensions).unwrap_or_default())
}

fn counts(db: &Connection, sql: &str, account: &AccountAddress) -> Outcome<Vec<Count>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([account.as_str()], |row| {
        Ok(Count { kind: row.get(0)?, files: unsigned(row, 1)?, bytes: unsigned(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
