//! A whole listing, from as many pages as it takes.
//!
//! Paging by offset skips or repeats rows when the folder changes between two pages, so a listing counts only if all
//! its pages show the same state: the same tag where the server has tags, the same total in any case, as many rows as
//! that total, and no file twice. Otherwise it is read again from the start.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use hcfs_model::FolderHash;
use hcfs_wire::{StateTag, limits};

use crate::{ListedFile, ListingPage, Remote, RemoteError, RemoteErrorKind, Rows};

/// Rows of one listing at most: the bound on what a server can make this machine keep.
const MAX_ROWS: usize = 5_000_000;
/// How often a listing is begun before it is given up.
const ATTEMPTS: u32 = 5;
/// A page that cannot be read with so few rows will not be read with fewer.
const MIN_LIMIT: u32 = 50;

/// A folder's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Nothing changed since the listing with the given tag.
    Unchanged,
    /// Every row of one state of the folder.
    Complete {
        /// The rows, in the server's order; each file once.
        rows: Vec<ListedFile>,
        /// The state's tag, where the server has tags: what to give next time.
        tag: Option<StateTag>,
        /// How many pages were read, those of dropped attempts included.
        pages: u32,
    },
}

/// Reads a folder's listing to its end.
///
/// # Errors
/// `KeepsChanging` when no attempt showed one state; `Inconsistent` when the server's pages make no sense;
/// `AnswerTooLarge` when even small pages cannot be read; anything a request can fail with.
pub async fn list_all(
    remote: &dyn Remote,
    folder: FolderHash,
    known: Option<&StateTag>,
) -> Result<Listing, RemoteError> {
    let mut reader = Reader { remote, folder, limit: limits::MAX_PAGE_ROWS, pages: 0 };
    for _ in 0..ATTEMPTS {
        if let Some(listing) = reader.attempt(known).await? {
            return Ok(listing);
        }
        tracing::debug!(%folder, "the listing changed while it was read");
    }
    Err(RemoteError::new(RemoteErrorKind::KeepsChanging, object(folder), ""))
}

fn object(folder: FolderHash) -> String {
    format!("listing of folder {folder}")
}

struct Reader<'a> {
    remote: &'a dyn Remote,
    folder: FolderHash,
    limit: u32,
    pages: u32,
}

impl Reader<'_> {
    /// One listing; `None` when its pages show different states.
    async fn attempt(&mut self, known: Option<&StateTag>) -> Result<Option<Listing>, RemoteError> {
        let mut rows: Vec<ListedFile> = Vec::new();
        let mut state: Option<(u64, Option<StateTag>)> = None;
        loop {
            let known = known.filter(|_| state.is_none());
            let page = match self.page(rows.len() as u64, known).await? {
                ListingPage::Unchanged if known.is_some() => return Ok(Some(Listing::Unchanged)),
                ListingPage::Unchanged => return Err(self.inconsistent("no tag was sent, and nothing has changed")),
                ListingPage::Rows(page) => page,
            };
            let shown = (page.total_count, page.tag);
            if state.get_or_insert_with(|| shown.clone()) != &shown {
                return Ok(None);
            }
            let total = shown.0;
            if rows.len() + page.rows.len() > MAX_ROWS {
                return Err(self.inconsistent("it has more than 5,000,000 rows"));
            }
            if page.has_more && page.rows.is_empty() {
                return Err(self.inconsistent("a page without rows says that more follow"));
            }
            rows.extend(page.rows);
            match (rows.len() as u64).cmp(&total) {
                Ordering::Less if page.has_more => continue,
                Ordering::Equal if !page.has_more && !has_duplicates(&rows) => {}
                _ => return Ok(None),
            }
            let tag = shown.1;
            return Ok(Some(Listing::Complete { rows, tag, pages: self.pages }));
        }
    }

    /// One page, with fewer rows if it is too large otherwise.
    async fn page(&mut self, offset: u64, known: Option<&StateTag>) -> Result<ListingPage, RemoteError> {
        loop {
            let page = self.remote.listing_page(self.folder, offset, self.limit, known).await;
            self.pages = self.pages.saturating_add(1);
            match page {
                Err(error) if error.kind == RemoteErrorKind::AnswerTooLarge && self.limit > MIN_LIMIT => {
                    self.limit = (self.limit / 4).max(MIN_LIMIT);
                }
                Ok(ListingPage::Rows(Rows { rows, .. })) if rows.len() > self.limit as usize => {
                    return Err(self.inconsistent("a page has more rows than were asked for"));
                }
                page => return page,
            }
        }
    }

    fn inconsistent(&self, message: &str) -> RemoteError {
        RemoteError::new(RemoteErrorKind::Inconsistent, object(self.folder), message)
    }
}

fn has_duplicates(rows: &[ListedFile]) -> bool {
    let mut seen = BTreeSet::new();
    !rows.iter().filter_map(ListedFile::file_id).all(|id| seen.insert(id))
}
