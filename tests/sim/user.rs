//! People who work in the folder while it is kept in step.
//!
//! What a person does is done whole, and is durable when it is done: what programs lose that do not sync is not the
//! folder's to answer for. Whatever a person destroys is noted as dropped, unless the folder has it under another name.

use hcfs_fs::{Hint, Kind, Rename};
use hcfs_model::RelPath;
use hcfs_testkit::Rng;
use unicode_normalization::UnicodeNormalization;

use crate::disk::tree::{Content, Tree};
use crate::ledger::Ledger;

const STATE: &[u8] = b".hcfs";
const DIRECTORIES: [&str; 6] = ["", "", "", "d/", "e/", "d/f/"];
const NAMES: [&str; 8] = ["a", "b", "c.txt", "d", "e", "é", "Long Name.tar.gz", "A"];
/// Names that some devices cannot hold.
const ODD: [&[u8]; 4] = [b"bad\xff", b"a\\b", b"con", b"x ."];

/// How people of a scenario work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// How many of 100 new contents are larger than a frame.
    pub(crate) large: usize,
    /// Whether names come in another Unicode form, and odd ones.
    pub(crate) odd_names: bool,
    /// Whether links and special files are made.
    pub(crate) odd_files: bool,
}

/// One person's hands.
pub(crate) struct Hands<'w> {
    pub(crate) tree: &'w mut Tree,
    pub(crate) root: usize,
    pub(crate) ledger: &'w mut Ledger,
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    pub(crate) habits: Habits,
    /// What a watcher would see of it.
    pub(crate) seen: Vec<Hint>,
    /// Whether a name was used that no hint can name.
    pub(crate) unnamed: bool,
}

fn relative(path: &[u8]) -> Option<RelPath> {
    RelPath::from_bytes(path).ok()
}

impl Hands<'_> {
    /// Does one thing, if it can be done, and says what.
    pub(crate) fn act(&mut self) -> String {
        let names = self.tree.names(self.root, STATE);
        let files: Vec<Vec<u8>> =
            names.iter().filter(|(_, kind)| *kind == Kind::File).map(|(path, _)| path.clone()).collect();
        let some_file = |rng: &mut Rng| files.get(rng.below(files.len())).cloned();
        let some = |rng: &mut Rng| names.get(rng.below(names.len())).map(|(path, _)| path.clone());
        let done = match self.rng.below(100) {
            0..26 => self.create(),
            26..40 => some_file(&mut self.rng).and_then(|path| self.save(&path)),
            40..47 => some_file(&mut self.rng).and_then(|path| self.edit(&path)),
            47..51 => some_file(&mut self.rng).and_then(|path| self.append(&path)),
            51..60 => some(&mut self.rng).and_then(|path| self.delete(&path)),
            60..76 => some(&mut self.rng).and_then(|path| {
                let to = self.new_path();
                self.rename(&path, &to, Rename::NoReplace)
            }),
            76..80 => {
                some_file(&mut self.rng).zip(some_file(&mut self.rng)).and_then(|(from, to)| self.move_over(&from, &to))
            }
            80..85 => some(&mut self.rng).zip(some(&mut self.rng)).and_then(|(one, other)| self.swap(&one, &other)),
            85..88 => some_file(&mut self.rng).and_then(|path| self.touch(&path)),
            88..90 => some_file(&mut self.rng).and_then(|path| self.copy(&path)),
            90..92 => some_file(&mut self.rng).and_then(|path| {
                self.delete(&path)?;
                let inside = [&path[..], b"/inside"].concat();
                self.write_new(&inside)
            }),
            92..95 => {
                let path = self.new_path();
                self.make_directories(&path);
                self.directory(&path)
            }
            95..97 if self.habits.odd_files => self.odd_file(),
            _ => some_file(&mut self.rng).and_then(|path| self.change_case(&path)),
        };
        self.tree.settle();
        done.unwrap_or_else(|| "nothing".to_owned())
    }

    fn new_path(&mut self) -> Vec<u8> {
        let dir = DIRECTORIES[self.rng.below(DIRECTORIES.len())];
        let name = NAMES[self.rng.below(NAMES.len())];
        if self.habits.odd_names && self.rng.chance(15) {
            return [dir.as_bytes(), ODD[self.rng.below(ODD.len())]].concat();
        }
        if self.habits.odd_names && self.rng.chance(50) {
            return format!("{dir}{}", name.nfd().collect::<String>()).into_bytes();
        }
        format!("{dir}{name}").into_bytes()
    }

    fn content(&mut self) -> Content {
        if self.rng.chance(10)
            && let Some(old) = self.ledger.old_content(self.rng.below(64))
        {
            self.ledger.wrote(&old);
            return old;
        }
        let size = match self.rng.below(100) {
            share if share < self.habits.large => 200_000 + self.rng.below(600_000),
            share if share > 96 => 0,
            _ => self.rng.below(120),
        };
        let content = self.ledger.new_content(size);
        self.ledger.wrote(&content);
        content
    }

    /// Notes what is destroyed when `node` is, if it is not there a second time.
    fn destroys(&mut self, node: usize) {
        let content = Content::clone(&self.tree.node(node).content);
        let copies = self.tree.files(self.root, STATE);
        let others = copies.iter().filter(|(_, other)| *other != node && self.tree.content(*other) == content);
        if others.count() == 0 {
            self.ledger.dropped(&content);
        }
    }

    fn saw(&mut self, path: &[u8]) {
        self.hint(path, Hint::Touched);
    }

    fn hint(&mut self, path: &[u8], hint: impl FnOnce(RelPath) -> Hint) {
        match relative(path) {
            Some(path) => self.seen.push(hint(path)),
            None => self.unnamed = true,
        }
    }

    fn make_directories(&mut self, path: &[u8]) {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if self.tree.create(self.root, &path[..at], Kind::Directory, 0o755, self.now).is_ok() {
                self.hint(&path[..at], Hint::Subtree);
            }
        }
    }

    fn directory(&mut self, path: &[u8]) -> Option<String> {
        self.tree.create(self.root, path, Kind::Directory, 0o755, self.now).ok()?;
        self.hint(path, Hint::Subtree);
        Some(format!("mkdir {}", path.escape_ascii()))
    }

    fn create(&mut self) -> Option<String> {
        let path = self.new_path();
        self.write_new(&path)
    }

    fn write_new(&mut self, path: &[u8]) -> Option<String> {
        self.make_directories(path);
        if let Ok(there) = self.tree.find(self.root, path) {
            return if self.tree.node(there).kind == Kind::File { self.save(path) } else { None };
        }
        let node = self.tree.create(self.root, path, Kind::File, 0o644, self.now).ok()?;
        let content = self.content();
        self.tree.put(node, Content::clone(&content), self.now);
        self.tree.node(node).was_visible = true;
        self.saw(path);
        Some(format!("write {} {}", path.escape_ascii(), brief(&content)))
    }

    /// As editors do: a new file is written beside and put in place of the old one.
    fn save(&mut self, path: &[u8]) -> Option<String> {
        let beside = [path, b".tmp~"].concat();
        let node = self.tree.create(self.root, &beside, Kind::File, 0o644, self.now).ok()?;
        let content = self.content();
        self.tree.put(node, Content::clone(&content), self.now);
        self.tree.node(node).was_visible = true;
        self.saw(&beside);
        let old = self.tree.rename(self.root, &beside, path, Rename::Replace, self.now);
        if let Ok(Some(old)) = old {
            self.destroys(old);
        }
        self.seen.extend(relative(&beside).zip(relative(path)).map(|(from, to)| Hint::Moved(from, to)));
        self.saw(path);
        Some(format!("save {} {}", path.escape_ascii(), brief(&content)))
    }

    fn edit(&mut self, path: &[u8]) -> Option<String> {
        let node = self.tree.find(self.root, path).ok()?;
        let content = self.content();
        if self.tree.content(node) != content {
            self.destroys(node);
        }
        self.tree.put(node, Content::clone(&content), self.now);
        self.saw(path);
        Some(format!("edit {} {}", path.escape_ascii(), brief(&content)))
    }

    fn append(&mut self, path: &[u8]) -> Option<String> {
        let node = self.tree.find(self.root, path).ok()?;
        self.destroys(node);
        let mut bytes = self.tree.content(node).to_vec();
        bytes.extend_from_slice(&self.ledger.new_content(0));
        let content = Content::new(bytes);
        self.ledger.wrote(&content);
        self.tree.put(node, content, self.now);
        self.saw(path);
        Some(format!("append {}", path.escape_ascii()))
    }

    fn delete(&mut self, path: &[u8]) -> Option<String> {
        let node = self.tree.find(self.root, path).ok()?;
        if self.tree.node(node).kind == Kind::Directory {
            for (below, _) in self.tree.names(node, b"").into_iter().rev() {
                self.delete_one(&[path, b"/", &below].concat());
            }
        }
        self.delete_one(path);
        Some(format!("delete {}", path.escape_ascii()))
    }

    fn delete_one(&mut self, path: &[u8]) {
        let Ok(node) = self.tree.find(self.root, path) else { return };
        if self.tree.node(node).kind == Kind::File {
            self.destroys(node);
        }
        let _ = self.tree.unlink(self.root, path, self.now);
        let _ = self.tree.rmdir(self.root, path, self.now);
        self.saw(path);
    }

    fn moved(&mut self, from: &[u8], to: &[u8]) {
        match (relative(from), relative(to)) {
            (Some(from), Some(to)) => self.seen.push(Hint::Moved(from, to)),
            (known, other) => {
                self.unnamed = true;
                self.seen.extend(known.into_iter().chain(other).map(Hint::Subtree));
            }
        }
    }

    fn rename(&mut self, from: &[u8], to: &[u8], how: Rename) -> Option<String> {
        self.make_directories(to);
        if how == Rename::NoReplace && self.tree.find(self.root, to).is_ok() {
            return None;
        }
        let how = if how == Rename::NoReplace { Rename::Replace } else { how };
        self.tree.rename(self.root, from, to, how, self.now).ok()?;
        self.moved(from, to);
        Some(format!("rename {} -> {}", from.escape_ascii(), to.escape_ascii()))
    }

    fn move_over(&mut self, from: &[u8], to: &[u8]) -> Option<String> {
        if from == to {
            return None;
        }
        let old = self.tree.rename(self.root, from, to, Rename::Replace, self.now).ok()??;
        self.destroys(old);
        self.moved(from, to);
        Some(format!("move {} over {}", from.escape_ascii(), to.escape_ascii()))
    }

    fn swap(&mut self, one: &[u8], other: &[u8]) -> Option<String> {
        if one == other {
            return None;
        }
        let between = b"between~";
        let inside = |inner: &[u8], outer: &[u8]| inner.starts_with(&[outer, b"/"].concat());
        if inside(one, other) || inside(other, one) {
            return None;
        }
        self.tree.rename(self.root, one, between, Rename::Replace, self.now).ok()?;
        self.moved(one, between);
        self.tree.rename(self.root, other, one, Rename::Replace, self.now).ok()?;
        self.moved(other, one);
        self.tree.rename(self.root, between, other, Rename::Replace, self.now).ok()?;
        self.moved(between, other);
        Some(format!("swap {} and {}", one.escape_ascii(), other.escape_ascii()))
    }

    fn touch(&mut self, path: &[u8]) -> Option<String> {
        let node = self.tree.find(self.root, path).ok()?;
        let year = 31_557_600_000_000_000_i64;
        let mtime = match self.rng.below(4) {
            0 => 0,
            1 => -year,
            2 => self.now + 10 * year,
            _ => self.now,
        };
        self.tree.touch(node, mtime, self.now);
        self.saw(path);
        Some(format!("touch {}", path.escape_ascii()))
    }

    fn copy(&mut self, from: &[u8]) -> Option<String> {
        let node = self.tree.find(self.root, from).ok()?;
        let content = self.tree.content(node);
        let to = self.new_path();
        self.make_directories(&to);
        let copy = self.tree.create(self.root, &to, Kind::File, 0o644, self.now).ok()?;
        self.ledger.wrote(&content);
        self.tree.put(copy, content, self.now);
        self.tree.node(copy).was_visible = true;
        self.saw(&to);
        Some(format!("copy {} to {}", from.escape_ascii(), to.escape_ascii()))
    }

    fn odd_file(&mut self) -> Option<String> {
        let path = self.new_path();
        self.make_directories(&path);
        let kind = if self.rng.chance(60) { Kind::Symlink } else { Kind::Special };
        self.tree.create(self.root, &path, kind, 0o644, self.now).ok()?;
        self.saw(&path);
        Some(format!("make {kind:?} {}", path.escape_ascii()))
    }

    fn change_case(&mut self, path: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(path).ok()?;
        let (dir, name) = text.rsplit_once('/').map_or(("", text), |(dir, name)| (dir, name));
        let swapped: String = name
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        let to = if dir.is_empty() { swapped } else { format!("{dir}/{swapped}") };
        if !self.tree.profile.folds_case && self.tree.find(self.root, to.as_bytes()).is_ok() {
            return None;
        }
        self.tree.rename(self.root, path, to.as_bytes(), Rename::Replace, self.now).ok()?;
        self.moved(path, to.as_bytes());
        Some(format!("rename {text} -> {to}"))
    }
}

/// The start of a content, for the trace.
pub(crate) fn brief(content: &[u8]) -> String {
    let end = content.iter().position(|byte| *byte == b'.').unwrap_or(content.len()).min(8);
    format!("<{} {}>", content[..end].escape_ascii(), content.len())
}
