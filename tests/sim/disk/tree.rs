//! A file system in memory that knows what of it would survive a loss of power.
//!
//! Names change in steps that are kept, each whole, in their order, as a journal keeps them. A loss of power undoes steps
//! from the last one back, never one that was made durable: syncing a directory makes everything durable up to the last
//! step that touched it. Content is apart: of what was written since a file was last synced, any part may be lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use hcfs_fs::{Kind, Rename, Stat};
use hcfs_model::{Fingerprint, Inode, UnixNanos};

use crate::script::Broken;

pub(crate) const EIO: i32 = 5;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const EOPNOTSUPP: i32 = 95;
const ENOENT: i32 = 2;
pub(crate) const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const ENAMETOOLONG: i32 = 36;
const ENOTEMPTY: i32 = 39;
const ELOOP: i32 = 40;

pub(crate) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// What kind of file system it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// The step of its clock in nanoseconds.
    pub(crate) step: i64,
    pub(crate) folds_case: bool,
    pub(crate) exchanges: bool,
    pub(crate) refuses_to_replace: bool,
    pub(crate) allocates: bool,
    pub(crate) reuses_inodes: bool,
    /// What is broken on purpose.
    pub(crate) broken: Option<Broken>,
}

pub(crate) type Content = Arc<Vec<u8>>;

pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) content: Content,
    /// Content and time of change that survive; `None` until the file is synced first.
    settled: Option<(Content, i64)>,
    /// By folded name: the name as it was given, and the node.
    entries: BTreeMap<Vec<u8>, Entry>,
    pub(crate) mode: u32,
    pub(crate) mtime: i64,
    ctime: i64,
    number: u64,
    links: u32,
    pub(crate) opened: u32,
    /// Whether it ever stood under a name of the folder, outside its state directory.
    pub(crate) was_visible: bool,
    pub(crate) lock: Option<u64>,
}

/// A name as it was given, and what stands under it.
type Entry = (Vec<u8>, usize);

/// One change of a directory, with the entry before it.
struct Change {
    dir: usize,
    name: Vec<u8>,
    before: Option<Entry>,
}

pub(crate) struct Tree {
    nodes: Vec<Node>,
    pub(crate) profile: Profile,
    pub(crate) device: u64,
    steps: Vec<Vec<Change>>,
    durable: usize,
    next_number: u64,
    free_numbers: Vec<u64>,
}

/// What a loss of power took.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) names: usize,
    pub(crate) contents: usize,
    pub(crate) torn: usize,
}

impl Tree {
    pub(crate) fn new(profile: Profile, device: u64) -> Self {
        let nodes = Vec::new();
        let mut tree =
            Self { nodes, profile, device, steps: Vec::new(), durable: 0, next_number: 2, free_numbers: Vec::new() };
        tree.add(Kind::Directory, 0o755, 0);
        tree.nodes[0].links = 1;
        tree
    }

    /// Makes another root, as when another drive is mounted there.
    pub(crate) fn another_root(&mut self) -> usize {
        let node = self.add(Kind::Directory, 0o755, 0);
        self.nodes[node].links = 1;
        node
    }

    fn add(&mut self, kind: Kind, mode: u32, now: i64) -> usize {
        let now = self.floor(now);
        let number = self.free_numbers.pop().unwrap_or_else(|| {
            self.next_number += 1;
            self.next_number
        });
        self.nodes.push(Node {
            kind,
            content: Content::default(),
            settled: None,
            entries: BTreeMap::new(),
            mode,
            mtime: now,
            ctime: now,
            number,
            links: 0,
            opened: 0,
            was_visible: false,
            lock: None,
        });
        self.nodes.len() - 1
    }

    fn floor(&self, now: i64) -> i64 {
        now.div_euclid(self.profile.step) * self.profile.step
    }

    pub(crate) fn node(&mut self, node: usize) -> &mut Node {
        &mut self.nodes[node]
    }

    fn key(&self, name: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(name) {
            Ok(text) if self.profile.folds_case => text.to_lowercase().into_bytes(),
            _ => name.to_vec(),
        }
    }

    fn entry(&self, dir: usize, name: &[u8]) -> Option<usize> {
        self.nodes[dir].entries.get(&self.key(name)).map(|(_, node)| *node)
    }

    /// The node at a path below `root`; the last segment is not followed.
    pub(crate) fn find(&self, root: usize, path: &[u8]) -> io::Result<usize> {
        let mut at = root;
        if path.is_empty() {
            return Ok(at);
        }
        for name in path.split(|byte| *byte == b'/') {
            match self.nodes[at].kind {
                Kind::Directory => {}
                Kind::Symlink => return Err(errno(ELOOP)),
                Kind::File | Kind::Special => return Err(errno(ENOTDIR)),
            }
            if name.len() > 255 {
                return Err(errno(ENAMETOOLONG));
            }
            at = self.entry(at, name).ok_or_else(|| errno(ENOENT))?;
        }
        Ok(at)
    }

    /// The directory a path lies in, and its name there.
    fn place<'p>(&self, root: usize, path: &'p [u8]) -> io::Result<(usize, &'p [u8])> {
        let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        let dir = self.find(root, dir)?;
        match self.nodes[dir].kind {
            _ if name.len() > 255 => Err(errno(ENAMETOOLONG)),
            Kind::Directory => Ok((dir, name)),
            Kind::Symlink => Err(errno(ELOOP)),
            Kind::File | Kind::Special => Err(errno(ENOTDIR)),
        }
    }

    pub(crate) fn stat(&self, node: usize) -> Stat {
        let found = &self.nodes[node];
        let fingerprint = Fingerprint {
            size: found.content.len() as u64,
            mtime: UnixNanos(found.mtime),
            ctime: UnixNanos(found.ctime),
            inode: Inode { device: self.device, number: found.number },
        };
        Stat { kind: found.kind, mode: found.mode, fingerprint }
    }

    pub(crate) fn list(&self, dir: usize) -> io::Result<Vec<(Vec<u8>, usize)>> {
        match self.nodes[dir].kind {
            Kind::Directory => Ok(self.nodes[dir].entries.values().cloned().collect()),
            Kind::Symlink => Err(errno(ELOOP)),
            Kind::File | Kind::Special => Err(errno(ENOTDIR)),
        }
    }

    fn set(&mut self, dir: usize, key: &[u8], entry: Option<Entry>) -> Option<Entry> {
        if let Some((_, node)) = &entry {
            self.nodes[*node].links += 1;
        }
        let before = match entry {
            Some(entry) => self.nodes[dir].entries.insert(key.to_vec(), entry),
            None => self.nodes[dir].entries.remove(key),
        };
        if let Some((_, node)) = &before {
            self.nodes[*node].links -= 1;
        }
        before
    }

    /// Changes entries in one step.
    fn step(&mut self, entries: Vec<(usize, Vec<u8>, Option<Entry>)>, now: i64) {
        let now = self.floor(now);
        let mut changes = Vec::with_capacity(entries.len());
        for (dir, name, after) in entries {
            let before = self.set(dir, &name, after.clone());
            for (_, node) in before.iter().chain(&after) {
                self.nodes[*node].ctime = now;
            }
            changes.push(Change { dir, name, before });
        }
        for change in &changes {
            if let Some((_, node)) = &change.before {
                let gone = &self.nodes[*node];
                if gone.links == 0 && gone.opened == 0 && self.profile.reuses_inodes {
                    self.free_numbers.push(gone.number);
                }
            }
        }
        self.steps.push(changes);
    }

    pub(crate) fn create(&mut self, root: usize, path: &[u8], kind: Kind, mode: u32, now: i64) -> io::Result<usize> {
        let (dir, name) = self.place(root, path)?;
        if self.entry(dir, name).is_some() {
            return Err(errno(EEXIST));
        }
        let node = self.add(kind, mode, now);
        self.step(vec![(dir, self.key(name), Some((name.to_vec(), node)))], now);
        Ok(node)
    }

    pub(crate) fn link(&mut self, root: usize, from: &[u8], to: &[u8], now: i64) -> io::Result<()> {
        let node = self.find(root, from)?;
        let (dir, name) = self.place(root, to)?;
        if self.entry(dir, name).is_some() {
            return Err(errno(EEXIST));
        }
        self.step(vec![(dir, self.key(name), Some((name.to_vec(), node)))], now);
        Ok(())
    }

    /// Removes a name that is no directory; says what stood there.
    pub(crate) fn unlink(&mut self, root: usize, path: &[u8], now: i64) -> io::Result<usize> {
        let (dir, name) = self.place(root, path)?;
        let node = self.entry(dir, name).ok_or_else(|| errno(ENOENT))?;
        if self.nodes[node].kind == Kind::Directory {
            return Err(errno(EISDIR));
        }
        self.step(vec![(dir, self.key(name), None)], now);
        Ok(node)
    }

    pub(crate) fn rmdir(&mut self, root: usize, path: &[u8], now: i64) -> io::Result<()> {
        let (dir, name) = self.place(root, path)?;
        let node = self.entry(dir, name).ok_or_else(|| errno(ENOENT))?;
        if self.nodes[node].kind != Kind::Directory {
            return Err(errno(ENOTDIR));
        }
        if !self.nodes[node].entries.is_empty() {
            return Err(errno(ENOTEMPTY));
        }
        self.step(vec![(dir, self.key(name), None)], now);
        Ok(())
    }

    fn holds(&self, dir: usize, node: usize) -> bool {
        dir == node || self.nodes[dir].entries.values().any(|(_, below)| self.holds(*below, node))
    }

    /// Renames; says what was replaced for good.
    pub(crate) fn rename(
        &mut self,
        root: usize,
        from: &[u8],
        to: &[u8],
        how: Rename,
        now: i64,
    ) -> io::Result<Option<usize>> {
        let unsupported = match how {
            Rename::Exchange => !self.profile.exchanges,
            Rename::NoReplace => !self.profile.refuses_to_replace,
            Rename::Replace => false,
        };
        if unsupported {
            return Err(errno(EINVAL));
        }
        let (old_dir, old_name) = self.place(root, from)?;
        let (new_dir, new_name) = self.place(root, to)?;
        let node = self.entry(old_dir, old_name).ok_or_else(|| errno(ENOENT))?;
        let target = self.entry(new_dir, new_name);
        if self.holds(node, new_dir)
            || target.is_some_and(|target| how == Rename::Exchange && self.holds(target, old_dir))
        {
            return Err(errno(EINVAL));
        }
        let (old_key, new_key) = (self.key(old_name), self.key(new_name));
        let given = |name: &[u8], node| Some((name.to_vec(), node));
        match (how, target) {
            (Rename::NoReplace, Some(_)) => Err(errno(EEXIST)),
            (Rename::Exchange, None) => Err(errno(ENOENT)),
            (Rename::Exchange, Some(target)) => {
                self.step(
                    vec![(old_dir, old_key, given(old_name, target)), (new_dir, new_key, given(new_name, node))],
                    now,
                );
                Ok(None)
            }
            (_, Some(target)) if target == node => {
                if old_name != new_name && old_key == new_key {
                    self.step(vec![(new_dir, new_key, given(new_name, node))], now);
                }
                Ok(None)
            }
            (_, target) => {
                if let Some(target) = target {
                    match (self.nodes[node].kind, self.nodes[target].kind) {
                        (Kind::Directory, Kind::Directory) if self.nodes[target].entries.is_empty() => {}
                        (Kind::Directory, Kind::Directory) => return Err(errno(ENOTEMPTY)),
                        (Kind::Directory, _) => return Err(errno(ENOTDIR)),
                        (_, Kind::Directory) => return Err(errno(EISDIR)),
                        _ => {}
                    }
                }
                self.step(vec![(old_dir, old_key, None), (new_dir, new_key, given(new_name, node))], now);
                Ok(target)
            }
        }
    }

    pub(crate) fn content(&self, node: usize) -> Content {
        Arc::clone(&self.nodes[node].content)
    }

    pub(crate) fn is_gone(&self, node: usize) -> bool {
        self.nodes[node].links == 0
    }

    pub(crate) fn write(&mut self, node: usize, bytes: &[u8], offset: usize, now: i64) {
        let now = self.floor(now);
        let node = &mut self.nodes[node];
        let content = Arc::make_mut(&mut node.content);
        if content.len() < offset + bytes.len() {
            content.resize(offset + bytes.len(), 0);
        }
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        (node.mtime, node.ctime) = (now, now);
    }

    pub(crate) fn set_len(&mut self, node: usize, length: usize, now: i64) {
        let now = self.floor(now);
        let node = &mut self.nodes[node];
        Arc::make_mut(&mut node.content).resize(length, 0);
        (node.mtime, node.ctime) = (now, now);
    }

    /// Puts content in place of all there was.
    pub(crate) fn put(&mut self, node: usize, content: Content, now: i64) {
        let now = self.floor(now);
        let node = &mut self.nodes[node];
        node.content = content;
        (node.mtime, node.ctime) = (now, now);
    }

    pub(crate) fn touch(&mut self, node: usize, mtime: i64, now: i64) {
        let now = self.floor(now);
        (self.nodes[node].mtime, self.nodes[node].ctime) = (mtime, now);
    }

    pub(crate) fn set_mode(&mut self, node: usize, mode: u32, now: i64) {
        let now = self.floor(now);
        (self.nodes[node].mode, self.nodes[node].ctime) = (mode, now);
    }

    pub(crate) fn sync(&mut self, node: usize) {
        if self.profile.broken != Some(Broken::NoContentSync) {
            self.settle_content(node);
        }
    }

    /// As [`Tree::sync`]; that is never broken.
    pub(crate) fn settle_content(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.settled = Some((Arc::clone(&node.content), node.mtime));
    }

    pub(crate) fn sync_dir(&mut self, dir: usize) {
        if self.profile.broken != Some(Broken::NoNameSync) {
            self.settle_dir(dir);
        }
    }

    /// As [`Tree::sync_dir`]; that is never broken.
    pub(crate) fn settle_dir(&mut self, dir: usize) {
        let touched = self.steps.iter().rposition(|step| step.iter().any(|change| change.dir == dir));
        self.durable = self.durable.max(touched.map_or(0, |at| at + 1));
    }

    pub(crate) fn sync_all(&mut self) {
        if self.profile.broken != Some(Broken::NoNameSync) {
            self.durable = self.steps.len();
        }
        (0..self.nodes.len()).for_each(|node| self.sync(node));
    }

    /// As [`Tree::sync_all`], by whoever changed something here; that is never broken.
    pub(crate) fn settle(&mut self) {
        self.durable = self.steps.len();
        for node in &mut self.nodes {
            node.settled = Some((Arc::clone(&node.content), node.mtime));
        }
    }

    /// Takes what power had not made durable, as the dice fall.
    pub(crate) fn lose_power(&mut self, below: &mut dyn FnMut(usize) -> usize, now: i64) -> Lost {
        let mut lost = Lost::default();
        let durable = if self.profile.broken == Some(Broken::ForgetfulDisk) {
            self.durable.saturating_sub(6)
        } else {
            self.durable
        };
        let kept = durable + below(self.steps.len() - durable + 1);
        for step in self.steps.split_off(kept).into_iter().rev() {
            lost.names += 1;
            for change in step.into_iter().rev() {
                self.set(change.dir, &change.name, change.before);
            }
        }
        self.steps.clear();
        self.durable = 0;
        self.free_numbers.clear();
        for node in 0..self.nodes.len() {
            self.lose_content(node, below, now, &mut lost);
        }
        lost
    }

    fn lose_content(&mut self, node: usize, below: &mut dyn FnMut(usize) -> usize, now: i64, lost: &mut Lost) {
        let forgets = self.profile.broken == Some(Broken::ForgetfulDisk);
        let floor = self.floor(now);
        let node = &mut self.nodes[node];
        (node.opened, node.lock) = (0, None);
        let is_settled = node.settled.as_ref().is_some_and(|(content, _)| Arc::ptr_eq(content, &node.content));
        if node.kind != Kind::File || (is_settled && !(forgets && below(2) == 0)) {
            return;
        }
        match below(4) {
            0 => {}
            1 => {
                let content = Arc::make_mut(&mut node.content);
                let from = below(content.len() + 1);
                content[from..].fill(0);
                (node.mtime, node.ctime) = (floor, floor);
                lost.torn += 1;
            }
            _ => {
                let (content, mtime) = match node.settled.take() {
                    Some(settled) if !forgets => settled,
                    _ => (Content::default(), floor),
                };
                (node.content, node.mtime) = (content, mtime);
                lost.contents += 1;
            }
        }
        node.settled = Some((Arc::clone(&node.content), node.mtime));
    }

    /// What has no name but one in `dir` counts as never seen by a person.
    pub(crate) fn unsee(&mut self, dir: usize) {
        for (_, node) in self.files(dir, b"") {
            let node = &mut self.nodes[node];
            node.was_visible &= node.links > 1;
        }
    }

    /// Every file below `dir` with its content, by the bytes of its path.
    pub(crate) fn files(&self, dir: usize, skip: &[u8]) -> Vec<(Vec<u8>, usize)> {
        let mut found = Vec::new();
        let mut pending = vec![(Vec::new(), dir)];
        while let Some((path, dir)) = pending.pop() {
            for (name, node) in self.nodes[dir].entries.values() {
                if path.is_empty() && name == skip {
                    continue;
                }
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name);
                match self.nodes[*node].kind {
                    Kind::Directory => pending.push((below, *node)),
                    Kind::File => found.push((below, *node)),
                    Kind::Symlink | Kind::Special => {}
                }
            }
        }
        found.sort();
        found
    }

    /// Every directory below `dir`, and every name that is no directory, without the state directory.
    pub(crate) fn names(&self, dir: usize, skip: &[u8]) -> Vec<(Vec<u8>, Kind)> {
        let mut found = Vec::new();
        let mut pending = vec![(Vec::new(), dir)];
        while let Some((path, dir)) = pending.pop() {
            for (name, node) in self.nodes[dir].entries.values() {
                if path.is_empty() && name == skip {
                    continue;
                }
                let mut below: Vec<u8> = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name);
                let kind = self.nodes[*node].kind;
                if kind == Kind::Directory {
                    pending.push((below.clone(), *node));
                }
                found.push((below, kind));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }
}
