//! One item: is it new, and if so, fetch it.

use std::io;

use async_trait::async_trait;
use hcfs_fs::{ApplyError, Staged};
use hcfs_sources::{Fetched, Item, Job, Part, Progress, Resume, Source, Stage, Validators, Verified, Watcher};
use hcfs_state::sources::{Arrival, Brought, PartRecord, Version};

use super::books::Books;
use super::place;
use super::reason::Reason;
use super::round::{Outcome, Round};
use super::{lock, reason};

/// Brings an item, unless it is here already or was deleted here.
pub(super) async fn bring(round: &Round, source: &dyn Source, item: &Item) -> Result<Outcome, Reason> {
    let (name, id) = (round.name.clone(), item.id.clone());
    let (known, part, arrival) = round
        .books
        .ask(move |ledger| Ok((ledger.item(&name, &id)?, ledger.part(&name, &id)?, ledger.arrival(&name, &id)?)))
        .await?;
    let known = known.filter(|known| known.folder == round.config.folder.as_str());
    let part = part.filter(|part| part.folder == round.config.folder.as_str());
    // Fetched whole by a run that ended before it had a name.
    if let (Some(part), Some(arrival)) = (&part, arrival)
        && let Some(outcome) = place::resumed(round, source, item, part, arrival, known.as_ref()).await?
    {
        return Ok(outcome);
    }
    if let Some(known) = &known {
        let is_here = place::is_here(round, known).await?;
        if !is_here && !round.again.wants(&item.id) {
            if let Some(part) = &part {
                round.discard(&item.id, part).await?;
            }
            return Ok(Outcome::LeftDeleted);
        }
        if is_here && item.changed.is_some() && item.changed == known.version.mark {
            return forget_problem(round, item).await.map(|()| Outcome::Unchanged);
        }
        let asked = is_here.then(|| validators(&known.version));
        return fetch(round, source, item, part, asked, Some(known)).await;
    }
    fetch(round, source, item, part, None, None).await
}

async fn fetch(
    round: &Round,
    source: &dyn Source,
    item: &Item,
    part: Option<PartRecord>,
    asked: Option<Validators>,
    known: Option<&Brought>,
) -> Result<Outcome, Reason> {
    let record = match part {
        Some(part) => part,
        None => PartRecord {
            folder: round.config.folder.to_string(),
            name: random_name()?,
            record: Resume::default().to_text(),
        },
    };
    // Before there is a file of that name: none must lie there that nobody knows.
    keep(round, &item.id, &record).await?;
    let staged = open_part(round, &record, item.size).await?;
    let file = staged.share().map_err(|error| Reason::of_disk(None, &error))?;
    let mut part = Part { file, resume: Resume::from_text(&record.record) };
    let watch = Watch { round, item: &item.id, record: &record, staged: &staged };
    // Shown from the start: the first word of a service can take its time.
    watch.progress(Progress { stage: Stage::Bringing, bytes: part.resume.bytes(), total: item.size });
    let job =
        Job { known: asked.as_ref(), part: &mut part, watcher: &watch, cancel: round.cancel.clone(), now: round.now() };
    let fetched = source.fetch(item, job).await;
    let record = PartRecord { record: part.resume.to_text(), ..record };
    match fetched {
        Ok(Fetched::NotModified) => {
            round.discard(&item.id, &record).await?;
            forget_problem(round, item).await?;
            Ok(Outcome::Unchanged)
        }
        Ok(Fetched::Done(done)) => {
            let arrival = Arrival {
                name: done.name,
                version: Version {
                    etag: done.validators.etag,
                    last_modified: done.validators.last_modified,
                    size: done.validators.size,
                    mark: done.validators.changed,
                },
                size: done.size,
                hash: done.hash.0,
                verified: done.verified == Verified::Yes,
                target: None,
            };
            keep(round, &item.id, &record).await?;
            place::arrived(round, source, item, staged, &record, arrival, known).await
        }
        Err(error) => {
            let lasting = !error.is_transient();
            let reason = Reason::from(error);
            if lasting && reason.concern == reason::Concern::Item {
                // Nothing of it will ever be of use.
                round.discard(&item.id, &record).await?;
            } else {
                keep(round, &item.id, &record).await?;
            }
            Err(reason)
        }
    }
}

async fn open_part(round: &Round, record: &PartRecord, size: Option<u64>) -> Result<Staged, Reason> {
    let name = record.name.clone();
    let placing = round.folder.placing().await?;
    let opened = placing.with(move |folder| {
        let staged = folder.fetched(&name)?;
        folder.has_room(size.unwrap_or(0))?;
        Ok::<_, ApplyError>(staged)
    });
    opened.await?.map_err(|error| Reason::of_disk(None, &error))
}

async fn keep(round: &Round, id: &str, record: &PartRecord) -> Result<(), Reason> {
    keep_in(&round.books, &round.name, id, record).await
}

async fn keep_in(books: &Books, name: &str, id: &str, record: &PartRecord) -> Result<(), Reason> {
    let (name, id, record) = (name.to_owned(), id.to_owned(), record.clone());
    books.ask(move |ledger| ledger.keep_part(&name, &id, &record)).await
}

async fn forget_problem(round: &Round, item: &Item) -> Result<(), Reason> {
    let (name, id) = (round.name.clone(), item.id.clone());
    round.books.ask(move |ledger| ledger.drop_problem(&name, &id)).await
}

fn validators(version: &Version) -> Validators {
    let Version { etag, last_modified, size, mark } = version.clone();
    Validators { etag, last_modified, size, changed: mark }
}

fn random_name() -> Result<String, Reason> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Reason::stopped())?;
    Ok(hex::encode(bytes))
}

/// Looks on while an item is fetched.
struct Watch<'r> {
    round: &'r Round,
    item: &'r str,
    record: &'r PartRecord,
    staged: &'r Staged,
}

#[async_trait]
impl Watcher for Watch<'_> {
    fn progress(&self, progress: Progress) {
        lock(&self.round.board).transfers.insert(self.item.to_owned(), progress);
        self.round.tools.changes.tell();
    }

    async fn keep(&self, resume: &Resume) -> io::Result<()> {
        self.staged.write_back();
        let total = lock(&self.round.board).transfers.get(self.item).and_then(|progress| progress.total);
        let left = total.unwrap_or(0).saturating_sub(resume.bytes());
        let stopped = |reason: Reason| io::Error::other(reason.failure.message);
        let placing = self.round.folder.placing().await.map_err(|error| stopped(error.into()))?;
        let room = placing.with(move |folder| folder.has_room(left)).await.map_err(|error| stopped(error.into()))?;
        room.map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))?;
        let record = PartRecord { record: resume.to_text(), ..self.record.clone() };
        keep_in(&self.round.books, &self.round.name, self.item, &record).await.map_err(stopped)
    }
}
