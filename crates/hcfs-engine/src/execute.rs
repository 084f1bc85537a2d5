//! Carrying out a plan, stage by stage, and recording what became of each action.
//!
//! An action that fails says what that means ([`Failure`]): look again, leave this path alone for a while, or stop the
//! cycle. What succeeded is recorded in one transaction for all that ended at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hcfs_fs::Displaced;
use hcfs_model::{FileId, LocalEntry, Problem, RelPath, RemoteEntry, SyncedEntry, UnixNanos};
use hcfs_plan::{Action, Base, Conflict, ConflictKind, Plan, Resolution, Stage, StageKind};
use hcfs_state::{Known, Settled};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::board::Progress;
use crate::failure::{Failure, unserved};
use crate::journal::event;
use crate::session::{Session, Stop};
use crate::status::{Direction, Event, EventKind, FolderState};
use crate::transfer::{
    Batch, DownloadJob, Note, Received, Tools, UploadJob, download, download_many, upload, upload_many,
};

/// How often progress is shown while files are in flight.
const SHOWN: Duration = Duration::from_millis(200);

/// What became of an action: what to record and to tell, or why it was not done.
pub(crate) struct Ended {
    pub(crate) path: RelPath,
    pub(crate) direction: Option<Direction>,
    pub(crate) result: Result<Done, Failure>,
}

/// What an action that was done leaves to record.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) settled: Vec<Settled>,
    pub(crate) events: Vec<Event>,
    /// Where a version nobody expected is kept: it is looked at, and the conflict listed.
    pub(crate) kept: Option<Conflict>,
    /// Bytes that went to the trash.
    pub(crate) trashed: u64,
    /// A directory that was emptied and stays.
    pub(crate) left: Option<Box<Problem>>,
}

/// Where the rows that this plan renamed on the server are now.
pub(crate) type Renamed = BTreeMap<RelPath, RemoteEntry>;

impl Session {
    /// Carries out a plan, and says whether any of it could be begun: over quota, uploads are not. What is begun ends;
    /// where a command waits for the folder, the rest is left to the next plan.
    ///
    /// # Errors
    /// What stops the folder as a whole, or a command that breaks it off.
    pub(crate) async fn execute(&mut self, plan: &Plan) -> Result<bool, Stop> {
        if plan.actions().all(|action| matches!(action, Action::Upload { .. }) && self.is_over_quota()) {
            return Ok(false);
        }
        self.announce(plan);
        let mut renamed = Renamed::new();
        for (index, stage) in plan.stages.iter().enumerate() {
            if index > 0 && !self.waiting.is_empty() {
                break;
            }
            match stage.kind {
                StageKind::Settle => self.settle_rows(stage)?,
                StageKind::RenameRemote => self.rename_there(stage, &mut renamed).await?,
                StageKind::RenameLocal => self.rename_here(stage).await?,
                StageKind::Clear | StageKind::Delete => {
                    self.set_aside(stage, plan).await?;
                    self.delete_here(stage).await?;
                    self.side_by_side(stage, &renamed).await?;
                }
                StageKind::Transfer => self.side_by_side(stage, &renamed).await?,
            }
        }
        self.tell_overruled(plan)?;
        Ok(true)
    }

    /// Tells of the deletions that an edit on the other side overruled: the file is there, and somebody deleted it.
    fn tell_overruled(&mut self, plan: &Plan) -> Result<(), Stop> {
        let mut events = Vec::new();
        for Conflict { path, kind, resolution, .. } in &plan.conflicts {
            let text = match (kind, resolution) {
                (ConflictKind::ModifiedHereDeletedThere, Resolution::KeepLocal) => {
                    "deleted on the server, and changed here: the change is kept"
                }
                (ConflictKind::DeletedHereModifiedThere, Resolution::AcceptRemote) => {
                    "deleted here, and changed on the server: the change is kept"
                }
                _ => continue,
            };
            if self.store.row(path).map_err(Stop::state)?.is_agreed() {
                events.push(event(self.clock.now(), EventKind::Conflict, path, text.to_owned()));
            }
        }
        self.record(&[], events)
    }

    /// Whether uploads wait because the account is over its quota.
    pub(crate) fn is_over_quota(&self) -> bool {
        self.over_quota_until.is_some_and(|until| Instant::now() < until)
    }

    /// Shows how much there is to do.
    fn announce(&mut self, plan: &Plan) {
        let (mut up, mut down, mut count) = (0, 0, 0);
        for action in plan.actions() {
            count += 1;
            match action {
                Action::Upload { local, .. } => up += local.fingerprint.size,
                Action::Download { remote, .. } => down += remote.size,
                _ => {}
            }
        }
        let is_over_quota = self.is_over_quota();
        self.board.update(|status| {
            status.state = FolderState::Syncing;
            if !is_over_quota {
                status.trouble = None;
            }
            (status.pending, status.pending_up, status.pending_down) = (count, up, down);
        });
    }

    /// Records agreements that move no bytes.
    fn settle_rows(&mut self, stage: &Stage) -> Result<(), Stop> {
        let now = self.clock.now();
        let (mut settled, mut events) = (Vec::new(), Vec::new());
        for action in &stage.actions {
            match action {
                Action::Adopt { path, local, remote } => {
                    settled.push(Settled::Synced {
                        path: path.clone(),
                        local: None,
                        remote: remote.clone(),
                        synced: synced(remote, Some(local)),
                    });
                    events.push(event(now, EventKind::Adopted, path, "both sides have the same content".to_owned()));
                }
                Action::Forget { path } => settled.push(Settled::Forgotten { path: path.clone() }),
                _ => {}
            }
        }
        self.board.update(|status| status.pending = status.pending.saturating_sub(stage.actions.len() as u64));
        self.record(&settled, events)
    }

    /// Runs transfers and deletions on the server side by side.
    async fn side_by_side(&mut self, stage: &Stage, renamed: &Renamed) -> Result<(), Stop> {
        let (notes, mut noted) = mpsc::channel(64);
        let tools = self.tools_with(notes);
        let mut queue = stage.actions.iter();
        let mut running: FuturesUnordered<Running> = FuturesUnordered::new();
        let mut gathered = self.batches().await?;
        let mut tick = tokio::time::interval(SHOWN);
        let mut has_ended = false;
        loop {
            // A command that waits for the folder waits for what is on its way, not for all that is to come.
            while running.len() < self.spec.transfers.max(1) && (self.waiting.is_empty() || !has_ended) {
                let Some(action) = queue.next() else { break };
                running.extend(self.begin(&tools, action, renamed, &mut gathered)?);
            }
            // What was gathered is begun, even if nothing more is.
            if queue.len() == 0 || running.is_empty() || (!self.waiting.is_empty() && has_ended) {
                running.extend(gathered.start(&tools));
            }
            if running.is_empty() {
                return Ok(());
            }
            let news = async {
                tokio::select! {
                    // In this order always, so that a run can be repeated.
                    biased;
                    Some(ended) = running.next() => News::Ended(ended),
                    Some(note) = noted.recv() => News::Note(note),
                    _ = tick.tick() => News::Tick,
                }
            };
            match self.attend(news).await? {
                News::Ended(first) => {
                    has_ended = true;
                    let mut ended = first;
                    while let Some(Some(next)) = running.next().now_or_never() {
                        ended.extend(next);
                    }
                    while let Ok(note) = noted.try_recv() {
                        self.keep(note)?;
                    }
                    self.end(ended).await?;
                }
                News::Note(note) => self.keep(note)?,
                News::Tick => self.board.show(),
            }
        }
    }

    /// What the server takes in batches.
    async fn batches(&mut self) -> Result<Gathered, Stop> {
        let remote = Arc::clone(&self.remote);
        let extensions = self.attend(async move { remote.extensions().await }).await?;
        // Whatever is wrong is met by the transfers themselves.
        let extensions = extensions.unwrap_or_default();
        Ok(Gathered { up: Batch::new(extensions.upload_batch), down: Batch::new(extensions.download_batch) })
    }

    /// Starts one action, or gathers it; `None` also for those that are not for now, or are carried out elsewhere.
    fn begin(
        &mut self,
        tools: &Arc<Tools>,
        action: &Action,
        renamed: &Renamed,
        gathered: &mut Gathered,
    ) -> Result<Option<Running>, Stop> {
        let tools = Arc::clone(tools);
        Ok(match action {
            Action::Upload { path, local, base } => {
                if self.is_over_quota() {
                    return Ok(None);
                }
                let base = match base {
                    Base::New => None,
                    Base::At(remote) => Some(remote.clone()),
                    // The rename failed: the next plan knows what is where.
                    Base::AfterRename(from) if !renamed.contains_key(from) => return Ok(None),
                    Base::AfterRename(from) => renamed.get(from).cloned(),
                };
                let seq = self.next_seq(path, base.as_ref())?;
                let hint = self.store.upload_hint(path).map_err(Stop::state)?;
                let progress = self.board.begin(path.clone(), Direction::Up, local.fingerprint.size);
                let is_beginning = self.blocked.is_growing(path);
                let (path, local) = (path.clone(), local.clone());
                let job = UploadJob { path, local, base, seq, hint, source: None, is_beginning };
                gathered.up.add(job, progress).map(|jobs| run_uploads(tools, jobs).boxed())
            }
            Action::Download { path, remote, replaces } => {
                let hint = self.store.download_hint(path).map_err(Stop::state)?;
                let progress = self.board.begin(path.clone(), Direction::Down, remote.size);
                let aside = self.copy_name(path);
                let job =
                    DownloadJob { path: path.clone(), remote: remote.clone(), replaces: replaces.clone(), hint, aside };
                gathered.down.add(job, progress).map(|jobs| run_downloads(tools, jobs).boxed())
            }
            Action::DeleteRemote { path, remote } => {
                Some(run_delete(tools, path.clone(), remote.clone()).map(|ended| vec![ended]).boxed())
            }
            _ => None,
        })
    }

    /// The number of a file's next version: above the one it replaces, and above every one seen under its name, so that
    /// a file that is made again is no rollback for the other devices.
    pub(crate) fn next_seq(&self, path: &RelPath, base: Option<&RemoteEntry>) -> Result<u64, Stop> {
        let id = base.map_or_else(|| FileId::of_path(path.as_str()), |base| base.file_id);
        let seen = self.store.seen(&id).map_err(Stop::state)?.map_or(0, |seen| seen.revision.seq);
        Ok(seen.max(base.map_or(0, |base| base.revision.seq)).saturating_add(1))
    }

    /// Keeps what a transfer wants to find after a restart.
    fn keep(&mut self, note: Note) -> Result<(), Stop> {
        match note {
            Note::Upload(path, hint) => self.store.put_upload_hint(&path, &hint),
            Note::Download(path, hint) => self.store.put_download_hint(&path, &hint),
            Note::Forget(path) => self.store.remove_hints(&path),
        }
        .map_err(Stop::state)
    }

    /// Records actions that ended at the same time.
    pub(crate) async fn end(&mut self, ended: Vec<Ended>) -> Result<(), Stop> {
        let (mut settled, mut events) = (Vec::new(), Vec::new());
        let mut failed = Vec::new();
        let mut kept = Vec::new();
        let count = ended.len() as u64;
        let mut is_serving = false;
        for Ended { path, direction, result } in ended {
            if let Some(direction) = direction {
                self.board.end(&path, direction);
            }
            match result {
                Ok(done) => {
                    self.blocked.heal(&path);
                    settled.extend(done.settled);
                    events.extend(done.events);
                    kept.extend(done.kept);
                    self.trashed(done.trashed);
                    done.left.into_iter().for_each(|problem| self.blocked.leave(*problem));
                }
                Err(failure) => failed.push((path, failure)),
            }
        }
        self.record(&settled, events)?;
        self.board.update(|status| status.pending = status.pending.saturating_sub(count));
        for conflict in kept {
            self.keep_conflict(&conflict)?;
            conflict.copy.into_iter().for_each(|copy| self.wants.below(copy));
        }
        for (path, failure) in failed {
            match failure {
                // Asked for once, not for each file of a batch.
                Failure::Unavailable(error) if is_serving => {
                    self.blocked.fail(&path, unserved(&path, &error), self.seed);
                }
                failure => {
                    is_serving |= matches!(failure, Failure::Unavailable(_));
                    self.heed_failure(&path, failure).await?;
                }
            }
        }
        Ok(())
    }
}

/// What a stage waits for.
enum News {
    Ended(Vec<Ended>),
    Note(Note),
    Tick,
}

/// The agreement on a version.
pub(crate) fn synced(remote: &RemoteEntry, local: Option<&LocalEntry>) -> SyncedEntry {
    SyncedEntry {
        hash: remote.hash,
        size: remote.size,
        file_id: remote.file_id,
        revision: remote.revision,
        inode: local.map(|local| local.fingerprint.inode),
    }
}

/// An action, or a batch of them, on its way.
type Running = BoxFuture<'static, Vec<Ended>>;

/// Small transfers that wait for others to go with.
struct Gathered {
    up: Batch<UploadJob>,
    down: Batch<DownloadJob>,
}

impl Gathered {
    /// Starts what was gathered.
    fn start(&mut self, tools: &Arc<Tools>) -> Vec<Running> {
        let up = self.up.take().map(|jobs| run_uploads(Arc::clone(tools), jobs).boxed());
        let down = self.down.take().map(|jobs| run_downloads(Arc::clone(tools), jobs).boxed());
        up.into_iter().chain(down).collect()
    }
}

async fn run_uploads(tools: Arc<Tools>, mut jobs: Vec<(UploadJob, Progress)>) -> Vec<Ended> {
    let at = tools.clock.now();
    if jobs.len() == 1
        && let Some((job, progress)) = jobs.pop()
    {
        let (path, local) = (job.path.clone(), job.local.clone());
        let stored = upload(Arc::clone(&tools), job, progress).await;
        return vec![uploaded(tools.clock.now(), path, &local, stored)];
    }
    let stored = upload_many(Arc::clone(&tools), jobs).await;
    stored.into_iter().map(|(job, stored)| uploaded(at, job.path, &job.local, stored)).collect()
}

fn uploaded(at: UnixNanos, path: RelPath, local: &LocalEntry, stored: Result<RemoteEntry, Failure>) -> Ended {
    let result = stored.map(|remote| Done {
        settled: vec![Settled::Synced {
            path: path.clone(),
            local: None,
            synced: synced(&remote, Some(local)),
            remote,
        }],
        events: vec![event(at, EventKind::Uploaded, &path, format!("{} bytes sent", local.fingerprint.size))],
        ..Done::default()
    });
    Ended { path, direction: Some(Direction::Up), result }
}

async fn run_downloads(tools: Arc<Tools>, mut jobs: Vec<(DownloadJob, Progress)>) -> Vec<Ended> {
    let received = match jobs.pop() {
        Some((job, progress)) if jobs.is_empty() => {
            let received = download(Arc::clone(&tools), job.clone(), progress).await;
            vec![(job, received)]
        }
        last => {
            jobs.extend(last);
            download_many(Arc::clone(&tools), jobs).await
        }
    };
    let at = tools.clock.now();
    received.into_iter().map(|(job, received)| downloaded(at, job, received)).collect()
}

fn downloaded(at: UnixNanos, job: DownloadJob, received: Result<Received, Failure>) -> Ended {
    let DownloadJob { path, remote, replaces, .. } = job;
    let replaced = replaces.map_or(0, |replaced| replaced.fingerprint.size);
    let result = received.map(|received| {
        let Received { local, hashed_at, displaced } = received;
        let mut events = vec![event(at, EventKind::Downloaded, &path, format!("{} bytes received", remote.size))];
        let kept = match displaced {
            Displaced::Nothing | Displaced::Trashed { .. } => None,
            Displaced::Conflict(copy) => {
                let text = format!("it changed at the last moment; that version is kept as \"{}\"", copy.name());
                events.push(event(at, EventKind::Conflict, &path, text));
                Some(Conflict {
                    path: path.clone(),
                    kind: ConflictKind::BothModified,
                    local: None,
                    remote: Some(remote.clone()),
                    resolution: Resolution::KeepBoth,
                    copy: Some(copy),
                })
            }
            Displaced::ConflictInTrash { .. } => {
                let text = "it changed at the last moment; that version is in the trash".to_owned();
                events.push(event(at, EventKind::Conflict, &path, text));
                None
            }
        };
        let synced = synced(&remote, Some(&local));
        let local = Some(Known { entry: local, hashed_at });
        let settled = vec![Settled::Synced { path: path.clone(), local, remote, synced }];
        Done { settled, events, kept, trashed: replaced, left: None }
    });
    Ended { path, direction: Some(Direction::Down), result }
}

async fn run_delete(tools: Arc<Tools>, path: RelPath, remote: RemoteEntry) -> Ended {
    let answer = tools.remote.delete(tools.folder_hash, remote.file_id, remote.revision).await;
    let result = answer.map_err(|error| Failure::remote(&path, error)).map(|_| Done {
        settled: vec![Settled::RemoteGone { path: path.clone() }],
        events: vec![event(
            tools.clock.now(),
            EventKind::DeletedThere,
            &path,
            "deleted on the server, as it was here".to_owned(),
        )],
        ..Done::default()
    });
    Ended { path, direction: None, result }
}
