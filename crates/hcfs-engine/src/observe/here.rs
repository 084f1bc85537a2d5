//! The local tree: what the disk holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt;
use hcfs_crypto::pin;
use hcfs_fs::{Known, Rules, Scan, ScanRequest, Scanned, Verdict};
use hcfs_model::{LocalEntry, RelPath};
use hcfs_state::LocalUpdate;

use crate::blocking::blocking;
use crate::failure::{Failure, keeps_changing, keeps_growing};
use crate::session::{Session, Stop};
use crate::status::FolderState;
use crate::transfer::{CallOff, Content, Tools};
use crate::wants::Scope;

/// How many files are hashed at once.
const HASHED_AT_ONCE: usize = 2;

impl Session {
    /// Scans what is marked, reads what changed, and records it.
    ///
    /// # Errors
    /// The root or the database cannot be read, or a command breaks it off; then the same is scanned next time.
    pub(crate) async fn observe_here(&mut self) -> Result<(), Stop> {
        let scope = self.wants.take_here();
        if scope == Scope::Nothing {
            return Ok(());
        }
        self.board.update(|status| status.state = FolderState::Scanning);
        let result = self.scan(&scope).await;
        if result.is_err() {
            self.wants.again(scope);
        }
        result
    }

    async fn scan(&mut self, scope: &Scope) -> Result<(), Stop> {
        let widened;
        let scope = match scope {
            Scope::Below(marks) if self.folder.is_case_insensitive() => {
                widened = self.widened(marks.clone()).await?;
                &widened
            }
            scope => scope,
        };
        if *scope == Scope::Everything {
            let rules = Rules::new(&self.folder, &self.spec.ignore).map_err(|error| Stop::rules(&error))?;
            self.rules = Arc::new(rules);
        }
        let at = self.clock.now();
        let known = self.known(scope)?;
        let (known, found, scan) = self.attend(look(self.tools(), scope.clone(), known)).await??;
        let mut update = LocalUpdate { at, ..LocalUpdate::default() };
        self.read_changed(scope, found, &mut update).await?;
        let present: BTreeSet<&RelPath> = update.put.iter().map(|(path, _)| path).collect();
        let unknown: BTreeSet<&RelPath> = scan.unknown.iter().collect();
        let is_unknown =
            |path: &RelPath| unknown.contains(path) || path.ancestors().any(|above| unknown.contains(&above));
        for (path, _) in known.into_values() {
            if present.contains(&path) || self.changing.contains(&path) || is_unknown(&path) {
                continue;
            }
            match self.rules.verdict(&path, false) {
                Verdict::Kept => update.remove.push(path),
                Verdict::Ignored => {}
                Verdict::Unknown => {
                    // Whether it is missed is told once the rules can be read.
                    self.wait_for_rules_of(&path);
                    self.changing.insert(path);
                }
            }
        }
        self.store.record_local(&update, *scope == Scope::Everything).map_err(Stop::state)?;
        self.remember_scan(scope, scan);
        Ok(())
    }

    /// Where case is folded, what is told of may stand there in another case: then all below the nearest directory above
    /// it that stands there by its own name is looked at.
    async fn widened(&mut self, marks: BTreeSet<RelPath>) -> Result<Scope, Stop> {
        let folder = Arc::clone(&self.folder);
        let widened = blocking(Arc::clone(&self.machine), move || {
            let nearest =
                |mark: &RelPath| std::iter::once(mark.clone()).chain(mark.ancestors()).find(|path| folder.stands(path));
            // Nothing above it stands there: all may be meant.
            marks.iter().map(nearest).collect::<Option<BTreeSet<_>>>().map_or(Scope::Everything, Scope::Below)
        });
        self.attend(widened).await
    }

    /// What the database knows of the files in the scope, by the bytes of their path on disk.
    fn known(&self, scope: &Scope) -> Result<KnownFiles, Stop> {
        let mut known = KnownFiles::new();
        let mut add = |entries: hcfs_state::Entries<'_, hcfs_state::Known>| {
            for entry in entries {
                let (path, hcfs_state::Known { entry, hashed_at }) = entry.map_err(Stop::state)?;
                let bytes = entry.disk_path.unwrap_or_else(|| path.as_str().as_bytes().into());
                known.insert(bytes, (path, Known { fingerprint: entry.fingerprint, hash: entry.hash, hashed_at }));
            }
            Ok(())
        };
        match scope {
            Scope::Nothing => {}
            Scope::Everything => add(self.store.known_files())?,
            Scope::Below(marks) => {
                for mark in marks {
                    add(self.store.known_files_in(mark).map_err(Stop::state)?)?;
                }
            }
        }
        Ok(known)
    }

    /// Hashes the files that changed. One that changes meanwhile keeps its old entry and is looked at again after a pause;
    /// one that is never quiet is taken as it was a moment ago, if it only grows.
    async fn read_changed(&mut self, scope: &Scope, found: Vec<Scanned>, update: &mut LocalUpdate) -> Result<(), Stop> {
        let tools = self.tools();
        self.changing.retain(|path| !scope.contains(path));
        let mut to_read = Vec::with_capacity(found.len());
        for scanned in found {
            if scanned.content == hcfs_fs::Content::NeedsHash && self.blocked.is_resting(&scanned.path) {
                self.changing.insert(scanned.path);
                continue;
            }
            let is_restless = self.blocked.is_restless(&scanned.path);
            to_read.push((scanned, is_restless));
        }
        let read = |(scanned, is_restless)| hash_one(Arc::clone(&tools), scanned, is_restless);
        let mut hashed = futures_util::stream::iter(to_read.into_iter().map(read)).buffered(HASHED_AT_ONCE);
        while let Some((path, result)) = self.attend(hashed.next()).await? {
            let failure = match result {
                Ok(Read { entry, is_whole }) => {
                    if is_whole {
                        self.blocked.quiet(&path);
                    } else {
                        self.blocked.growing(&path, keeps_growing(&path), self.seed);
                        self.changing.insert(path.clone());
                    }
                    update.put.push((path, entry));
                    continue;
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::MovedHere => self.wants.below(path.clone()),
                Failure::Path(problem) => self.blocked.fail(&path, problem, self.seed),
                _ => self.blocked.changing(&path, keeps_changing(&path), self.seed),
            }
            self.changing.insert(path);
        }
        Ok(())
    }

    /// Keeps what a scan could not look at.
    fn remember_scan(&mut self, scope: &Scope, scan: Scan) {
        self.unknown.retain(|path| !scope.contains(path));
        if *scope == Scope::Everything {
            self.scanned_fully();
        }
        self.unknown.extend(scan.unknown);
        self.blocked.scanned(scope, scan.problems, scan.blocked);
        let (folder, store) = (&self.folder, &self.store);
        self.blocked.retain_left(|directory| {
            let is_there = !matches!(folder.fingerprint(directory, None), Ok(None));
            let is_in_use = store.known_files_in(directory).is_ok_and(|mut files| files.next().is_some());
            is_there && !is_in_use
        });
    }
}

/// Path and what is known, by the bytes of the path on disk.
type KnownFiles = BTreeMap<Box<[u8]>, (RelPath, Known)>;

/// Scans on a thread that may block.
async fn look(tools: Arc<Tools>, scope: Scope, known: KnownFiles) -> Result<(KnownFiles, Vec<Scanned>, Scan), Stop> {
    blocking(Arc::clone(&tools.machine), move || {
        let mut found = Vec::new();
        let marks: Vec<RelPath> = match &scope {
            Scope::Below(marks) => marks.iter().cloned().collect(),
            Scope::Nothing | Scope::Everything => Vec::new(),
        };
        let request = ScanRequest {
            scope: match scope {
                Scope::Everything => hcfs_fs::Scope::All,
                Scope::Nothing | Scope::Below(_) => hcfs_fs::Scope::Subtrees(&marks),
            },
            known: &|bytes| known.get(bytes).map(|(_, known)| *known),
            rules: &tools.rules,
        };
        let scan =
            tools.folder.scan(&request, &mut |scanned| found.push(scanned)).map_err(|error| Stop::root(&error))?;
        Ok((known, found, scan))
    })
    .await
}

/// What reading a file brought.
struct Read {
    entry: LocalEntry,
    /// Whether it was quiet; else the entry is of what it held when it was opened, and it has grown since.
    is_whole: bool,
}

/// The entry of a file that was found; it is read only if it changed. With `is_restless` its beginning will do.
async fn hash_one(tools: Arc<Tools>, scanned: Scanned, is_restless: bool) -> (RelPath, Result<Read, Failure>) {
    let Scanned { path, disk_path, fingerprint, content } = scanned;
    let entry = |hash, fingerprint| LocalEntry { hash, fingerprint, disk_path: disk_path.clone() };
    if let hcfs_fs::Content::Unchanged(hash) = content {
        return (path, Ok(Read { entry: entry(hash, fingerprint), is_whole: true }));
    }
    let cancel = Arc::new(AtomicBool::new(false));
    let called_off = CallOff(Arc::clone(&cancel));
    let (of, at) = (path.clone(), disk_path.clone());
    let machine = Arc::clone(&tools.machine);
    let read = blocking(machine, move || {
        let file = tools.folder.open_read(&of, at.as_deref()).map_err(|error| Failure::apply(&of, &error))?;
        let found = file.fingerprint();
        if found != fingerprint && !is_restless {
            return Err(Failure::Changing);
        }
        let hash = |content: &Content| {
            pin::hash_plain(content, found.size, &tools.owner.account, tools.machine.threads(), &cancel)
                .map_err(|error| Failure::pin(&of, &error))
        };
        let content = Content::InFolder(file);
        let first = hash(&content)?;
        if content.is_unchanged() {
            return Ok((first, found, true));
        }
        let Content::InFolder(file) = content else { return Err(Failure::Changing) };
        // What is there twice was not written to in between: it is a state the file was in.
        let content = Content::Beginning(file);
        if is_restless && hash(&content)? == first && content.is_unchanged() {
            return Ok((first, found, false));
        }
        Err(Failure::Changing)
    })
    .await;
    drop(called_off);
    let read = read.map(|(hash, fingerprint, is_whole)| Read { entry: entry(hash, fingerprint), is_whole });
    (path, read)
}
