//! One cycle: look at both sides, plan, carry out, and again until nothing is left to do.

use std::sync::Arc;

use hcfs_model::RelPath;
use hcfs_plan::Plan;
use tokio::sync::mpsc;

use crate::session::{Session, Stop};
use crate::status::{EventKind, FolderState};
use crate::transfer::{Note, Tools};

/// How often a cycle looks and plans again before it leaves the rest to the next one.
const ROUNDS: usize = 8;

impl Session {
    /// Runs one cycle, and says whether it came to an end: what changes all the time, or a plan that is made again and
    /// again, does not.
    ///
    /// # Errors
    /// What stops the folder as a whole, or a command that breaks it off.
    pub(crate) async fn cycle(&mut self) -> Result<bool, Stop> {
        for _ in 0..ROUNDS {
            let plan = self.look_and_plan().await?;
            self.keep_holds(&plan)?;
            self.keep_conflicts(&plan)?;
            self.reported = plan.reported.len() as u64;
            if plan.is_empty() || !self.execute(&plan).await? {
                self.clear_staged().await?;
                return Ok(true);
            }
            self.wants.plan();
            if !self.waiting.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes staged parts of transfers that broke off, once nothing is wanted of them any more: each takes as much room
    /// as its whole file.
    async fn clear_staged(&mut self) -> Result<(), Stop> {
        let keep = crate::start::staged_parts_of_use(&mut self.store).map_err(Stop::state)?;
        let (folder, machine) = (Arc::clone(&self.folder), Arc::clone(&self.machine));
        let swept = self.see_through(crate::blocking::blocking(machine, move || folder.sweep_staged(&keep))).await;
        if let Err(error) = swept {
            tracing::warn!(%error, "staged parts of no use could not be removed");
        }
        Ok(())
    }

    /// Brings both trees up to date and plans over them.
    ///
    /// # Errors
    /// As [`Session::cycle`].
    pub(crate) async fn look_and_plan(&mut self) -> Result<Plan, Stop> {
        // The server is asked first, which can take its time.
        self.rouse();
        let gate = Arc::clone(&self.gate);
        drop(self.attend(gate.write_owned()).await?);
        self.prune_trash().await?;
        self.recheck_root().await?;
        self.observe_there().await?;
        self.observe_here().await?;
        self.decide()
    }

    /// With something to look at here the folder is not idle any more.
    pub(crate) fn rouse(&mut self) {
        if self.wants.is_here() && self.board.status().state == FolderState::Idle {
            self.board.update(|status| status.state = FolderState::Scanning);
        }
    }

    /// Shows how the folder stands after a cycle.
    pub(crate) fn show_end(&mut self) {
        self.board.count_cycle(self.clock.now());
        self.show_rest();
    }

    /// Shows how the folder stands.
    pub(crate) fn show_rest(&mut self) {
        let totals = self.store.totals().unwrap_or_default();
        let differing = self.store.changed_count().unwrap_or(u64::MAX);
        let problems = self.blocked.problems();
        let conflicts = self.open_conflicts().len() as u64;
        let holds = self.open_holds().len() as u64;
        let is_equal = differing <= self.ignored_marks();
        if is_equal {
            self.over_quota_until = None;
        }
        let over_quota = self.is_over_quota();
        let state = if self.paused {
            FolderState::Paused
        } else if over_quota {
            FolderState::OverQuota
        } else if self.wants.any() || self.blocked.is_settling() {
            FolderState::Syncing
        } else if !problems.is_empty() || conflicts > 0 {
            FolderState::Attention
        } else if holds > 0 {
            FolderState::Held
        } else if !is_equal || self.reported > 0 {
            FolderState::Attention
        } else {
            FolderState::Idle
        };
        let was = self.board.status().state;
        self.board.update(|status| {
            status.state = state;
            if !over_quota {
                status.trouble = None;
            }
            status.synced_files = totals.synced.files;
            status.synced_bytes = totals.synced.bytes;
            status.local_files = totals.local.files;
            status.remote_files = totals.remote.files;
            (status.pending, status.pending_up, status.pending_down) = (0, 0, 0);
            status.problems = problems;
            status.conflicts = conflicts;
            status.holds = holds;
        });
        let is_rest = matches!(state, FolderState::Idle | FolderState::Attention | FolderState::Held);
        if is_rest && self.told_rest != Some(state) {
            self.told_rest = Some(state);
            if was != FolderState::Paused {
                self.tell(EventKind::State, None, state.as_str().to_owned());
            }
        } else if !is_rest {
            self.told_rest = None;
        }
    }

    /// How many differing paths the ignore rules exclude: they are settled as they are.
    fn ignored_marks(&self) -> u64 {
        let paths = self.store.changed_paths().unwrap_or_default();
        paths.iter().filter(|path| self.rules.verdict(path, false) == hcfs_fs::Verdict::Ignored).count() as u64
    }

    /// What transfers need, for work that leaves no notes.
    pub(crate) fn tools(&self) -> Arc<Tools> {
        // Its receiver is dropped at once: notes go nowhere.
        self.tools_with(mpsc::channel(1).0)
    }

    /// What transfers need; their notes go to `notes`.
    pub(crate) fn tools_with(&self, notes: mpsc::Sender<Note>) -> Arc<Tools> {
        Arc::new(Tools {
            folder: Arc::clone(&self.folder),
            remote: Arc::clone(&self.remote),
            clock: Arc::clone(&self.clock),
            machine: Arc::clone(&self.machine),
            owner: self.owner.clone(),
            rules: Arc::clone(&self.rules),
            folder_hash: self.spec.folder_hash(),
            share_paths: self.spec.share_paths,
            notes,
            buffers: self.buffers.clone(),
            gate: Arc::clone(&self.gate),
        })
    }

    /// The name beside a path under which a version nobody expected is kept. The disk takes the first free variant.
    pub(crate) fn copy_name(&self, path: &RelPath) -> RelPath {
        let now = self.clock.now();
        hcfs_plan::copy_name(path, &self.spec.device, &crate::decide::date(now))
    }
}
