//! Where not to look: gitignore rules from the configuration and from `.hcfsignore` in any directory.
//!
//! The nearest file speaks first, the configuration last, the last matching line of each wins, and nothing below an
//! ignored directory can be brought back: as git does. `.hcfsignore` files are read when their directory is first asked
//! about, and kept; make new [`Rules`] for every full scan.
//!
//! Invariant: a `.hcfsignore` that cannot be read hides its whole directory, so that nothing is taken for unignored by
//! mistake; the scan reports it.
//!
//! Deliberately absent: rules of our own. Nothing but `.hcfs/` is left out silently.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hcfs_model::RelPath;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::disk::{Disk, Refusal, join, read_small};
use crate::folder::Folder;

/// The name of a file with ignore rules.
pub const IGNORE_FILE: &str = ".hcfsignore";
/// The largest such file that is read, in bytes.
const LIMIT: usize = 1024 * 1024;

/// A pattern of the configuration that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{pattern}\" is not an ignore pattern: {reason}")]
pub struct RuleError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What one directory's file says.
pub(crate) enum Level {
    /// No file.
    Nothing,
    /// Rules, relative to the directory.
    Rules {
        /// The rules.
        matcher: Gitignore,
        /// Lines that are no patterns: number from 1 and what is wrong.
        bad_lines: Vec<(usize, String)>,
    },
    /// It cannot be read.
    Unreadable(String),
}

/// The ignore rules of one folder.
pub struct Rules {
    disk: Arc<dyn Disk>,
    config: Gitignore,
    /// By directory, as the text of its path; the root is empty.
    levels: Mutex<BTreeMap<Box<str>, Arc<Level>>>,
}

/// The rules that hold in one directory, the nearest first.
pub(crate) struct Chain<'a> {
    config: &'a Gitignore,
    /// Each with the length of its directory's path.
    levels: Vec<(usize, Arc<Level>)>,
}

/// What the rules say of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be synced.
    Kept,
    /// It is not.
    Ignored,
    /// A file of rules above it cannot be read now: nothing may be done with it.
    Unknown,
}

impl Chain<'_> {
    /// Whether a name in this directory is ignored, its directory not being so, or that cannot be known.
    pub(crate) fn ignores(&self, path: &[u8], is_dir: bool) -> bool {
        self.verdict(path, is_dir) != Verdict::Kept
    }

    /// What the rules say of a name in this directory, its directory being kept.
    ///
    /// Bytes, since names that cannot be synced can be ignored too.
    fn verdict(&self, path: &[u8], is_dir: bool) -> Verdict {
        let as_path = |bytes| Path::new(OsStr::from_bytes(bytes));
        for (length, level) in &self.levels {
            let below = if *length == 0 { path } else { path.get(length + 1..).unwrap_or(path) };
            match &**level {
                Level::Nothing => {}
                Level::Unreadable(_) => return Verdict::Unknown,
                Level::Rules { matcher, .. } => match matcher.matched(as_path(below), is_dir) {
                    Match::None => {}
                    Match::Ignore(_) => return Verdict::Ignored,
                    Match::Whitelist(_) => return Verdict::Kept,
                },
            }
        }
        match self.config.matched(as_path(path), is_dir) {
            Match::Ignore(_) => Verdict::Ignored,
            Match::None | Match::Whitelist(_) => Verdict::Kept,
        }
    }
}

impl Rules {
    /// The rules of `folder` with the patterns of its configuration, one line of gitignore each.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn new(folder: &Folder, patterns: &[String]) -> Result<Self, RuleError> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            let failed = |error: ignore::Error| RuleError { pattern: pattern.clone(), reason: error.to_string() };
            builder.add_line(None, pattern).map_err(failed)?;
        }
        let config =
            builder.build().map_err(|error| RuleError { pattern: patterns.join(", "), reason: error.to_string() })?;
        Ok(Self { disk: Arc::clone(&folder.disk), config, levels: Mutex::new(BTreeMap::new()) })
    }

    /// Whether `path`, or a directory above it, is ignored, or that cannot be known now. `is_dir` says what `path` is.
    ///
    /// Works for paths that are not on disk too: a synced file that is ignored now is one whose absence means nothing.
    #[must_use]
    pub fn is_ignored(&self, path: &RelPath, is_dir: bool) -> bool {
        self.verdict(path, is_dir) != Verdict::Kept
    }

    /// What the rules say of `path`, as [`Rules::is_ignored`]. Rules that could not be read are read again.
    #[must_use]
    pub fn verdict(&self, path: &RelPath, is_dir: bool) -> Verdict {
        let text = path.as_str();
        let ends = text.match_indices('/').map(|(at, _)| (at, true)).chain([(text.len(), is_dir)]);
        for (end, is_dir) in ends {
            let prefix = &text[..end];
            let chain = self.chain(prefix.rsplit_once('/').map_or("", |(dir, _)| dir));
            let verdict = chain.verdict(prefix.as_bytes(), is_dir);
            if verdict != Verdict::Kept {
                return verdict;
            }
        }
        Verdict::Kept
    }

    /// The rules that hold in the directory `dir`.
    pub(crate) fn chain(&self, dir: &str) -> Chain<'_> {
        let mut levels = Vec::new();
        let mut at = Some(dir);
        while let Some(dir) = at {
            let level = self.level(dir, dir.as_bytes());
            if !matches!(*level, Level::Nothing) {
                levels.push((dir.len(), level));
            }
            at = match dir.rsplit_once('/') {
                Some((parent, _)) => Some(parent),
                None if dir.is_empty() => None,
                None => Some(""),
            };
        }
        Chain { config: &self.config, levels }
    }

    /// The level of `dir`, which lies at `disk_path`.
    pub(crate) fn level(&self, dir: &str, disk_path: &[u8]) -> Arc<Level> {
        let held = self.levels.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned();
        held.unwrap_or_else(|| {
            let level = Arc::new(read_level(&*self.disk, disk_path));
            // What could not be read may be readable in a moment.
            if !matches!(*level, Level::Unreadable(_)) {
                self.keep(dir, &level);
            }
            level
        })
    }

    /// Says that a directory has no file, so that it need not be looked for.
    pub(crate) fn none_in(&self, dir: &str) {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if !levels.contains_key(dir) {
            levels.insert(dir.into(), Arc::new(Level::Nothing));
        }
    }

    fn keep(&self, dir: &str, level: &Arc<Level>) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.into(), Arc::clone(level));
    }
}

fn read_level(disk: &dyn Disk, dir: &[u8]) -> Level {
    let bytes = match read_small(disk, &join(dir, IGNORE_FILE.as_bytes()), LIMIT) {
        Ok(bytes) => bytes,
        Err(error) => {
            return match (Refusal::of(&error), error.kind()) {
                (Refusal::NotFound | Refusal::NotADirectory, _) => Level::Nothing,
                // The directory itself, or one above it, is a link: nothing below is looked at anyway.
                (Refusal::Symlink | Refusal::Name, _) => Level::Nothing,
                (_, io::ErrorKind::FileTooLarge) => Level::Unreadable("it is larger than 1 MiB".into()),
                _ => Level::Unreadable(error.to_string()),
            };
        }
    };
    let Ok(text) = std::str::from_utf8(&bytes) else { return Level::Unreadable("it is not UTF-8".into()) };
    let mut builder = GitignoreBuilder::new("");
    let mut bad_lines = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if let Err(error) = builder.add_line(None, line) {
            bad_lines.push((index + 1, error.to_string()));
        }
    }
    match builder.build() {
        Ok(matcher) => Level::Rules { matcher, bad_lines },
        Err(error) => Level::Unreadable(error.to_string()),
    }
}
