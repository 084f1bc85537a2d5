//! Names in plaintext.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use hcfs_model::{AccountAddress, FileId, FolderHash};
use tokio_postgres::{IsolationLevel, Row};

use super::file::listed;
use super::folder::{find_folder, lock_folder};
use super::{Postgres, bytes, signed, text, transaction, unsigned};
use crate::metadata::name::{
    Count, Directory, DirectoryPage, Hit, LISTED_OF_F, NameIndex, PathOutcome, Search, SearchPage, SortBy, Wanted,
};
use crate::metadata::{FolderKey, ListedFile, MetadataError, Names, Outcome};

#[async_trait]
impl Names for Postgres {
    async fn register_paths(&self, folder: FolderKey, paths: Vec<(FileId, String)>) -> Outcome<Vec<PathOutcome>> {
        let done = transaction!(self, |tx| register(&tx, &folder, &paths));
        self.rung(&folder, done)
    }

    async fn browse(&self, folder: FolderKey, directory: String, wanted: Wanted) -> Outcome<DirectoryPage> {
        let (mut client, _place) = self.surveyor().await?;
        // One snapshot for the directories, the files and their counts.
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let tx = tx.start().await?;
        let Some(folder_id) = find_folder(&tx, &folder).await? else { return Ok(DirectoryPage::default()) };
        let (folders, count) = directories(&tx, folder_id, &directory, &wanted).await?;
        let rest = wanted.limit - folders.len() as u64;
        let offset = wanted.offset.saturating_sub(count);
        let (files, total) = files(&tx, folder_id, &directory, &wanted, offset, rest).await?;
        Ok(DirectoryPage { folders, files, total: count + total })
    }

    async fn search(&self, account: AccountAddress, search: Search) -> Outcome<SearchPage> {
        let (mut client, _place) = self.surveyor().await?;
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        search_names(&tx.start().await?, &account, &search).await
    }

    async fn by_extension(&self, account: AccountAddress) -> Outcome<Vec<Count>> {
        self.counts("extension", "AND f.extension IS NOT NULL", &account).await
    }

    async fn by_source(&self, account: AccountAddress) -> Outcome<Vec<Count>> {
        self.counts("source", "", &account).await
    }
}

impl Postgres {
    async fn counts(&self, column: &str, filter: &str, account: &AccountAddress) -> Outcome<Vec<Count>> {
        let (client, _place) = self.surveyor().await?;
        let query = format!(
            "SELECT f.{column}, count(*), sum(f.size_bytes)::bigint
             FROM accounts a JOIN folders d ON d.account_id = a.id JOIN files f ON f.folder_id = d.id
             WHERE a.ss58 = $1 {filter} GROUP BY f.{column} ORDER BY f.{column} NULLS FIRST"
        );
        let rows = client.query(&client.prepare_cached(&query).await?, &[&account.as_str()]).await?;
        let count = |row: &Row| Ok(Count { kind: row.try_get(0)?, files: unsigned(row, 1)?, bytes: unsigned(row, 2)? });
        rows.iter().map(count).collect()
    }
}

/// A file whose path is to be known: its row, its path if it has one, and its name.
struct Known {
    row_id: i64,
    path: Option<String>,
    name: Option<String>,
}

async fn register(tx: &Transaction<'_>, folder: &FolderKey, paths: &[(FileId, String)]) -> Outcome<Vec<PathOutcome>> {
    let Some(folder_id) = lock_folder(tx, folder).await? else { return Ok(vec![PathOutcome::NotFound; paths.len()]) };
    let ids: Vec<&[u8]> = paths.iter().map(|(file, _)| &file.0[..]).collect();
    let query =
        "SELECT path_hash, id, relative_path, file_name FROM files WHERE folder_id = $1 AND path_hash = ANY ($2)";
    let mut files = BTreeMap::new();
    for row in tx.query(query, &[&folder_id, &ids]).await? {
        let known = Known { row_id: row.try_get(1)?, path: row.try_get(2)?, name: row.try_get(3)? };
        files.insert(FileId(bytes(&row, 0)?), known);
    }
    let (mut outcomes, mut rows, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (file, path) in paths {
        let Some(known) = files.get_mut(file) else {
            outcomes.push(PathOutcome::NotFound);
            continue;
        };
        outcomes.push(match &known.path {
            Some(own) if own == path => PathOutcome::Skipped,
            Some(_) => PathOutcome::Mismatch,
            None => {
                rows.push(known.row_id);
                names.push((path.as_str(), NameIndex::of(known.name.as_deref(), Some(path))));
                known.path = Some(path.clone());
                PathOutcome::Updated
            }
        });
    }
    let relative: Vec<&str> = names.iter().map(|(path, _)| *path).collect();
    let directories: Vec<Option<&str>> = names.iter().map(|(_, index)| index.directory.as_deref()).collect();
    let extensions: Vec<Option<&str>> = names.iter().map(|(_, index)| index.extension.as_deref()).collect();
    let searched: Vec<Option<&str>> = names.iter().map(|(_, index)| index.search_name.as_deref()).collect();
    tx.execute(
        "UPDATE files f SET relative_path = n.relative_path, directory = n.directory, extension = n.extension,
                search_name = n.search_name
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
              AS n (id, relative_path, directory, extension, search_name)
         WHERE f.id = n.id",
        &[&rows, &relative, &directories, &extensions, &searched],
    )
    .await?;
    Ok(outcomes)
}

/// The directories of a page, and how many there are in all.
async fn directories(
    tx: &Transaction<'_>,
    folder_id: i64,
    directory: &str,
    wanted: &Wanted,
) -> Outcome<(Vec<Directory>, u64)> {
    // '0' follows '/': the range holds everything below the directory and nothing else.
    let (low, high) = match directory {
        "" => ("\u{1}".to_owned(), None),
        directory => (format!("{directory}/"), Some(format!("{directory}0"))),
    };
    let skip = if directory.is_empty() { 0 } else { directory.chars().count() + 1 };
    let order = if wanted.descending && wanted.sort_by == SortBy::Name { "DESC" } else { "ASC" };
    let query = format!(
        "WITH found AS (
             SELECT split_part(substr(directory, $2::int), '/', 1) AS name, count(*) AS files,
                    sum(size_bytes)::bigint AS bytes
             FROM files WHERE folder_id = $1 AND directory >= $3 AND ($4::text IS NULL OR directory < $4) GROUP BY name
         )
         SELECT counted.total, page.name, page.files, page.bytes
         FROM (SELECT count(*) AS total FROM found) counted
         LEFT JOIN (SELECT * FROM found ORDER BY name {order} LIMIT $5 OFFSET $6) page ON true
         ORDER BY page.name {order}"
    );
    let statement = tx.prepare_cached(&query).await?;
    let from = i32::try_from(skip + 1).unwrap_or(i32::MAX);
    let offset = i64::try_from(wanted.offset).unwrap_or(i64::MAX);
    let rows = tx.query(&statement, &[&folder_id, &from, &low, &high, &signed(wanted.limit)?, &offset]).await?;
    let mut total = 0;
    let mut page = Vec::new();
    for row in &rows {
        total = unsigned(row, 0)?;
        if let Some(name) = row.try_get(1)? {
            page.push(Directory { name, file_count: unsigned(row, 2)?, total_bytes: unsigned(row, 3)? });
        }
    }
    Ok((page, total))
}

/// Files of one directory from `offset` on, and how many there are in all.
async fn files(
    tx: &Transaction<'_>,
    folder_id: i64,
    directory: &str,
    wanted: &Wanted,
    offset: u64,
    limit: u64,
) -> Outcome<(Vec<ListedFile>, u64)> {
    let filter = "f.folder_id = $1 AND f.directory = $2 AND ($3::text[] IS NULL OR f.extension = ANY ($3))";
    let extensions = extensions(wanted);
    let count = tx.prepare_cached(&format!("SELECT count(*) FROM files f WHERE {filter}")).await?;
    let total = tx.query_one(&count, &[&folder_id, &directory, &extensions]).await?;
    let query = format!("SELECT {LISTED_OF_F} FROM files f WHERE {filter} {} LIMIT $4 OFFSET $5", wanted.order_by());
    let statement = tx.prepare_cached(&query).await?;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    let rows = tx.query(&statement, &[&folder_id, &directory, &extensions, &signed(limit)?, &offset]).await?;
    Ok((rows.iter().map(listed).collect::<Outcome<_>>()?, unsigned(&total, 0)?))
}

async fn search_names(client: &impl GenericClient, account: &AccountAddress, search: &Search) -> Outcome<SearchPage> {
    let tables = "files f JOIN folders d ON d.id = f.folder_id JOIN accounts a ON a.id = d.account_id
        WHERE a.ss58 = $1 AND f.search_name LIKE $2 AND f.size_bytes BETWEEN $3 AND $4
        AND f.created_at BETWEEN $5 AND $6 AND ($7::text[] IS NULL OR f.extension = ANY ($7))";
    let pattern = pattern(&search.text);
    let smallest = i64::try_from(*search.size.start()).unwrap_or(i64::MAX);
    let largest = i64::try_from(*search.size.end()).unwrap_or(i64::MAX);
    let (first, last) = (search.created.start(), search.created.end());
    let extensions = extensions(&search.wanted);
    let count = client.prepare_cached(&format!("SELECT count(*) FROM {tables}")).await?;
    let total =
        client.query_one(&count, &[&account.as_str(), &pattern, &smallest, &largest, first, last, &extensions]).await?;
    let query = format!(
        "SELECT {LISTED_OF_F}, encode(d.hash, 'hex'), d.label FROM {tables} {} LIMIT $8 OFFSET $9",
        search.wanted.order_by()
    );
    let statement = client.prepare_cached(&query).await?;
    let offset = i64::try_from(search.wanted.offset).unwrap_or(i64::MAX);
    let limit = signed(search.wanted.limit)?;
    let rows = client
        .query(
            &statement,
            &[&account.as_str(), &pattern, &smallest, &largest, first, last, &extensions, &limit, &offset],
        )
        .await?;
    Ok(SearchPage { hits: rows.iter().map(hit).collect::<Outcome<_>>()?, total: unsigned(&total, 0)? })
}

fn hit(row: &Row) -> Outcome<Hit> {
    Ok(Hit {
        folder: FolderHash::from_hex(row.try_get(11)?).map_err(|_| MetadataError::Impossible("a folder hash"))?,
        label: row.try_get(12)?,
        file: listed(row)?,
    })
}

/// The extensions that are wanted.
fn extensions(wanted: &Wanted) -> Option<Vec<Cow<'_, str>>> {
    wanted.extensions.as_ref().map(|extensions| extensions.iter().map(|extension| text(extension)).collect())
}

/// A pattern of LIKE that a text anywhere in a name matches.
fn pattern(wanted: &str) -> String {
    let mut pattern = String::from("%");
    for character in text(wanted).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
