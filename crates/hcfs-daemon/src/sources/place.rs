//! Giving what was fetched its name.
//!
//! A new item gets the name its service gives it, or a distinct one where that is taken. A file with the same content
//! that lies there already is taken for the item's. A new version replaces the file that was brought; one that was
//! edited here since is left alone, and from then on the item's file is the one beside it.

use std::collections::BTreeSet;

use hcfs_engine::{EventKind, Placing};
use hcfs_fs::{ApplyError, Displaced, Durability, Expect, Folder, Install, OpenFile, Staged};
use hcfs_model::{Fingerprint, LocalEntry, RelPath, SaltedHash};
use hcfs_sources::{Item, Resume, Source};
use hcfs_state::sources::{Arrival, Brought, PartRecord};

use super::reason::Reason;
use super::round::{Outcome, Round};

/// How often the folder may change under the hands before the item is left for later.
const TRIES: usize = 8;
/// How many names are tried.
const NAMES: usize = 64;
/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// A content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    size: u64,
    hash: [u8; 32],
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The content that is to be put there.
    Same,
    /// The content that was brought before.
    AsBrought(Fingerprint),
    Other,
}

/// What is to be done.
enum Step {
    /// It lies there already.
    Adopt(RelPath),
    /// Put it there, in place of a version that was seen.
    Put(RelPath, Option<Fingerprint>),
    LeftDeleted,
}

/// Whether the file of an item is where it was put.
pub(super) async fn is_here(round: &Round, known: &Brought) -> Result<bool, Reason> {
    let path = known.path.clone();
    let placing = round.folder.placing().await?;
    let found = placing.with(move |folder| folder.fingerprint(&path, None)).await?;
    match found {
        Ok(found) => Ok(found.is_some()),
        // A directory, or a link: the file is gone.
        Err(ApplyError::Blocked { .. }) => Ok(false),
        Err(error) => Err(Reason::of_disk(Some(&known.path), &error)),
    }
}

/// Goes on with what was fetched whole by a run that ended before it could give it a name; `None` where nothing of it
/// is left.
pub(super) async fn resumed(
    round: &Round,
    source: &dyn Source,
    item: &Item,
    record: &PartRecord,
    arrival: Arrival,
    known: Option<&Brought>,
) -> Result<Option<Outcome>, Reason> {
    let (name, size) = (record.name.clone(), arrival.size);
    let placing = round.folder.placing().await?;
    let opened = placing.with(move |folder| {
        if !folder.fetched_names()?.contains(&name) {
            return Ok(None);
        }
        let staged = folder.fetched(&name)?;
        let length = staged.share()?.metadata().map(|meta| meta.len()).unwrap_or(0);
        Ok::<_, ApplyError>((length == size).then_some(staged))
    });
    let mut way =
        Way { round, source, item, record, arrival, known, placing: placing.clone(), refused: BTreeSet::new() };
    if let Some(staged) = opened.await?.map_err(|error| Reason::of_disk(None, &error))? {
        return way.put(staged).await.map(Some);
    }
    let content = way.content();
    if let Some(target) = way.arrival.target.clone()
        && look(&placing, &target, content, None).await? == Found::Same
    {
        return way.settle(target, None).await.map(Some);
    }
    let (source_name, id) = (round.name.clone(), item.id.clone());
    round.books.ask(move |ledger| ledger.drop_part(&source_name, &id)).await?;
    Ok(None)
}

/// Gives what has just been fetched its name.
pub(super) async fn arrived(
    round: &Round,
    source: &dyn Source,
    item: &Item,
    staged: Staged,
    record: &PartRecord,
    arrival: Arrival,
    known: Option<&Brought>,
) -> Result<Outcome, Reason> {
    let placing = round.folder.placing().await?;
    // What is written down as whole must be whole after a power cut too.
    let synced = placing.with(move |_| staged.sync().map(|()| staged)).await?;
    let staged = synced.map_err(|error| Reason::of_disk(None, &error))?;
    let mut way = Way { round, source, item, record, arrival, known, placing, refused: BTreeSet::new() };
    way.write_down().await?;
    way.put(staged).await
}

/// One item on its way under a name.
struct Way<'r> {
    round: &'r Round,
    source: &'r dyn Source,
    item: &'r Item,
    record: &'r PartRecord,
    arrival: Arrival,
    known: Option<&'r Brought>,
    placing: Placing,
    /// New names that turned out to be taken.
    refused: BTreeSet<RelPath>,
}

impl Way<'_> {
    fn content(&self) -> Content {
        Content { size: self.arrival.size, hash: self.arrival.hash }
    }

    async fn write_down(&self) -> Result<(), Reason> {
        let (name, id, arrival) = (self.round.name.clone(), self.item.id.clone(), self.arrival.clone());
        self.round.books.ask(move |ledger| ledger.arrive(&name, &id, &arrival)).await
    }

    async fn put(&mut self, staged: Staged) -> Result<Outcome, Reason> {
        let mut staged = staged;
        for _ in 0..TRIES {
            let (target, replaces) = match self.step().await? {
                Step::LeftDeleted => {
                    self.round.discard(&self.item.id, self.record).await?;
                    return Ok(Outcome::LeftDeleted);
                }
                Step::Adopt(target) => {
                    let name = self.record.name.clone();
                    let removed = self.placing.with(move |folder| folder.discard_fetched(&name)).await?;
                    removed.map_err(|error| Reason::of_disk(None, &error))?;
                    return self.settle(target, None).await;
                }
                Step::Put(target, replaces) => (target, replaces),
            };
            self.arrival.target = Some(target.clone());
            self.write_down().await?;
            match self.install(staged, &target, replaces).await? {
                Ok(displaced) => return self.settle(target, Some(displaced)).await,
                Err(ApplyError::Changed { .. } | ApplyError::NameNotPossible { .. }) => {
                    if replaces.is_none() {
                        self.refused.insert(target);
                    }
                }
                Err(error) => return Err(Reason::of_disk(Some(&target), &error)),
            }
            let name = self.record.name.clone();
            let again = self.placing.with(move |folder| folder.fetched(&name)).await?;
            staged = again.map_err(|error| Reason::of_disk(None, &error))?;
        }
        let target = self.arrival.target.clone();
        let path = target.ok_or_else(Reason::stopped)?;
        Err(Reason::of_disk(Some(&path), &ApplyError::Changed { path: path.clone() }))
    }

    /// What is to be done, by what stands in the folder now.
    async fn step(&self) -> Result<Step, Reason> {
        let content = self.content();
        if let Some(target) = &self.arrival.target
            && self.may_own(target).await?
            && look(&self.placing, target, content, None).await? == Found::Same
        {
            return Ok(Step::Adopt(target.clone()));
        }
        if let Some(known) = self.known {
            let before = Content { size: known.size, hash: known.hash };
            match look(&self.placing, &known.path, content, Some(before)).await? {
                Found::Nothing if self.round.again.wants(&self.item.id) => {
                    return Ok(Step::Put(known.path.clone(), None));
                }
                Found::Nothing => return Ok(Step::LeftDeleted),
                Found::Same => return Ok(Step::Adopt(known.path.clone())),
                Found::AsBrought(fingerprint) => return Ok(Step::Put(known.path.clone(), Some(fingerprint))),
                Found::Other => {}
            }
        }
        for number in 0..NAMES {
            let path = self.candidate(number)?;
            if self.refused.contains(&path) || !self.may_own(&path).await? {
                continue;
            }
            match look(&self.placing, &path, content, None).await? {
                Found::Nothing => return Ok(Step::Put(path, None)),
                Found::Same => return Ok(Step::Adopt(path)),
                Found::AsBrought(_) | Found::Other => {}
            }
        }
        let path = self.candidate(0)?;
        Err(Reason::of_disk(Some(&path), &ApplyError::Changed { path: path.clone() }))
    }

    /// The name of a new file, and the names to take when that is taken: always the same for the same item.
    fn candidate(&self, number: usize) -> Result<RelPath, Reason> {
        let (directory, desired) = match self.known {
            // Beside the file that was edited here.
            Some(known) => (known.path.parent(), beside(known.path.name(), &self.round.name, &self.placing.today())),
            None => (self.round.config.directory.clone(), self.arrival.name.clone()),
        };
        let taken = BTreeSet::from([desired.clone()]);
        let name = match number {
            0 => desired,
            1 => hcfs_sources::distinct(&desired, &self.item.id, &taken),
            more => hcfs_sources::distinct(&desired, &format!("{} {more}", self.item.id), &taken),
        };
        let path = match directory {
            Some(directory) => directory.join(&name),
            None => RelPath::new(&name),
        };
        path.map_err(|error| Reason::of_name(&self.item.id, &error))
    }

    /// Whether no other item's file is meant to be there.
    async fn may_own(&self, path: &RelPath) -> Result<bool, Reason> {
        let (folder, path) = (self.record.folder.clone(), path.clone());
        let owner = self.round.books.ask(move |ledger| ledger.owner(&folder, &path)).await?;
        Ok(owner.is_none_or(|(source, item)| source == self.round.name && item == self.item.id))
    }

    async fn install(
        &self,
        staged: Staged,
        target: &RelPath,
        replaces: Option<Fingerprint>,
    ) -> Result<Result<Displaced, ApplyError>, Reason> {
        let (target, aside, at) = (target.clone(), self.placing.aside(target), self.round.now());
        let installed = self.placing.change(move |folder| {
            // The guard looks at the fingerprint alone; the engine's hash of the old version is of no use here.
            let entry =
                replaces.map(|fingerprint| LocalEntry { hash: SaltedHash([0; 32]), fingerprint, disk_path: None });
            let expect = entry.as_ref().map_or(Expect::Absent, Expect::This);
            let install = Install { target: &target, expect, aside: &aside, at, durability: Durability::Each };
            folder.install(staged, &install).map(|installed| installed.displaced)
        });
        Ok(installed.await?)
    }

    /// The file lies under its name: what is left at the service is cleared up, and the ledger knows it.
    async fn settle(&self, path: RelPath, displaced: Option<Displaced>) -> Result<Outcome, Reason> {
        if let Err(error) = self.source.finish(self.item, &Resume::from_text(&self.record.record)).await {
            tracing::info!(code = error.code(), "a service could not be told that a file is safe");
        }
        let brought = Brought {
            folder: self.record.folder.clone(),
            path: path.clone(),
            version: self.arrival.version.clone(),
            size: self.arrival.size,
            hash: self.arrival.hash,
            verified: self.arrival.verified,
            at: self.round.now(),
        };
        let (name, id) = (self.round.name.clone(), self.item.id.clone());
        self.round.books.ask(move |ledger| ledger.settle(&name, &id, &brought)).await?;
        let text = match displaced {
            None => format!("was here already as {} brings it", self.round.name),
            Some(Displaced::Conflict(kept)) => {
                format!("brought by {}; an edit of this very moment is kept as \"{kept}\"", self.round.name)
            }
            Some(_) => format!("brought by {}", self.round.name),
        };
        self.round.folder.note(EventKind::Fetched, Some(path), text).await?;
        Ok(Outcome::Brought)
    }
}

/// `stem (SOURCE, DATE).ext`: for a new version of a file that was edited here.
fn beside(name: &str, source: &str, today: &str) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, ""),
    };
    let mark = format!(" ({source}, {today})");
    let room = 255_usize.saturating_sub(mark.len() + extension.len());
    let cut = (0..=room.min(stem.len())).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
    format!("{}{mark}{extension}", &stem[..cut])
}

async fn look(placing: &Placing, path: &RelPath, new: Content, before: Option<Content>) -> Result<Found, Reason> {
    let at = path.clone();
    let found = placing.with(move |folder| compare(folder, &at, new, before)).await?;
    found.map_err(|error| Reason::of_disk(Some(path), &error))
}

fn compare(folder: &Folder, path: &RelPath, new: Content, before: Option<Content>) -> Result<Found, ApplyError> {
    let fingerprint = match folder.fingerprint(path, None) {
        Ok(None) => return Ok(Found::Nothing),
        Ok(Some(fingerprint)) => fingerprint,
        Err(ApplyError::Blocked { .. }) => return Ok(Found::Other),
        Err(error) => return Err(error),
    };
    if fingerprint.size != new.size && before.is_none_or(|before| before.size != fingerprint.size) {
        return Ok(Found::Other);
    }
    let file = match folder.open_read(path, None) {
        Err(ApplyError::Changed { .. }) => return Ok(Found::Other),
        opened => opened?,
    };
    // What cannot be read to its end, or changes meanwhile, is somebody's work.
    let Some(hash) = hash_of(&file) else { return Ok(Found::Other) };
    if hash == new.hash {
        Ok(Found::Same)
    } else if before.is_some_and(|before| before.hash == hash) {
        Ok(Found::AsBrought(file.fingerprint()))
    } else {
        Ok(Found::Other)
    }
}

fn hash_of(file: &OpenFile) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset).ok()?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        offset += read as u64;
    }
    file.is_unchanged().ok().filter(|unchanged| *unchanged)?;
    Some(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_beside_keeps_its_ending_and_fits() {
        assert_eq!(beside("report.pdf", "passports", "2026-11-21"), "report (passports, 2026-11-21).pdf");
        assert_eq!(beside("README", "s", "2026-11-21"), "README (s, 2026-11-21)");
        assert_eq!(beside(".profile", "s", "2026-11-21"), ".profile (s, 2026-11-21)");
        let long = beside(&format!("{}.txt", "ü".repeat(125)), "s", "2026-11-21");
        assert!(long.len() <= 255 && long.ends_with(" (s, 2026-11-21).txt"), "{long}");
    }
}
