//! From the three trees to a plan: what the planner is told.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{Problem, ProblemCode, RelPath, Row, Rows};
use hcfs_plan::{Action, Context, Plan, Policy, Reason, Totals};

use crate::conflicts::{is_about, resolution};
use crate::observe::suspect;
use crate::session::{Session, Stop};

/// How often new names are made anew because they are taken; each try takes at least one more name into account.
const NAME_TRIES: usize = 16;

impl Session {
    /// Plans over what differs now.
    ///
    /// # Errors
    /// The database cannot be read, or the planner left a path undecided.
    pub(crate) fn decide(&mut self) -> Result<Plan, Stop> {
        let suspects = self.store.suspects().map_err(Stop::state)?;
        self.blocked.suspected(suspects.into_iter().map(|(path, why)| suspect(path, &why)).collect());
        let rows = self.store.changed_rows().map_err(Stop::state)?;
        self.wait_for_rules(&rows);
        self.shrinking.see(self.store.totals().map_err(Stop::state)?.synced.files);
        let mut context = self.context(&rows)?;
        context.moved = self.wants.take_moved();
        for _ in 0..NAME_TRIES {
            let plan = hcfs_plan::plan(&rows, &context).map_err(|error| Stop::defect(&error))?;
            let taken = self.taken(&plan)?;
            if taken.is_empty() {
                self.forget_failures(&rows, &plan);
                self.blocked.clashed(self.clashes(&plan));
                if !context.accepted.is_empty() || plan.actions().any(|action| matches!(action, Action::Forget { .. }))
                {
                    self.shrinking.begin_anew();
                }
                return Ok(plan);
            }
            context.reserved.extend(taken);
        }
        Err(Stop::defect(&"every name for a conflict copy is taken"))
    }

    /// Failures count as long as something is wanted of their paths.
    fn forget_failures(&mut self, rows: &Rows, plan: &Plan) {
        if !self.blocked.is_any_failing() {
            return;
        }
        let mut tried: BTreeSet<&RelPath> = BTreeSet::new();
        for action in plan.actions() {
            match action {
                Action::RenameRemote { from, to, .. } | Action::RenameLocal { from, to, .. } => {
                    tried.extend([from, to]);
                }
                Action::Adopt { path, .. }
                | Action::Forget { path }
                | Action::SetAside { path, .. }
                | Action::Upload { path, .. }
                | Action::Download { path, .. }
                | Action::DeleteRemote { path, .. }
                | Action::DeleteLocal { path, .. } => tried.extend([path]),
            }
        }
        let changing = &self.changing;
        self.blocked.retain(
            |path| rows.contains_key(path) || changing.contains(path),
            |path| tried.contains(path) || changing.contains(path),
        );
    }

    /// The names that a file and a directory want of which neither can give way. What alone is told otherwise is what
    /// cannot be moved, and not all that waits for it.
    fn clashes(&self, plan: &Plan) -> Vec<Problem> {
        let is_unknown =
            |path: &RelPath| self.unknown.contains(path) || path.ancestors().any(|above| self.unknown.contains(&above));
        let names = plan.reported.iter().filter_map(|(path, reason)| match reason {
            Reason::InTheWay { by } => Some(if path.is_below(by) { by } else { path }),
            // What lies below it cannot be looked at, so it is a directory here.
            Reason::Unreadable if !is_unknown(path) => Some(path),
            _ => None,
        });
        names.collect::<BTreeSet<_>>().into_iter().map(clash).collect()
    }

    /// Where rules cannot be read now it is not known what they exclude: such paths wait until they can.
    fn wait_for_rules(&mut self, rows: &Rows) {
        let waiting = self.blocked.paths();
        for path in rows.keys().filter(|path| !waiting.contains(*path)) {
            if self.rules.verdict(path, false) == hcfs_fs::Verdict::Unknown {
                self.wait_for_rules_of(path);
            }
        }
    }

    /// Has a path wait until the rules it falls under can be read.
    pub(crate) fn wait_for_rules_of(&mut self, path: &RelPath) {
        let problem = Problem {
            path: Some(path.clone()),
            code: ProblemCode::Unreadable,
            message: format!("the ignore rules that \"{path}\" falls under cannot be read"),
            hint: format!("correct or remove the {} above it; it is tried again", hcfs_fs::IGNORE_FILE),
        };
        self.blocked.fail(path, problem, self.seed);
    }

    /// Everything but the rows and the watcher's word that a plan depends on.
    pub(crate) fn context(&self, rows: &Rows) -> Result<Context, Stop> {
        let totals = self.store.totals().map_err(Stop::state)?.synced;
        let baseline = self.store.meta().map_err(Stop::state)?.baseline.is_complete();
        let decided = self.store.conflicts().map_err(Stop::state)?;
        let mut context = Context {
            policy: Policy { mode: self.spec.mode, conflicts: self.spec.conflicts, max_delete: self.spec.max_delete },
            totals: Totals { files: totals.files, top: totals.tops },
            shrunk: self.shrinking.by(),
            baseline,
            unknown_local: self.unknown.clone(),
            blocked: self.left_alone(rows),
            ignored: rows
                .keys()
                .filter(|path| self.rules.verdict(path, false) == hcfs_fs::Verdict::Ignored)
                .cloned()
                .collect(),
            moved: Vec::new(),
            decided: decided
                .into_iter()
                .filter(|(_, conflict)| is_about(conflict, rows.get(&conflict.path)))
                .filter_map(|(_, conflict)| Some((conflict.path, resolution(conflict.decision?))))
                .collect::<BTreeMap<_, _>>(),
            asked: self.asked()?,
            accepted: BTreeSet::new(),
            restored: BTreeSet::new(),
            reserved: rows.keys().filter(|path| hcfs_plan::is_reserved(path)).cloned().collect(),
            device: self.spec.device.clone(),
            date: date(self.clock.now()),
        };
        context.accepted = self.accepted(rows, &context)?;
        Ok(context)
    }

    /// The paths to be left alone. With paths that wait for their next try also what stands under a temporary name on the
    /// server: where it was going may be one of them, and to receive it would make it a file like any other.
    fn left_alone(&self, rows: &Rows) -> BTreeSet<RelPath> {
        let mut alone = self.blocked.paths();
        if self.blocked.next_try().is_some() {
            let is_on_its_way = |(path, row): &(&RelPath, &Row)| {
                hcfs_plan::is_temporary(path) && row.local.is_none() && row.synced.is_none()
            };
            alone.extend(rows.iter().filter(is_on_its_way).map(|(path, _)| path.clone()));
        }
        alone
    }

    /// The new names of a plan that exist already, outside the rows it was made from.
    fn taken(&self, plan: &Plan) -> Result<BTreeSet<RelPath>, Stop> {
        let mut taken = BTreeSet::new();
        for action in plan.actions() {
            let (Action::SetAside { to, .. } | Action::RenameLocal { to, remote: None, .. }) = action else { continue };
            let is_row = self.store.row(to).map_err(Stop::state)? != Row::default();
            // Anything but a clear "nothing is there" means that the name is not free.
            let on_disk = !matches!(self.folder.fingerprint(to, None), Ok(None));
            if is_row || on_disk {
                taken.insert(to.clone());
            }
        }
        Ok(taken)
    }
}

fn clash(path: &RelPath) -> Problem {
    Problem {
        path: Some(path.clone()),
        code: ProblemCode::PathBlocked,
        message: format!("\"{path}\" is a file on one side and a directory on the other, and neither can give way now"),
        hint: "settle what else is reported at or below this name, or rename one of the two".to_owned(),
    }
}

/// The date of a moment, as conflict copies carry it: `2025-01-31`, in the time of this machine.
pub(crate) fn date(now: hcfs_model::UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(now.0))
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).date().to_string())
        .unwrap_or_else(|_| "undated".to_owned())
}
