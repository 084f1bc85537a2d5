//! Changes of names: renames on both sides, files set aside, and files that go to the trash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hcfs_crypto::phrase::FolderKeys;
use hcfs_fs::{ApplyError, Durability, Move, Remove};
use hcfs_model::{FileId, LocalEntry, Problem, ProblemCode, RelPath, RemoteEntry, UnixNanos};
use hcfs_plan::{Action, Base, Conflict, Plan, Stage};
use hcfs_remote::{Rename, RenameFiles, RenameOutcome, RenameReason};
use hcfs_state::{Decision, Known, Settled};

use crate::blocking::blocking;
use crate::execute::{Done, Ended, Renamed, synced};
use crate::failure::{Failure, keeps_changing, unserved};
use crate::journal::event;
use crate::session::{Session, Stop};
use crate::status::EventKind;
use crate::transfer::{Tools, sealed_path};

/// Renames of one request, and of one batch on disk.
const BATCH: usize = 500;

/// One rename on the server, ready to be asked for.
pub(crate) struct Wanted {
    pub(crate) from: RelPath,
    pub(crate) to: RelPath,
    pub(crate) base: RemoteEntry,
}

impl Session {
    /// Renames on the server, in the planned order, as few requests as that allows: a row that was just renamed has a
    /// revision only the answer tells, so renaming it again takes another request.
    pub(crate) async fn rename_there(&mut self, stage: &Stage, renamed: &mut Renamed) -> Result<(), Stop> {
        let mut batch: Vec<Wanted> = Vec::new();
        for action in &stage.actions {
            let Action::RenameRemote { from, to, base } = action else { continue };
            let is_from_this_batch = batch.iter().any(|wanted| wanted.to == *from);
            if is_from_this_batch || batch.len() == BATCH {
                self.send_renames(std::mem::take(&mut batch), renamed).await?;
            }
            let base = match base {
                Base::At(remote) => remote.clone(),
                Base::AfterRename(earlier) => match renamed.get(earlier) {
                    Some(remote) => remote.clone(),
                    None => continue,
                },
                Base::New => continue,
            };
            batch.push(Wanted { from: from.clone(), to: to.clone(), base });
        }
        self.send_renames(batch, renamed).await
    }

    async fn send_renames(&mut self, batch: Vec<Wanted>, renamed: &mut Renamed) -> Result<(), Stop> {
        if batch.is_empty() {
            return Ok(());
        }
        let outcome = match self.ask_renames(&batch).await? {
            Ok(outcome) => outcome,
            Err(failure) => return self.heed_failed_batch(&batch, failure).await,
        };
        let now = self.clock.now();
        let mut ended = Vec::new();
        for wanted in batch {
            let made = outcome.successes.iter().find(|made| made.old_path_hash == wanted.base.file_id);
            let result = match made {
                Some(made) => {
                    let moved = RemoteEntry { file_id: made.new_path_hash, revision: made.revision(), ..wanted.base };
                    renamed.insert(wanted.from.clone(), moved.clone());
                    let local = self.store.row(&wanted.to).map_err(Stop::state)?.local;
                    let text = format!("renamed on the server to \"{}\"", wanted.to);
                    Ok(Done {
                        settled: vec![Settled::RemoteMoved {
                            from: wanted.from.clone(),
                            to: wanted.to,
                            synced: local.as_ref().map(|local| synced(&moved, Some(local))),
                            remote: moved,
                        }],
                        events: vec![event(now, EventKind::RenamedThere, &wanted.from, text)],
                        ..Done::default()
                    })
                }
                None => Err(refused(&wanted, &outcome)),
            };
            ended.push(Ended { path: wanted.from, direction: None, result });
        }
        self.end(ended).await
    }

    /// What failed for a batch failed for each of it. The new names wait with the old ones: a file is not sent again under
    /// its new name because it could not be renamed.
    async fn heed_failed_batch(&mut self, batch: &[Wanted], failure: Failure) -> Result<(), Stop> {
        let Some((first, others)) = batch.split_first() else { return Ok(()) };
        let rest = std::iter::once(&first.to).chain(others.iter().flat_map(|wanted| [&wanted.from, &wanted.to]));
        match failure {
            Failure::MovedThere => {
                for path in rest {
                    self.blocked.moved(path, keeps_changing(path), self.seed);
                }
                self.heed_failure(&first.from, Failure::MovedThere).await
            }
            Failure::Unavailable(error) => {
                for path in rest {
                    self.blocked.fail(path, unserved(path, &error), self.seed);
                }
                self.heed_failure(&first.from, Failure::Unavailable(error)).await
            }
            Failure::Path(problem) => {
                for path in rest {
                    let problem = Problem { path: Some(path.clone()), ..problem.clone() };
                    self.blocked.fail(path, problem, self.seed);
                }
                self.heed_failure(&first.from, Failure::Path(problem)).await
            }
            other => self.heed_failure(&first.from, other).await,
        }
    }

    /// Asks the server for a batch of renames; nothing is recorded.
    pub(crate) async fn ask_renames(&mut self, batch: &[Wanted]) -> Result<Result<RenameOutcome, Failure>, Stop> {
        let request = match request(&self.tools(), batch) {
            Ok(request) => request,
            Err(failure) => return Ok(Err(failure)),
        };
        let remote = Arc::clone(&self.remote);
        let answer = self.attend(async move { remote.rename(&request).await }).await?;
        Ok(answer.map_err(|error| Failure::remote(&batch[0].from, error)))
    }

    /// Renames on disk, in the planned order.
    pub(crate) async fn rename_here(&mut self, stage: &Stage) -> Result<(), Stop> {
        for actions in stage.actions.chunks(BATCH) {
            let (mut moves, mut targets) = (Vec::new(), BTreeMap::new());
            for action in actions {
                let Action::RenameLocal { from, to, local, remote } = action else { continue };
                if remote.is_some() {
                    targets.insert(from.clone(), to.clone());
                }
                moves.push((from.clone(), to.clone(), local.clone(), remote.clone(), self.hashed_at(from)?));
            }
            let (tools, now) = (self.tools(), self.clock.now());
            let gate = self.attend(Arc::clone(&self.gate).read_owned()).await?;
            let ended = blocking(Arc::clone(&self.machine), move || {
                let _gate = gate;
                let mut ended: Vec<Ended> = Vec::with_capacity(moves.len());
                // What a rename of this batch made of a file that a later one renames again.
                let mut moved: BTreeMap<RelPath, Known> = BTreeMap::new();
                for (from, to, entry, remote, hashed_at) in moves {
                    let known = moved.remove(&from).unwrap_or(Known { entry, hashed_at });
                    let one = move_one(&tools, (from, to.clone(), known.entry, remote, known.hashed_at), now);
                    if let Ok(Done { settled, .. }) = &one.result {
                        moved.extend(settled.iter().filter_map(|settled| match settled {
                            Settled::LocalMoved { local, .. } => Some((to.clone(), local.clone())),
                            _ => None,
                        }));
                    }
                    ended.push(one);
                }
                sync(&tools, &mut ended);
                ended
            });
            let ended = self.see_through(ended).await;
            let ended: Vec<Ended> = ended.into_iter().map(|one| blame(one, &targets)).collect();
            let failed = ended.iter().filter(|one| one.result.is_err());
            let failed: Vec<_> = failed.filter_map(|one| targets.remove_entry(&one.path)).collect();
            self.end(ended).await?;
            for (from, to) in failed.iter().filter(|(from, _)| hcfs_plan::is_temporary(from)) {
                self.blocked.strand(from, to, self.seed);
            }
        }
        Ok(())
    }

    /// Keeps local files under other names, and remembers the conflicts they come from.
    pub(crate) async fn set_aside(&mut self, stage: &Stage, plan: &Plan) -> Result<(), Stop> {
        let conflicts: BTreeMap<&RelPath, &Conflict> = plan.conflicts.iter().map(|one| (&one.path, one)).collect();
        for actions in stage.actions.chunks(BATCH) {
            let known = self.store.conflicts().map_err(Stop::state)?;
            // Where a user has said that both stay, nothing is left to ask.
            let is_answered =
                |known: &hcfs_state::Conflict| known.copy.is_none() && known.decision == Some(Decision::KeepBoth);
            let decided: BTreeSet<RelPath> =
                known.into_iter().filter(|(_, known)| is_answered(known)).map(|(_, known)| known.path).collect();
            let (mut jobs, mut kept) = (Vec::new(), BTreeMap::new());
            for action in actions {
                let Action::SetAside { path, to, local } = action else { continue };
                jobs.push((path.clone(), to.clone(), local.clone(), None, self.hashed_at(path)?));
                // Kept before the file moves: one whose copy does not come to be is dropped by the next look.
                if let Some(conflict) = conflicts.get(path).filter(|_| !decided.contains(path)) {
                    kept.insert(path.clone(), self.keep_conflict(conflict)?);
                }
            }
            if jobs.is_empty() {
                continue;
            }
            let (tools, now) = (self.tools(), self.clock.now());
            let gate = self.attend(Arc::clone(&self.gate).read_owned()).await?;
            let ended = blocking(Arc::clone(&self.machine), move || {
                let _gate = gate;
                let mut ended: Vec<Ended> = jobs.into_iter().map(|job| move_one(&tools, job, now)).collect();
                sync(&tools, &mut ended);
                ended
            });
            let ended = self.see_through(ended).await;
            let failed: Vec<u64> =
                ended.iter().filter(|one| one.result.is_err()).filter_map(|one| kept.remove(&one.path)).collect();
            self.end(ended).await?;
            for id in failed {
                self.store.remove_conflict(id).map_err(Stop::state)?;
            }
        }
        Ok(())
    }

    /// Moves files to the trash.
    pub(crate) async fn delete_here(&mut self, stage: &Stage) -> Result<(), Stop> {
        for actions in stage.actions.chunks(BATCH) {
            let files: Vec<(RelPath, LocalEntry)> = actions
                .iter()
                .filter_map(|action| match action {
                    Action::DeleteLocal { path, local } => Some((path.clone(), local.clone())),
                    _ => None,
                })
                .collect();
            if files.is_empty() {
                continue;
            }
            let (tools, now) = (self.tools(), self.clock.now());
            let gate = self.attend(Arc::clone(&self.gate).read_owned()).await?;
            let ended = blocking(Arc::clone(&self.machine), move || {
                let _gate = gate;
                let mut ended: Vec<Ended> = files.into_iter().map(|file| remove_one(&tools, file, now)).collect();
                sync(&tools, &mut ended);
                ended
            });
            let ended = self.see_through(ended).await;
            self.end(ended).await?;
        }
        Ok(())
    }

    /// When the hash of a local file was taken.
    fn hashed_at(&self, path: &RelPath) -> Result<UnixNanos, Stop> {
        let mut known = self.store.known_files_in(path).map_err(Stop::state)?;
        match known.next().transpose().map_err(Stop::state)? {
            Some((found, known)) if found == *path => Ok(known.hashed_at),
            _ => Ok(UnixNanos(0)),
        }
    }
}

/// The signed request for a batch of renames.
fn request(tools: &Tools, batch: &[Wanted]) -> Result<RenameFiles, Failure> {
    let mut renames = Vec::with_capacity(batch.len());
    for wanted in batch {
        let id = FileId::of_path(wanted.to.as_str());
        renames.push(Rename {
            old_path_hash: wanted.base.file_id,
            new_path_hash: id,
            new_encrypted_path: sealed_path(tools, &wanted.to, None, id)?,
            new_file_name: tools.share_paths.then(|| wanted.to.name().to_owned()),
            new_relative_path: tools.share_paths.then(|| wanted.to.to_string()),
            base_revision_id: wanted.base.revision.id,
        });
    }
    let keys: &FolderKeys = &tools.owner.keys;
    let pairs: Vec<_> = renames.iter().map(|rename| (rename.old_path_hash, rename.new_path_hash)).collect();
    Ok(RenameFiles {
        ss58_address: tools.owner.account.clone(),
        folder_hash: tools.folder_hash,
        signature: keys.signing.sign(hcfs_remote::rename_text(&pairs).as_bytes()),
        signing_key: keys.signing.verifying_key(),
        renames,
    })
}

/// Why the server did not make a rename.
pub(crate) fn refused(wanted: &Wanted, outcome: &RenameOutcome) -> Failure {
    let reason = outcome.failures.iter().find(|failure| failure.old_path_hash == wanted.base.file_id);
    match reason.map(|failure| &failure.reason) {
        Some(RenameReason::NotFound | RenameReason::TargetExists | RenameReason::RevisionMismatch) | None => {
            Failure::MovedThere
        }
        Some(other) => Failure::Path(Problem {
            path: Some(wanted.from.clone()),
            code: ProblemCode::ServerError,
            message: format!("the server could not rename \"{}\" ({})", wanted.from, other.as_str()),
            hint: "nothing to do: it is tried again".to_owned(),
        }),
    }
}

type LocalMove = (RelPath, RelPath, LocalEntry, Option<RemoteEntry>, UnixNanos);

fn move_one(tools: &Tools, job: LocalMove, now: UnixNanos) -> Ended {
    let (from, to, entry, remote, hashed_at) = job;
    let (rules, at, durability) = (&tools.rules, now, Durability::Batch);
    let request = Move { from: &from, to: &to, entry: &entry, hashed_at, rules, at, durability };
    let result = tools.folder.rename(&request).map_err(|error| Failure::apply(&from, &error)).map(|renamed| {
        let placed = renamed.placed;
        let local = LocalEntry { hash: entry.hash, fingerprint: placed.fingerprint, disk_path: placed.disk_path };
        let agreed = remote.as_ref().map(|remote| synced(remote, Some(&local)));
        Done {
            settled: vec![Settled::LocalMoved {
                from: from.clone(),
                to: to.clone(),
                local: Known { entry: local, hashed_at: placed.hashed_at },
                synced: agreed,
            }],
            left: renamed.problem.map(Box::new),
            events: vec![event(now, EventKind::RenamedHere, &from, format!("renamed here to \"{to}\""))],
            ..Done::default()
        }
    });
    Ended { path: from, direction: None, result }
}

/// Where something stands in the way of a new name, that one alone waits. The old one is given up, as the server has given
/// it up: other files may need the place.
fn blame(one: Ended, targets: &BTreeMap<RelPath, RelPath>) -> Ended {
    let Some(to) = targets.get(&one.path).filter(|_| !hcfs_plan::is_temporary(&one.path)) else { return one };
    match one.result {
        Err(Failure::Path(problem)) if is_in_the_way(problem.code) => {
            let problem = Problem { path: Some(to.clone()), ..problem };
            Ended { path: to.clone(), result: Err(Failure::Path(problem)), ..one }
        }
        result => Ended { result, ..one },
    }
}

/// Whether it is what stands at a name, or what the disk can hold, that keeps a file from it, so that to try again alone
/// does not help.
fn is_in_the_way(code: ProblemCode) -> bool {
    matches!(
        code,
        ProblemCode::PathBlocked
            | ProblemCode::NameNotPossible
            | ProblemCode::DuplicateName
            | ProblemCode::Symlink
            | ProblemCode::SpecialFile
    )
}

fn remove_one(tools: &Tools, (path, entry): (RelPath, LocalEntry), now: UnixNanos) -> Ended {
    let request = Remove { target: &path, entry: &entry, rules: &tools.rules, at: now, durability: Durability::Batch };
    let result = tools.folder.remove(&request).map_err(|error| Failure::apply(&path, &error)).map(|removed| Done {
        left: removed.problem.map(Box::new),
        settled: vec![Settled::Gone { path: path.clone() }],
        events: vec![event(
            now,
            EventKind::DeletedHere,
            &path,
            "deleted on the server; moved to the trash here".to_owned(),
        )],
        trashed: entry.fingerprint.size,
        ..Done::default()
    });
    Ended { path, direction: None, result }
}

/// Makes a batch durable before it is recorded. What cannot be made durable is not recorded: it is looked at again.
fn sync(tools: &Tools, ended: &mut [Ended]) {
    let failed: Option<ApplyError> = tools.folder.sync_all().err();
    let Some(error) = failed else { return };
    for one in ended.iter_mut().filter(|one| one.result.is_ok()) {
        one.result = Err(Failure::apply(&one.path, &error));
    }
}
