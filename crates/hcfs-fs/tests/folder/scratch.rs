//! A folder in a temporary directory.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcfs_fs::*;
use hcfs_model::{LocalEntry, RelPath, SaltedHash, UnixNanos};

use crate::faults::{Script, Scripted};

pub const AT: UnixNanos = UnixNanos(1_800_000_000_123_456_789);
pub const NO_HASH: SaltedHash = SaltedHash([7; 32]);

pub struct Scratch {
    pub dir: tempfile::TempDir,
    pub script: Arc<Script>,
}

impl Scratch {
    pub fn new() -> Self {
        Self::with(Script::default())
    }

    pub fn with(script: Script) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), script: Arc::new(script) }
    }

    /// In memory where the system has a place for it: for tests of many small trees, which need no device.
    pub fn in_memory(script: Script) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { dir, script: Arc::new(script) }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }

    pub fn open(&self) -> Folder {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<Folder, RootError> {
        Folder::over(Scripted::over(self.dir.path(), &self.script), None, [9; 16])
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(path)).ok()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.dir.path().join(path).symlink_metadata().is_ok()
    }

    /// Every file below `below` as path and content, in order.
    pub fn files(&self, below: &str) -> Vec<(String, String)> {
        let base = self.dir.path().join(below);
        let mut found = Vec::new();
        collect(&base, &base, &mut found);
        found.sort();
        found
    }

    /// Every file of the user's, in place or in the trash.
    pub fn user_bytes(&self) -> Vec<String> {
        let outside = self.files("").into_iter().filter(|(path, _)| !path.starts_with(".hcfs/"));
        outside.chain(self.files(".hcfs/trash")).map(|(_, content)| content).collect()
    }
}

fn collect(base: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            collect(base, &path, found);
        } else if path.is_file() {
            let name = path.strip_prefix(base).unwrap().as_os_str().as_bytes();
            let content = std::fs::read(&path).unwrap();
            found.push((String::from_utf8_lossy(name).into_owned(), String::from_utf8(content).unwrap()));
        }
    }
}

pub fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

pub fn scan(folder: &Folder) -> (Vec<Scanned>, Scan) {
    let rules = Rules::new(folder, &[]).unwrap();
    scan_with(folder, &rules, Scope::All)
}

pub fn scan_with(folder: &Folder, rules: &Rules, scope: Scope<'_>) -> (Vec<Scanned>, Scan) {
    let mut found = Vec::new();
    let request = ScanRequest { scope, known: &|_| None, rules };
    let scan = folder.scan(&request, &mut |file| found.push(file)).unwrap();
    (found, scan)
}

pub fn paths(found: &[Scanned]) -> Vec<&str> {
    found.iter().map(|file| file.path.as_str()).collect()
}

pub fn entry(folder: &Folder, path: &str) -> LocalEntry {
    let fingerprint = folder.fingerprint(&rel(path), None).unwrap().unwrap();
    LocalEntry { hash: NO_HASH, fingerprint, disk_path: None }
}

pub fn staged(folder: &Folder, name: &str, content: &str) -> Staged {
    let staged = folder.stage(name, content.len() as u64).unwrap();
    staged.write_at(content.as_bytes(), 0).unwrap();
    staged
}

pub fn install(folder: &Folder, staged: Staged, target: &str, expect: Expect<'_>) -> Result<Installed, ApplyError> {
    // A path of the greatest length has no room for more.
    let aside = RelPath::new(&format!("{target} (conflict)")).unwrap_or_else(|_| rel("conflict"));
    let request = Install { target: &rel(target), expect, aside: &aside, at: AT, durability: Durability::Each };
    folder.install(staged, &request)
}

pub fn remove(folder: &Folder, target: &str, entry: &LocalEntry, patterns: &[&str]) -> Result<Removed, ApplyError> {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let rules = Rules::new(folder, &patterns).unwrap();
    let durability = Durability::Each;
    folder.remove(&Remove { target: &rel(target), entry, rules: &rules, at: AT, durability })
}

pub fn rename(folder: &Folder, from: &str, to: &str, entry: &LocalEntry) -> Result<Renamed, ApplyError> {
    let rules = Rules::new(folder, &[]).unwrap();
    let (from, to) = (rel(from), rel(to));
    let (hashed_at, durability) = (UnixNanos(i64::MAX), Durability::Each);
    folder.rename(&Move { from: &from, to: &to, entry, hashed_at, rules: &rules, at: AT, durability })
}
