//! One run of a source: what there is, what of it is new, and bringing that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use hcfs_engine::{EventKind, FolderHandle};
use hcfs_model::UnixNanos;
use hcfs_sources::{Item, Kind, Resume, Source};
use hcfs_state::sources::{ItemProblem, PartRecord};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::books::Books;
use super::reason::{Concern, Reason};
use super::{Tools, fetch, lock, schedule, service};
use crate::config::SourceConfig;

/// Files of one source that are fetched at once.
const AT_ONCE: usize = 4;

/// What was deleted here and is to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Again {
    Nothing,
    These(Vec<String>),
    Everything,
}

impl Again {
    pub(super) fn wants(&self, item: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(items) => items.iter().any(|wanted| wanted == item),
            Self::Everything => true,
        }
    }
}

/// How a round ended.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) brought: u64,
    pub(super) unchanged: u64,
    /// Why it did not come to its end.
    pub(super) failure: Option<Reason>,
}

/// What became of an item.
pub(super) enum Outcome {
    Brought,
    Unchanged,
    /// It was deleted here, and nobody asked for it.
    LeftDeleted,
}

/// One run.
pub(super) struct Round {
    pub(super) name: String,
    pub(super) config: SourceConfig,
    pub(super) tools: Arc<Tools>,
    pub(super) books: Books,
    pub(super) board: Arc<Mutex<Board>>,
    pub(super) folder: FolderHandle,
    pub(super) cancel: CancellationToken,
    pub(super) again: Again,
    /// All items, or only those that failed and are due.
    pub(super) full: bool,
    /// A person asked: what failed is not waited for.
    pub(super) ordered: bool,
}

impl Round {
    pub(super) async fn run(self) -> Ended {
        let mut ended = Ended::default();
        if let Err(reason) = self.all(&mut ended).await {
            ended.failure = Some(reason);
        }
        ended
    }

    async fn open(&self) -> Result<Arc<dyn Source>, Reason> {
        service::open(&self.config.service, &self.tools.env, self.tools.client.clone()).await
    }

    async fn all(&self, ended: &mut Ended) -> Result<(), Reason> {
        let source = self.open().await?;
        let items = tokio::select! {
            items = source.list() => items?,
            () = self.cancel.cancelled() => return Err(Reason::stopped()),
        };
        if self.full {
            self.clear_up(&source, &items).await?;
        }
        let wanted = self.wanted(items).await?;
        let mut fetches = stream::iter(wanted)
            .map(|(item, tries)| {
                let source = source.clone();
                async move {
                    let outcome = self.one(&source, &item).await;
                    (item, tries, outcome)
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some((item, tries, outcome)) = fetches.next().await {
            lock(&self.board).transfers.remove(&item.id);
            self.tools.changes.tell();
            match outcome {
                Ok(Outcome::Brought) => ended.brought += 1,
                Ok(Outcome::Unchanged) => ended.unchanged += 1,
                Ok(Outcome::LeftDeleted) => {}
                Err(reason) if reason.concern == Concern::Item => self.note_problem(&item.id, tries, &reason).await?,
                Err(reason) => {
                    // What concerns all is not found out once for each: the others end where they are.
                    self.cancel.cancel();
                    let told = failed.get_or_insert_with(|| reason.clone());
                    if told.concern == Concern::Nobody {
                        *told = reason;
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The items to look at, with how often each was tried in vain.
    async fn wanted(&self, items: Vec<Item>) -> Result<Vec<(Item, u32)>, Reason> {
        let name = self.name.clone();
        let problems: BTreeMap<String, ItemProblem> =
            self.books.ask(move |ledger| ledger.problems(&name)).await?.into_iter().collect();
        let now = self.tools.clock.now();
        let is_due = |problem: &ItemProblem| problem.again.is_some_and(|again| again <= now);
        let waits = |problem: &ItemProblem| problem.again.is_some_and(|again| again > now);
        Ok(items
            .into_iter()
            .filter_map(|item| match problems.get(&item.id) {
                Some(problem) if self.ordered || is_due(problem) => Some((item, problem.tries)),
                Some(problem) if self.full && !waits(problem) => Some((item, problem.tries)),
                Some(_) => None,
                None => self.full.then_some((item, 0)),
            })
            .collect())
    }

    async fn one(&self, source: &Arc<dyn Source>, item: &Item) -> Result<Outcome, Reason> {
        let slot = tokio::select! {
            slot = self.tools.slots.acquire() => slot.map_err(|_| Reason::stopped())?,
            () = self.cancel.cancelled() => return Err(Reason::stopped()),
        };
        let outcome = fetch::bring(self, &**source, item).await;
        drop(slot);
        outcome.map_err(|reason| match reason.concern {
            // Addresses have nothing in common: what one host says concerns no other.
            Concern::Source if source.kind() == Kind::Url && reason.is_of_service() => {
                Reason { concern: Concern::Item, ..reason }
            }
            _ => reason,
        })
    }

    /// Keeps what went wrong with an item, and when it is tried again.
    async fn note_problem(&self, item: &str, tries: u32, reason: &Reason) -> Result<(), Reason> {
        let at = self.tools.clock.now();
        let tries = tries.saturating_add(1);
        let again = reason.passing.then(|| schedule::after(at, schedule::pause(tries, true, reason.after, 0.0)));
        let again = match (reason.after, again) {
            // The service said when.
            (Some(after), Some(_)) => Some(schedule::after(at, after)),
            (_, again) => again,
        };
        let problem = ItemProblem { failure: reason.failure.clone(), at, tries, again };
        let (name, id) = (self.name.clone(), item.to_owned());
        self.books.ask(move |ledger| ledger.keep_problem(&name, &id, &problem)).await?;
        if tries == 1 {
            let text = format!("{}: {}", self.name, reason.failure.message);
            self.folder.note(EventKind::Source, None, text).await?;
        }
        Ok(())
    }

    /// Ends what was begun for items that are no longer wanted, and forgets their problems.
    async fn clear_up(&self, source: &Arc<dyn Source>, items: &[Item]) -> Result<(), Reason> {
        let wanted = |id: &str| items.iter().any(|item| item.id == id);
        let name = self.name.clone();
        let (parts, problems) = self.books.ask(move |ledger| Ok((ledger.parts()?, ledger.problems(&name)?))).await?;
        let own = parts.into_iter().filter(|(of, id, _)| *of == self.name && !wanted(id));
        for (_, id, part) in own {
            self.abandon(&**source, &id, &part).await?;
        }
        self.sweep().await?;
        let gone: Vec<String> = problems.into_iter().map(|(id, _)| id).filter(|id| !wanted(id)).collect();
        let name = self.name.clone();
        self.books.ask(move |ledger| gone.iter().try_for_each(|id| ledger.drop_problem(&name, id))).await
    }

    /// Removes parts of the folder that no fetch knows: of sources that were removed, or of a ledger that was lost.
    async fn sweep(&self) -> Result<(), Reason> {
        let placing = self.folder.placing().await?;
        let refused = |error| Reason::of_disk(None, &error);
        // The names first: whatever has one by now is in the ledger by now.
        let names = placing.with(|folder| folder.fetched_names()).await?.map_err(refused)?;
        if names.is_empty() {
            return Ok(());
        }
        let parts = self.books.ask(|ledger| ledger.parts()).await?;
        let unknown: Vec<String> =
            names.into_iter().filter(|name| !parts.iter().any(|(_, _, part)| part.name == *name)).collect();
        let removed =
            placing.with(move |folder| unknown.iter().try_for_each(|name| folder.discard_fetched(name))).await?;
        removed.map_err(refused)
    }

    /// Ends everything that was begun and not brought to its end.
    pub(super) async fn abandon_all(&self) -> Result<(), Reason> {
        let parts = self.books.ask(|ledger| ledger.parts()).await?;
        let own: Vec<_> = parts.into_iter().filter(|(of, _, _)| *of == self.name).collect();
        if own.is_empty() {
            return Ok(());
        }
        let source = self.open().await?;
        for (_, id, part) in own {
            self.abandon(&*source, &id, &part).await?;
        }
        Ok(())
    }

    async fn abandon(&self, source: &dyn Source, id: &str, part: &PartRecord) -> Result<(), Reason> {
        if let Err(error) = source.abandon(&Item::new(id), &Resume::from_text(&part.record)).await {
            // The service may have forgotten it already, or cannot be reached: it clears up by itself some day.
            tracing::info!(code = error.code(), "a service could not be told that a file is no longer wanted");
        }
        self.discard(id, part).await
    }

    /// Throws a part away, and forgets it.
    pub(super) async fn discard(&self, id: &str, part: &PartRecord) -> Result<(), Reason> {
        if part.folder == self.config.folder.as_str() {
            let part_name = part.name.clone();
            let placing = self.folder.placing().await?;
            let removed = placing.with(move |folder| folder.discard_fetched(&part_name)).await?;
            removed.map_err(|error| Reason::of_disk(None, &error))?;
        }
        let (name, id) = (self.name.clone(), id.to_owned());
        self.books.ask(move |ledger| ledger.drop_part(&name, &id)).await
    }

    pub(super) fn now(&self) -> UnixNanos {
        self.tools.clock.now()
    }
}
