//! Small trees, and what users and other devices do to them.

use std::collections::BTreeMap;

use hcfs_model::{RelPath, Row, Rows};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Rng, entries};

/// A file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Content number.
    pub content: u8,
    /// Inode number.
    pub inode: u64,
}

/// A version on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Content number.
    pub content: u8,
    /// The file's version number.
    pub seq: u64,
    /// The server's name for the version.
    pub id: u64,
}

/// An agreed version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The version.
    pub version: Version,
    /// The file that held it.
    pub inode: Option<u64>,
}

/// Files on disk by path. Never a file above another.
pub type LocalTree = BTreeMap<RelPath, File>;
/// Versions on the server by path. May hold a file above another: a server knows no directories.
pub type RemoteTree = BTreeMap<RelPath, Version>;
/// Agreed versions by path.
pub type SyncedTree = BTreeMap<RelPath, Agreed>;

/// The rows of three trees, all of them.
#[must_use]
pub fn join(local: &LocalTree, remote: &RemoteTree, synced: &SyncedTree) -> Rows {
    let mut rows = Rows::new();
    for (path, file) in local {
        let row = Row { local: Some(entries::local(file.content, file.inode)), remote: None, synced: None };
        rows.insert(path.clone(), row);
    }
    for (path, version) in remote {
        rows.entry(path.clone()).or_default().remote = Some(remote_entry(version));
    }
    for (path, agreed) in synced {
        let Version { content, seq, id } = agreed.version;
        let entry = entries::synced(content, entries::revision(seq, id), agreed.inode);
        rows.entry(path.clone()).or_default().synced = Some(entry);
    }
    rows
}

fn remote_entry(version: &Version) -> hcfs_model::RemoteEntry {
    entries::remote(version.content, entries::revision(version.seq, version.id))
}

/// Something that happens to a tree. Numbers choose from what is there, so that every operation means something in
/// every tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A user writes a file in place, or a new one.
    Write {
        /// Which path.
        path: u8,
        /// Which content.
        content: u8,
    },
    /// A user replaces a file the way editors do: as a new file moved over the old one.
    Save {
        /// Which path.
        path: u8,
        /// Which content.
        content: u8,
    },
    /// A user removes a file.
    Remove {
        /// Which of the files.
        file: u8,
    },
    /// A user moves a file, over whatever is there.
    Move {
        /// Which of the files.
        file: u8,
        /// To which path.
        path: u8,
    },
    /// A user moves all that lies in one directory to another.
    MoveDirectory {
        /// Which directory.
        from: u8,
        /// To which path.
        to: u8,
    },
    /// Two files change their names.
    Swap {
        /// One of the files.
        one: u8,
        /// Another one.
        other: u8,
    },
}

/// Paths with shared starts, and with signs that sort around the slash.
const PATHS: [&str; 18] = [
    "a", "b", "c", "a/a", "a/b", "b/a", "b/b", "c/a", "a/b/a", "a/b/c", "b/a/b", "b/b/a", "a-", "a.txt", "a/b.txt",
    "d/x", "d/y", "a!",
];
const DIRECTORIES: [&str; 6] = ["a", "b", "c", "d", "a/b", "b/a"];

fn path_at(number: u8) -> RelPath {
    entries::path(PATHS[usize::from(number) % PATHS.len()])
}

fn directory_at(number: u8) -> RelPath {
    entries::path(DIRECTORIES[usize::from(number) % DIRECTORIES.len()])
}

impl Op {
    /// Any operation, with contents below `contents`.
    pub fn random(rng: &mut Rng, contents: u8) -> Self {
        let mut byte = |end: usize| u8::try_from(rng.below(end)).unwrap_or(0);
        let (kind, one, other) = (byte(12), byte(256), byte(256));
        let content = byte(usize::from(contents)) + 1;
        match kind {
            0..=2 => Self::Write { path: one, content },
            3 => Self::Save { path: one, content },
            4 | 5 => Self::Remove { file: one },
            6..=8 => Self::Move { file: one, path: other },
            9 | 10 => Self::MoveDirectory { from: one, to: other },
            _ => Self::Swap { one, other },
        }
    }
}

/// Lists of operations that shrink, with contents below `contents`.
pub fn ops(contents: u8, most: usize) -> impl Strategy<Value = Vec<Op>> {
    let byte = any::<u8>();
    let content = 1..=contents;
    let op = prop_oneof![
        3 => (byte, content.clone()).prop_map(|(path, content)| Op::Write { path, content }),
        1 => (byte, content).prop_map(|(path, content)| Op::Save { path, content }),
        2 => byte.prop_map(|file| Op::Remove { file }),
        3 => (byte, byte).prop_map(|(file, path)| Op::Move { file, path }),
        2 => (byte, byte).prop_map(|(from, to)| Op::MoveDirectory { from, to }),
        1 => (byte, byte).prop_map(|(one, other)| Op::Swap { one, other }),
    ];
    vec(op, 0..=most)
}

/// Three trees of one folder, and what makes them differ.
#[derive(Debug, Clone, Default)]
pub struct Trees {
    /// On disk.
    pub local: LocalTree,
    /// On the server.
    pub remote: RemoteTree,
    /// Last agreed.
    pub synced: SyncedTree,
    /// The last number given to an inode.
    pub inodes: u64,
    /// Inodes of removed files, which file systems give again.
    pub free: Vec<u64>,
    /// The last number given to a version.
    pub versions: u64,
}

impl Trees {
    /// A folder in which everyone agrees on what the operations made.
    #[must_use]
    pub fn agreed(ops: &[Op]) -> Self {
        let mut trees = Self::default();
        for op in ops {
            trees.here(*op);
        }
        for (path, file) in &trees.local {
            trees.versions += 1;
            let version = Version { content: file.content, seq: 1, id: trees.versions };
            trees.remote.insert(path.clone(), version);
            trees.synced.insert(path.clone(), Agreed { version, inode: Some(file.inode) });
        }
        trees
    }

    /// The rows, all of them.
    #[must_use]
    pub fn rows(&self) -> Rows {
        join(&self.local, &self.remote, &self.synced)
    }

    /// An inode that no file has: a new one, or one that was given back.
    pub fn new_inode(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.inodes += 1;
            self.inodes
        })
    }

    /// Does something to the files on disk. Files and directories that are in the way are removed.
    pub fn here(&mut self, op: Op) {
        match op {
            Op::Write { path, content } => {
                let path = path_at(path);
                let inode = match self.local.get(&path) {
                    Some(file) => file.inode,
                    None => self.new_inode(),
                };
                self.place(path, File { content, inode });
            }
            Op::Save { path, content } => {
                let inode = self.new_inode();
                self.place(path_at(path), File { content, inode });
            }
            Op::Remove { file } => {
                if let Some(file) = self.take_local(file) {
                    self.free.push(file.1.inode);
                }
            }
            Op::Move { file, path } => {
                if let Some((_, file)) = self.take_local(file) {
                    self.place(path_at(path), file);
                }
            }
            Op::MoveDirectory { from, to } => {
                for (old, new) in directory_move(self.local.keys(), from, to) {
                    if let Some(file) = self.local.remove(&old) {
                        self.place(new, file);
                    }
                }
            }
            Op::Swap { one, other } if self.local.len() > 1 => {
                if let (Some(one), Some(other)) = (self.take_local(one), self.take_local(other)) {
                    self.place(one.0, other.1);
                    self.place(other.0, one.1);
                }
            }
            Op::Swap { .. } => {}
        }
    }

    /// Does something to the versions on the server, as other devices would. A file may come to lie above another.
    pub fn there(&mut self, op: Op) {
        match op {
            Op::Write { path, content } | Op::Save { path, content } => {
                let path = path_at(path);
                let seq = self.remote.get(&path).map_or(1, |version| version.seq + 1);
                self.store(path, content, seq);
            }
            Op::Remove { file } => {
                take(&mut self.remote, file);
            }
            Op::Move { file, path } => {
                if let Some((_, version)) = take(&mut self.remote, file) {
                    self.store(path_at(path), version.content, version.seq + 1);
                }
            }
            Op::MoveDirectory { from, to } => {
                for (old, new) in directory_move(self.remote.keys(), from, to) {
                    if let Some(version) = self.remote.remove(&old) {
                        self.store(new, version.content, version.seq + 1);
                    }
                }
            }
            Op::Swap { one, other } if self.remote.len() > 1 => {
                if let (Some(one), Some(other)) = (take(&mut self.remote, one), take(&mut self.remote, other)) {
                    self.store(one.0, other.1.content, other.1.seq + 1);
                    self.store(other.0, one.1.content, one.1.seq + 1);
                }
            }
            Op::Swap { .. } => {}
        }
    }

    /// Loses or falsifies what was agreed, as a restored or lost database would.
    pub fn unagree(&mut self, op: Op) {
        match op {
            Op::Write { path, content } | Op::Save { path, content } => {
                self.versions += 1;
                let version = Version { content, seq: 1, id: self.versions };
                self.synced.insert(path_at(path), Agreed { version, inode: None });
            }
            Op::Remove { file } | Op::Move { file, .. } => {
                take(&mut self.synced, file);
            }
            Op::MoveDirectory { .. } | Op::Swap { .. } => {}
        }
    }

    fn store(&mut self, path: RelPath, content: u8, seq: u64) {
        self.versions += 1;
        self.remote.insert(path, Version { content, seq, id: self.versions });
    }

    fn take_local(&mut self, number: u8) -> Option<(RelPath, File)> {
        take(&mut self.local, number)
    }

    fn place(&mut self, path: RelPath, file: File) {
        let in_the_way = |other: &RelPath| *other == path || path.is_below(other) || other.is_below(&path);
        let removed: Vec<RelPath> = self.local.keys().filter(|other| in_the_way(other)).cloned().collect();
        for other in removed {
            let gone = self.local.remove(&other);
            self.free.extend(gone.map(|gone| gone.inode).filter(|inode| *inode != file.inode));
        }
        self.local.insert(path, file);
    }
}

fn take<V>(tree: &mut BTreeMap<RelPath, V>, number: u8) -> Option<(RelPath, V)> {
    let place = usize::from(number).checked_rem(tree.len())?;
    let path = tree.keys().nth(place)?.clone();
    tree.remove_entry(&path)
}

/// Every path in one directory, with its path in another.
fn directory_move<'a>(paths: impl Iterator<Item = &'a RelPath>, from: u8, to: u8) -> Vec<(RelPath, RelPath)> {
    let (from, to) = (directory_at(from), path_at(to));
    if to == from || to.is_below(&from) {
        return Vec::new();
    }
    paths
        .filter(|path| path.is_below(&from))
        .map(|path| (path.clone(), entries::path(&format!("{to}{}", &path.as_str()[from.as_str().len()..]))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_never_holds_a_file_above_another_nor_one_inode_twice() {
        for seed in 0..500 {
            let mut rng = Rng::new(seed);
            let mut trees = Trees::default();
            for _ in 0..20 {
                trees.here(Op::random(&mut rng, 3));
                let mut inodes: Vec<u64> = trees.local.values().map(|file| file.inode).collect();
                inodes.sort_unstable();
                inodes.dedup();
                assert_eq!(inodes.len(), trees.local.len(), "seed {seed}");
                let clash =
                    trees.local.keys().any(|path| path.ancestors().any(|above| trees.local.contains_key(&above)));
                assert!(!clash, "seed {seed}: {:?}", trees.local);
            }
        }
    }

    #[test]
    fn agreed_trees_agree() {
        let mut rng = Rng::new(1);
        let ops: Vec<Op> = (0..30).map(|_| Op::random(&mut rng, 3)).collect();
        let trees = Trees::agreed(&ops);
        assert!(!trees.local.is_empty());
        assert!(trees.rows().values().all(Row::is_agreed));
    }
}
