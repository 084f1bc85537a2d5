//! Names in plaintext, where clients share them: browsing, searching, and counting by kind.

use async_trait::async_trait;
use hcfs_model::{AccountAddress, FileId, FolderHash};

use super::{FolderKey, ListedFile, Outcome};

/// What a store keeps of a file's name besides the name itself, made from the name alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NameIndex {
    /// The directory, without a slash at its end; `None` where the path is not known.
    pub(crate) directory: Option<String>,
    /// What follows the last dot of the name, in lower case.
    pub(crate) extension: Option<String>,
    /// What a search looks through: the path, or else the name, in lower case.
    pub(crate) search_name: Option<String>,
}

impl NameIndex {
    pub(crate) fn of(file_name: Option<&str>, relative_path: Option<&str>) -> Self {
        let (directory, last) = match relative_path.map(|path| path.rsplit_once('/').unwrap_or(("", path))) {
            Some((directory, last)) => (Some(directory.to_owned()), Some(last)),
            None => (None, None),
        };
        let extension = last.or(file_name).and_then(|name| name.rsplit_once('.'));
        let extension = extension.filter(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
        Self {
            directory,
            extension: extension.map(|(_, extension)| extension.to_lowercase()),
            search_name: relative_path.or(file_name).map(str::to_lowercase),
        }
    }
}

/// What files are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortBy {
    Name,
    Size,
    Created,
    Updated,
}

/// Which files are wanted, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Extensions in lower case; `None` for all.
    pub(crate) extensions: Option<Vec<String>>,
    pub(crate) sort_by: SortBy,
    pub(crate) descending: bool,
    pub(crate) offset: u64,
    pub(crate) limit: u64,
}

/// The columns of a listed file, of the table `f`, as every store in SQL has them.
pub(crate) const LISTED_OF_F: &str = "f.path_hash, f.salted_hash, f.size_bytes, f.revision_seq, f.revision_id,
    f.ciphertext_hash, f.encrypted_path, f.file_name, f.relative_path, f.created_at, f.updated_at";

impl Wanted {
    /// The order of a page, in SQL, of the table `f`; the row id settles ties, so that pages fit together.
    pub(crate) fn order_by(&self) -> String {
        let column = match self.sort_by {
            SortBy::Name => "f.search_name",
            SortBy::Size => "f.size_bytes",
            SortBy::Created => "f.created_at",
            SortBy::Updated => "f.updated_at",
        };
        let direction = if self.descending { "DESC" } else { "ASC" };
        format!("ORDER BY {column} {direction}, f.id {direction}")
    }
}

/// A page of a directory: its directories come before its files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DirectoryPage {
    pub(crate) folders: Vec<Directory>,
    pub(crate) files: Vec<ListedFile>,
    /// Directories and files in all.
    pub(crate) total: u64,
}

/// A directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) name: String,
    /// Files below it, at any depth.
    pub(crate) file_count: u64,
    /// Their plaintext bytes.
    pub(crate) total_bytes: u64,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// What the name holds, in lower case; three characters or more.
    pub(crate) text: String,
    /// Plaintext bytes.
    pub(crate) size: std::ops::RangeInclusive<u64>,
    /// When the file was first stored, Unix seconds.
    pub(crate) created: std::ops::RangeInclusive<i64>,
    pub(crate) wanted: Wanted,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SearchPage {
    pub(crate) hits: Vec<Hit>,
    pub(crate) total: u64,
}

/// A file that was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) folder: FolderHash,
    /// `None` for a folder that is not registered.
    pub(crate) label: Option<String>,
    pub(crate) file: ListedFile,
}

/// What became of a path that was to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathOutcome {
    /// The file has it now.
    Updated,
    /// The file had it already.
    Skipped,
    NotFound,
    /// The file has another one.
    Mismatch,
}

/// How many files of one kind, and their plaintext bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) kind: Option<String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Names in plaintext.
#[async_trait]
pub(crate) trait Names: Send + Sync {
    /// Gives files that have no path one, in one commit; the answers are in the order of `paths`.
    async fn register_paths(&self, folder: FolderKey, paths: Vec<(FileId, String)>) -> Outcome<Vec<PathOutcome>>;

    /// A page of a directory, `""` being the root. Files whose path is not known are in none.
    async fn browse(&self, folder: FolderKey, directory: String, wanted: Wanted) -> Outcome<DirectoryPage>;

    /// A page of an account's files whose name holds a text.
    async fn search(&self, account: AccountAddress, search: Search) -> Outcome<SearchPage>;

    /// An account's files by extension; those without one are not counted.
    async fn by_extension(&self, account: AccountAddress) -> Outcome<Vec<Count>>;

    /// An account's files by the family of clients that sent them.
    async fn by_source(&self, account: AccountAddress) -> Outcome<Vec<Count>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_follows_from_the_name() {
        let index = |name: Option<&str>, path: Option<&str>| {
            let NameIndex { directory, extension, search_name } = NameIndex::of(name, path);
            (directory, extension, search_name)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(index(None, Some("a/b.d/C.TAR.GZ")), (some("a/b.d"), some("gz"), some("a/b.d/c.tar.gz")));
        assert_eq!(index(Some("x.PDF"), None), (None, some("pdf"), some("x.pdf")));
        assert_eq!(index(Some("x"), Some("a.b/Ünder")), (some("a.b"), None, some("a.b/ünder")));
        assert_eq!(index(None, Some(".bashrc")), (some(""), None, some(".bashrc")));
        assert_eq!(index(None, Some("end.")), (some(""), None, some("end.")));
        assert_eq!(index(None, None), (None, None, None));
    }
}
