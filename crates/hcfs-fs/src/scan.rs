//! What lies below the root.
//!
//! The walk reads one directory at a time, by its handle, and goes through its names in path order: what it holds of
//! files is only the names of the directories from the root down to where it is. Directories on other file systems
//! mounted below the root are crossed like any other.
//!
//! Invariants: what could not be read, or stands for more than one thing, is reported as unknown, never as absent; a
//! name that vanishes during the walk is absent; `.hcfs/` of the root is never listed.
//!
//! Deliberately absent: hashing. The scan says which files need it.

use std::collections::BTreeSet;
use std::vec::IntoIter;

use hcfs_model::{Fingerprint, PathError, Problem, ProblemCode, RelPath, SaltedHash, UnixNanos, blob};

use crate::disk::{Kind, Refusal, Stat, join};
use crate::error::{ApplyError, RootError};
use crate::folder::Folder;
use crate::names::{Resolved, composed};
use crate::rules::{Chain, IGNORE_FILE, Level, Rules};
use crate::{STATE_DIR, folder};

mod entries;

use entries::{Entry, read_directory};

/// What is known of a file from an earlier scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The fingerprint the content was hashed under.
    pub fingerprint: Fingerprint,
    /// Its salted hash.
    pub hash: SaltedHash,
    /// When hashing began, by the clock of this device.
    pub hashed_at: UnixNanos,
}

/// Where a scan looks.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Everywhere.
    All,
    /// At these paths and below them; each may be a file, a directory or nothing.
    Subtrees(&'a [RelPath]),
}

/// What a scan needs to know.
#[derive(Clone, Copy)]
pub struct ScanRequest<'a> {
    /// Where to look.
    pub scope: Scope<'a>,
    /// What is known of the file whose path on disk is these bytes.
    pub known: &'a dyn Fn(&[u8]) -> Option<Known>,
    /// Where not to look.
    pub rules: &'a Rules,
}

/// What is known of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It is what it was when it was hashed.
    Unchanged(SaltedHash),
    /// It has to be read.
    NeedsHash,
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Its path.
    pub path: RelPath,
    /// The bytes of its path on disk, where they are not those of `path`.
    pub disk_path: Option<Box<[u8]>>,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What is known of its content.
    pub content: Content,
}

/// What a scan found besides files.
///
/// A known path in the scope that was not found is absent, unless it is at or below a path in `unknown`, or the rules
/// ignore it ([`Rules::is_ignored`]): then nothing is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// How many files were found.
    pub files: u64,
    /// The directories that were read, in path order; the root is left out.
    pub directories: Vec<RelPath>,
    /// Nothing is known of these paths and what is below them: their absence means nothing. In path order.
    pub unknown: Vec<RelPath>,
    /// Something stands at these paths that is not acted on. Each is in `unknown` too. In path order.
    pub blocked: Vec<RelPath>,
    /// What is wrong, in the order it was met.
    pub problems: Vec<Problem>,
    /// How many names were left out by the rules; what lies below an ignored directory is not counted.
    pub ignored: u64,
}

/// Whether a hash taken at `hashed_at` under `fingerprint` can be trusted: no later edit can have left this fingerprint.
///
/// An edit always sets the ctime, which no program can choose. So the ctime decides, and a time of change in the future
/// costs nothing. The clock of the file system must be past the ctime by more than its step, else an edit in the same
/// step would hide ("racily clean"). File systems without a ctime report 0; there the time of change has to do.
#[must_use]
pub fn is_settled(fingerprint: &Fingerprint, hashed_at: UnixNanos) -> bool {
    let changed = if fingerprint.ctime.0 > 0 { fingerprint.ctime } else { fingerprint.mtime };
    hashed_at.0.saturating_sub(changed.0) > granularity(changed)
}

/// The step of the file system's clock in nanoseconds, as far as one time shows it: 10 ms where it has digits below the
/// second (kernels count in ticks of 1–10 ms), else 2 s (FAT).
pub(crate) fn granularity(time: UnixNanos) -> i64 {
    if time.0.rem_euclid(1_000_000_000) == 0 { 2_000_000_000 } else { 10_000_000 }
}

/// A directory being gone through.
struct Open {
    entries: IntoIter<Entry>,
    /// Lengths of the paths of this directory, to come back to them.
    disk_len: usize,
    text_len: usize,
}

/// A path of a partial scan at which something stands.
struct Top {
    path: RelPath,
    disk: Vec<u8>,
    stat: Stat,
}

impl Top {
    /// What it, or the paths below it, sort by.
    fn key(&self) -> String {
        let slash = if self.stat.kind == Kind::Directory { "/" } else { "" };
        format!("{}{slash}", self.path)
    }
}

struct Walk<'a> {
    folder: &'a Folder,
    request: &'a ScanRequest<'a>,
    found: &'a mut dyn FnMut(Scanned),
    scan: Scan,
    disk: Vec<u8>,
    text: String,
}

impl Folder {
    /// Looks for files, and calls `found` for each, in path order.
    ///
    /// # Errors
    /// The root cannot be read. Anything below it that cannot is in [`Scan::unknown`].
    pub fn scan(&self, request: &ScanRequest<'_>, found: &mut dyn FnMut(Scanned)) -> Result<Scan, RootError> {
        let mut walk =
            Walk { folder: self, request, found, scan: Scan::default(), disk: Vec::new(), text: String::new() };
        match request.scope {
            Scope::All => walk.root()?,
            Scope::Subtrees(paths) => {
                let wanted: BTreeSet<&RelPath> = paths.iter().collect();
                let tops = wanted.iter().filter(|path| !path.ancestors().any(|above| wanted.contains(&above)));
                let mut tops: Vec<Top> = tops.filter_map(|path| walk.look(path)).collect();
                tops.sort_by_cached_key(Top::key);
                for top in tops {
                    walk.subtree(top);
                }
            }
        }
        walk.scan.directories.sort_unstable();
        walk.scan.unknown.sort_unstable();
        walk.scan.unknown.dedup();
        walk.scan.blocked.sort_unstable();
        walk.scan.blocked.dedup();
        Ok(walk.scan)
    }
}

impl Walk<'_> {
    fn root(&mut self) -> Result<(), RootError> {
        match read_directory(&*self.folder.disk, b"") {
            Ok(entries) => {
                self.directory(entries);
                Ok(())
            }
            Err(error) => Err(RootError::io(self.folder.root(), "read", error)),
        }
    }

    /// Looks at one path of a partial scan; what stands there and counts is returned.
    fn look(&mut self, path: &RelPath) -> Option<Top> {
        let rules = self.request.rules;
        if path.parent().is_some_and(|dir| rules.is_ignored(&dir, true)) {
            self.scan.ignored += 1;
            return None;
        }
        match self.folder.resolve(path) {
            Ok(Resolved::Missing) => None,
            Ok(Resolved::Here { disk, stat }) if !self.inside_another(path, &disk) => {
                if rules.is_ignored(path, stat.kind == Kind::Directory) {
                    self.scan.ignored += 1;
                    return None;
                }
                Some(Top { path: path.clone(), disk, stat })
            }
            Ok(Resolved::Here { .. }) => None,
            Err(error) => {
                self.refuse(path.clone(), error.problem(path));
                None
            }
        }
    }

    fn subtree(&mut self, top: Top) {
        self.disk = top.disk;
        self.text = top.path.as_str().to_owned();
        if let Some(open) = self.entry(top.path, &top.stat) {
            self.walk(open);
        }
    }

    /// Whether a directory above `path` is the root of another synced folder.
    fn inside_another(&mut self, path: &RelPath, disk: &[u8]) -> bool {
        let mut end = disk.len();
        for parent in path.ancestors() {
            end = disk[..end].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            if self.is_other_root(&disk[..end]) {
                self.refuse(path.clone(), other_root(&parent));
                return true;
            }
        }
        false
    }

    fn is_other_root(&self, dir: &[u8]) -> bool {
        let marker = join(&join(dir, STATE_DIR.as_bytes()), folder::MARKER.as_bytes());
        self.folder.disk.stat(&marker).is_ok_and(|stat| stat.kind == Kind::File)
    }

    /// Goes through a directory that was read, whose paths are in `disk` and `text`, and all below it.
    fn directory(&mut self, entries: Vec<Entry>) {
        if let Some(open) = self.enter(entries) {
            self.walk(open);
        }
    }

    fn walk(&mut self, first: Open) {
        let mut open = vec![first];
        // The rules of the directory on top, made anew whenever that changes.
        while let Some(top) = open.last_mut() {
            self.disk.truncate(top.disk_len);
            self.text.truncate(top.text_len);
            let rules = self.request.rules;
            let chain = rules.chain(&self.text);
            let mut next = None;
            for entry in top.entries.by_ref() {
                self.disk.truncate(top.disk_len);
                self.text.truncate(top.text_len);
                next = self.step(&entry, &chain);
                if next.is_some() {
                    break;
                }
            }
            match next {
                Some(next) => open.push(next),
                None => {
                    open.pop();
                }
            }
        }
    }

    /// Looks at one name of the directory in `disk` and `text`; a directory to go into is returned.
    fn step(&mut self, entry: &Entry, chain: &Chain<'_>) -> Option<Open> {
        let dir_len = self.text.len();
        if dir_len > 0 {
            self.disk.push(b'/');
            self.text.push('/');
        }
        self.disk.extend_from_slice(&entry.name);
        let name = composed(&entry.name);
        let is_dir = entry.stat.as_ref().is_ok_and(|stat| stat.kind == Kind::Directory);
        let shown = name.as_ref().map_or(&*entry.name, |name| name.as_bytes());
        if chain.ignores(&[self.text.as_bytes(), shown].concat(), is_dir) {
            self.scan.ignored += 1;
            return None;
        }
        let path = name.ok_or(PathError::NotUtf8).and_then(|name| {
            self.text.push_str(&name);
            RelPath::new(&self.text)
        });
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                self.text.truncate(dir_len);
                self.invalid(&entry.name, &error.to_string());
                return None;
            }
        };
        match &entry.stat {
            Ok(stat) => {
                if entry.twin {
                    self.twin(path);
                    return None;
                }
                self.entry(path, stat)
            }
            Err(error) => {
                let error = std::io::Error::from(error.kind());
                let problem = ApplyError::at(&path, "look at", error).problem(&path);
                self.refuse(path, problem);
                None
            }
        }
    }

    /// Something under a valid name; its paths are in `disk` and `text`.
    fn entry(&mut self, path: RelPath, stat: &Stat) -> Option<Open> {
        match stat.kind {
            Kind::File => self.file(path, &stat.fingerprint),
            Kind::Directory => return self.descend(path),
            Kind::Symlink => {
                let problem = Problem {
                    message: format!("\"{path}\" is a symbolic link, and links are not followed"),
                    path: Some(path.clone()),
                    code: ProblemCode::Symlink,
                    hint: "replace it by what it points to, or ignore it".into(),
                };
                self.refuse(path, problem);
            }
            Kind::Special => {
                let problem = Problem {
                    message: format!("\"{path}\" is a FIFO, a socket or a device"),
                    path: Some(path.clone()),
                    code: ProblemCode::SpecialFile,
                    hint: "move it away, or ignore it".into(),
                };
                self.refuse(path, problem);
            }
        }
        None
    }

    fn file(&mut self, path: RelPath, fingerprint: &Fingerprint) {
        if fingerprint.size > blob::MAX_PLAINTEXT {
            let problem = Problem {
                message: format!("\"{path}\" has {} bytes, more than the format can hold", fingerprint.size),
                path: Some(path.clone()),
                code: ProblemCode::TooLarge,
                hint: "split the file, or ignore it".into(),
            };
            self.refuse(path, problem);
            return;
        }
        let content = match (self.request.known)(&self.disk) {
            Some(known) if known.fingerprint == *fingerprint && is_settled(fingerprint, known.hashed_at) => {
                Content::Unchanged(known.hash)
            }
            _ => Content::NeedsHash,
        };
        let disk_path = (self.disk != path.as_str().as_bytes()).then(|| self.disk.as_slice().into());
        self.scan.files += 1;
        (self.found)(Scanned { path, disk_path, fingerprint: *fingerprint, content });
    }

    fn descend(&mut self, path: RelPath) -> Option<Open> {
        match read_directory(&*self.folder.disk, &self.disk) {
            Ok(entries) => {
                if entries.iter().any(|entry| *entry.name == *STATE_DIR.as_bytes()) && self.is_other_root(&self.disk) {
                    let problem = other_root(&path);
                    self.refuse(path, problem);
                    return None;
                }
                self.scan.directories.push(path);
                self.enter(entries)
            }
            Err(error) => {
                // Gone since its parent was read: absent.
                if Refusal::of(&error) != Refusal::NotFound {
                    let problem = unreadable(&path, &error);
                    self.refuse(path, problem);
                }
                None
            }
        }
    }

    /// Takes a directory up: reads its rules, and leaves it where they cannot be read.
    fn enter(&mut self, entries: Vec<Entry>) -> Option<Open> {
        if !entries.iter().any(|entry| *entry.name == *IGNORE_FILE.as_bytes()) {
            self.request.rules.none_in(&self.text);
        }
        match &*self.request.rules.level(&self.text, &self.disk) {
            Level::Nothing => {}
            Level::Rules { bad_lines, .. } => {
                for (line, reason) in bad_lines {
                    let message = format!("line {line} of \"{}\" is not a pattern: {reason}", self.ignore_file());
                    self.rule_problem(message);
                }
            }
            Level::Unreadable(reason) => {
                let message = format!("\"{}\" cannot be read: {reason}", self.ignore_file());
                self.rule_problem(message);
                let hidden: Vec<RelPath> = match RelPath::new(&self.text) {
                    Ok(dir) => vec![dir],
                    Err(_) => entries.iter().filter_map(|entry| RelPath::from_bytes(&entry.name).ok()).collect(),
                };
                self.scan.unknown.extend(hidden);
                return None;
            }
        }
        Some(Open { entries: entries.into_iter(), disk_len: self.disk.len(), text_len: self.text.len() })
    }

    fn ignore_file(&self) -> String {
        if self.text.is_empty() { IGNORE_FILE.into() } else { format!("{}/{IGNORE_FILE}", self.text) }
    }

    fn rule_problem(&mut self, message: String) {
        let path = RelPath::new(&self.ignore_file()).ok();
        let hint = "correct the file; its lines are gitignore patterns".into();
        self.scan.problems.push(Problem { path, code: ProblemCode::Unreadable, message, hint });
    }

    /// A path that is reported and not acted on.
    fn refuse(&mut self, path: RelPath, problem: Problem) {
        self.scan.problems.push(problem);
        self.scan.unknown.push(path.clone());
        self.scan.blocked.push(path);
    }

    /// A name that cannot be a path; `text` is its directory.
    fn invalid(&mut self, name: &[u8], reason: &str) {
        let shown = name.escape_ascii();
        let message = match self.text.as_str() {
            "" => format!("\"{shown}\" cannot be synced: {reason}"),
            dir => format!("\"{shown}\" in \"{dir}\" cannot be synced: {reason}"),
        };
        self.scan.problems.push(Problem {
            path: RelPath::new(&self.text).ok(),
            code: ProblemCode::InvalidName,
            message,
            hint: "rename it, or ignore it".into(),
        });
    }

    fn twin(&mut self, path: RelPath) {
        if self.scan.blocked.last() == Some(&path) {
            return;
        }
        let problem = Problem {
            message: format!("\"{path}\" stands there more than once, in different Unicode forms"),
            path: Some(path.clone()),
            code: ProblemCode::DuplicateName,
            hint: "rename one of them".into(),
        };
        self.refuse(path, problem);
    }
}

fn other_root(path: &RelPath) -> Problem {
    Problem {
        message: format!("\"{path}\" is a synced folder of its own"),
        path: Some(path.clone()),
        code: ProblemCode::PathBlocked,
        hint: "move it out of this folder, or ignore it".into(),
    }
}

fn unreadable(path: &RelPath, error: &std::io::Error) -> Problem {
    let (code, hint) = match Refusal::of(error) {
        Refusal::Denied => (ProblemCode::Unreadable, "allow this user to read it, or ignore it"),
        Refusal::Symlink => (ProblemCode::Symlink, "replace it by what it points to, or ignore it"),
        _ => (ProblemCode::Io, "see the system's log for the device"),
    };
    Problem {
        message: format!("the directory \"{path}\" cannot be read: {error}"),
        path: Some(path.clone()),
        code,
        hint: hint.into(),
    }
}
