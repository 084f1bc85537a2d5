//! People who change files while a folder is being synced.
//!
//! A change takes what it destroys along, in one step, to a place outside the folder. So whatever happens at the same
//! time, what people destroyed is known exactly, and everything else they ever wrote must be found somewhere.

#![expect(clippy::unwrap_used, reason = "a test whose own directories fail cannot go on")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::Rng;
use crate::files::{bytes, files_below};

const DIRECTORIES: [&str; 6] = ["", "", "d/", "e/", "d/f/", "e/g/h/"];
const NAMES: [&str; 7] = ["a", "b", "c.txt", "d", "e", "f", "long name.tar"];

/// What people wrote, on all devices.
#[derive(Default)]
pub struct Written {
    /// Every content.
    pub all: BTreeSet<Vec<u8>>,
    /// What was overwritten in place.
    pub overwritten: BTreeSet<Vec<u8>>,
    count: u64,
}

impl Written {
    /// A content nobody wrote before; sometimes one that is there already.
    fn next(&mut self, rng: &mut Rng) -> Vec<u8> {
        self.count += 1;
        if rng.chance(12) && !self.all.is_empty() {
            let chosen = rng.below(self.all.len());
            return self.all.iter().nth(chosen).unwrap().clone();
        }
        let length = match rng.below(100) {
            0..4 => return self.keep(Vec::new()),
            4..90 => rng.below(200),
            90..99 => 250_000 + rng.below(600_000),
            _ => 9_000_000,
        };
        let mut content = format!("{} ", self.count).into_bytes();
        content.extend(bytes(length, self.count));
        self.keep(content)
    }

    fn keep(&mut self, content: Vec<u8>) -> Vec<u8> {
        self.all.insert(content.clone());
        content
    }
}

/// The person at one device.
pub struct Person {
    root: PathBuf,
    /// Where things are made before they go into the folder.
    desk: PathBuf,
    /// Where things go that were destroyed.
    grave: PathBuf,
    count: u64,
}

impl Person {
    /// A person who works in the folder at `root`, and keeps what is aside in `place`, on the same file system.
    ///
    /// # Panics
    /// `place` cannot be used.
    #[must_use]
    pub fn new(root: &Path, place: &Path) -> Self {
        let (desk, grave) = (place.join("desk"), place.join("grave"));
        fs::create_dir(&desk).unwrap();
        fs::create_dir(&grave).unwrap();
        Self { root: root.to_owned(), desk, grave, count: 0 }
    }

    /// Everything that was destroyed here, or never came into the folder.
    #[must_use]
    pub fn destroyed(&self) -> BTreeSet<Vec<u8>> {
        let places = [&self.grave, &self.desk];
        places.into_iter().flat_map(|place| files_below(place, |_| true).into_values()).collect()
    }

    /// Does one thing, if it can be done, and says what.
    ///
    /// # Panics
    /// Its own desk cannot be used.
    pub fn act(&mut self, rng: &mut Rng, written: &mut Written) -> String {
        let there = self.entries();
        let some = |rng: &mut Rng| there.get(rng.below(there.len())).cloned();
        let files: Vec<&(String, bool)> = there.iter().filter(|(_, is_dir)| !is_dir).collect();
        let some_file = |rng: &mut Rng| files.get(rng.below(files.len())).map(|(path, _)| path.clone());
        match rng.below(100) {
            0..30 => self.put(&new_path(rng), rng, written),
            30..45 => some_file(rng).and_then(|path| self.put(&path, rng, written)),
            45..55 => some_file(rng).and_then(|path| self.write_into(&path, rng, written)),
            55..67 => some(rng).and_then(|(path, _)| self.delete(&path)),
            67..84 => some(rng).and_then(|(path, _)| self.rename(&path, &new_path(rng), RenameFlags::NOREPLACE)),
            84..90 => match (some(rng), some(rng)) {
                (Some((one, _)), Some((other, _))) => self.rename(&one, &other, RenameFlags::EXCHANGE),
                _ => None,
            },
            90..93 => some_file(rng).and_then(|path| self.touch(&path)),
            93..97 => some_file(rng).and_then(|path| {
                self.delete(&path)?;
                self.put(&format!("{path}/inside"), rng, written)
            }),
            _ => {
                let path = new_path(rng);
                fs::create_dir_all(self.root.join(&path)).ok().map(|()| format!("make directory {path}"))
            }
        }
        .unwrap_or_else(|| "nothing".to_owned())
    }

    /// Files and directories of the folder, in order.
    fn entries(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let mut pending = vec![self.root.clone()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned();
                // Nobody works on a file that has a temporary name for a moment.
                if name == ".hcfs" || name.starts_with(".hcfs-rename-") {
                    continue;
                }
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_dir {
                    pending.push(path);
                }
                found.push((name, is_dir));
            }
        }
        found.sort();
        found
    }

    fn fresh(&mut self, place: fn(&Self) -> &PathBuf) -> PathBuf {
        self.count += 1;
        place(self).join(self.count.to_string())
    }

    /// As editors do: a new file takes the place of what is there.
    fn put(&mut self, path: &str, rng: &mut Rng, written: &mut Written) -> Option<String> {
        let content = written.next(rng);
        let (new, target) = (self.fresh(|person| &person.desk), self.root.join(path));
        fs::write(&new, &content).unwrap();
        let grave = self.fresh(|person| &person.grave);
        for _ in 0..8 {
            fs::create_dir_all(target.parent().unwrap()).ok()?;
            if renameat_with(CWD, &new, CWD, &target, RenameFlags::NOREPLACE).is_ok() {
                return Some(format!("write {path} ({} bytes)", content.len()));
            }
            if renameat_with(CWD, &new, CWD, &target, RenameFlags::EXCHANGE).is_ok() {
                fs::rename(&new, &grave).unwrap();
                return Some(format!("replace {path} ({} bytes)", content.len()));
            }
        }
        None
    }

    /// As programs do that keep a file open.
    fn write_into(&mut self, path: &str, rng: &mut Rng, written: &mut Written) -> Option<String> {
        let mut file = fs::OpenOptions::new().read(true).write(true).open(self.root.join(path)).ok()?;
        let mut before = Vec::new();
        file.read_to_end(&mut before).ok()?;
        let content = written.next(rng);
        file.rewind().unwrap();
        file.write_all(&content).unwrap();
        file.set_len(content.len() as u64).unwrap();
        if before != content {
            written.overwritten.insert(before);
        }
        Some(format!("write into {path} ({} bytes)", content.len()))
    }

    fn delete(&mut self, path: &str) -> Option<String> {
        let grave = self.fresh(|person| &person.grave);
        fs::rename(self.root.join(path), grave).ok().map(|()| format!("delete {path}"))
    }

    fn rename(&mut self, from: &str, to: &str, flags: RenameFlags) -> Option<String> {
        let (old, new) = (self.root.join(from), self.root.join(to));
        fs::create_dir_all(new.parent().unwrap()).ok()?;
        renameat_with(CWD, &old, CWD, &new, flags).ok()?;
        Some(format!("rename {from} {} {to}", if flags == RenameFlags::EXCHANGE { "<->" } else { "->" }))
    }

    fn touch(&mut self, path: &str) -> Option<String> {
        let file = fs::OpenOptions::new().write(true).open(self.root.join(path)).ok()?;
        self.count += 1;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + self.count)).ok()?;
        Some(format!("touch {path}"))
    }
}

fn new_path(rng: &mut Rng) -> String {
    format!("{}{}", DIRECTORIES[rng.below(DIRECTORIES.len())], NAMES[rng.below(NAMES.len())])
}
