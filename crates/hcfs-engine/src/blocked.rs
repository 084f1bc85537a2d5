//! Paths that are left alone for now, why, and until when.
//!
//! Problems are not stored: they are found again by looking. Each source of problems replaces what it said before, so
//! that what has healed is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hcfs_model::{Problem, RelPath};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::wants::Scope;

/// After how many tries a file that changes while it is read becomes a problem.
const PATIENCE: u32 = 3;

/// A path whose last action failed.
struct Failing {
    problem: Problem,
    /// Shown only after some tries: it mostly heals alone.
    patient: bool,
    /// The file goes on growing, and what it held a moment ago is acted on.
    growing: bool,
    backoff: Backoff,
    /// When it is tried again; `None` while it is.
    until: Option<Instant>,
}

/// All paths that are left alone.
#[derive(Default)]
pub(crate) struct Blocked {
    here: Vec<Problem>,
    /// Paths where something stands that is not acted on, as the last scan saw it.
    standing: BTreeSet<RelPath>,
    there: Vec<Problem>,
    /// What the last plan left as it is, since a file and a directory want one name and neither can give way.
    clashing: Vec<Problem>,
    /// Directories that were emptied and stay, since something ignored is in them.
    left: Vec<Problem>,
    /// Files whose listed version cannot be trusted.
    suspect: Vec<Problem>,
    failing: BTreeMap<RelPath, Failing>,
    folder: Option<Problem>,
}

impl Blocked {
    /// Replaces what an earlier scan of the same part of the folder found.
    pub(crate) fn scanned(&mut self, scope: &Scope, found: Vec<Problem>, standing: Vec<RelPath>) {
        // A problem without a path is one of the root, which only a full scan looks at.
        self.here.retain(|problem| match &problem.path {
            Some(path) => !scope.contains(path),
            None => *scope != Scope::Everything,
        });
        self.standing.retain(|path| !scope.contains(path));
        self.standing.extend(standing);
        for problem in found {
            if !self.here.contains(&problem) {
                self.here.push(problem);
            }
        }
    }

    /// A directory was emptied and stays.
    pub(crate) fn leave(&mut self, problem: Problem) {
        self.left.retain(|known| known.path != problem.path);
        self.left.push(problem);
    }

    /// Forgets the directories that do not stay any more, or are not empty.
    pub(crate) fn retain_left(&mut self, stays: impl Fn(&RelPath) -> bool) {
        self.left.retain(|problem| problem.path.as_ref().is_some_and(&stays));
    }

    /// Replaces what an earlier listing showed.
    pub(crate) fn listed(&mut self, found: Vec<Problem>) {
        self.there = found;
    }

    /// Replaces what clashed in the plan before.
    pub(crate) fn clashed(&mut self, found: Vec<Problem>) {
        self.clashing = found;
    }

    /// Replaces what contradicted the revision marks before.
    pub(crate) fn suspected(&mut self, found: Vec<Problem>) {
        self.suspect = found;
    }

    /// A problem of the folder as a whole that does not stop it, or none any more.
    pub(crate) fn set_folder_problem(&mut self, problem: Option<Problem>) {
        self.folder = problem;
    }

    /// An action on a path failed; it is tried again after a growing pause.
    pub(crate) fn fail(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        self.fail_with(path, problem, false, Duration::from_secs(5), seed);
    }

    /// A file changed while it was read. Mostly it is quiet a moment later.
    pub(crate) fn changing(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        self.fail_with(path, problem, true, Duration::from_millis(500), seed);
    }

    /// A file goes on growing, but what it held a moment ago was read twice and is acted on. It is read again after a
    /// growing pause.
    pub(crate) fn growing(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        self.changing(path, problem, seed);
        if let Some(failing) = self.failing.get_mut(path) {
            failing.growing = true;
        }
    }

    /// Whether what a growing file held a moment ago is acted on.
    pub(crate) fn is_growing(&self, path: &RelPath) -> bool {
        self.failing.get(path).is_some_and(|failing| failing.growing)
    }

    /// Whether a file that changes was tried often enough that it will not be quiet soon.
    pub(crate) fn is_restless(&self, path: &RelPath) -> bool {
        self.failing.get(path).is_some_and(|failing| failing.patient && failing.backoff.tries() >= PATIENCE)
    }

    /// Whether a file that changes is to be left alone until its next try.
    pub(crate) fn is_resting(&self, path: &RelPath) -> bool {
        let now = Instant::now();
        self.failing.get(path).is_some_and(|failing| failing.patient && failing.until.is_some_and(|until| until > now))
    }

    /// A file that changed was read while it was quiet.
    pub(crate) fn quiet(&mut self, path: &RelPath) {
        if self.is_growing(path) {
            self.failing.remove(path);
        }
    }

    /// One side was not what the plan was made on. It is looked at again, and the new plan is tried at once; only if that
    /// fails as well there is a pause.
    pub(crate) fn moved(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        let is_first = !self.failing.contains_key(path);
        self.changing(path, problem, seed);
        if let Some(failing) = self.failing.get_mut(path).filter(|_| is_first) {
            failing.until = None;
        }
    }

    /// A file could not go on from the temporary name it is at. The first time that is tried again at once: what was in the
    /// way may give way to the next plan. Later, where it was going waits with it: what is left at such a name alone would
    /// be taken for a file that belongs nowhere.
    pub(crate) fn strand(&mut self, from: &RelPath, to: &RelPath, seed: u64) {
        let Some(Failing { problem, until: Some(until), backoff, .. }) = self.failing.get(from) else { return };
        let (problem, mut last) = (Problem { path: Some(to.clone()), ..problem.clone() }, Some(*until));
        if backoff.tries() == 1 {
            last = None;
        } else {
            self.fail(to, problem, seed);
            last = last.max(self.failing.get(to).and_then(|failing| failing.until));
        }
        for path in [from, to] {
            if let Some(failing) = self.failing.get_mut(path) {
                failing.until = last;
            }
        }
    }

    fn fail_with(&mut self, path: &RelPath, problem: Problem, patient: bool, first: Duration, seed: u64) {
        let fresh = || Backoff::new(first, Duration::from_secs(15 * 60), seed);
        let failing = self.failing.entry(path.clone()).or_insert_with(|| Failing {
            problem: problem.clone(),
            patient,
            growing: false,
            backoff: fresh(),
            until: None,
        });
        failing.problem = problem;
        failing.patient = patient;
        failing.growing = false;
        failing.until = Some(Instant::now() + failing.backoff.next());
    }

    /// An action on a path succeeded. A growing file is read again after its pause all the same.
    pub(crate) fn heal(&mut self, path: &RelPath) {
        if !self.is_growing(path) {
            self.failing.remove(path);
        }
    }

    /// Whether any path fails.
    pub(crate) fn is_any_failing(&self) -> bool {
        !self.failing.is_empty()
    }

    /// After a plan: forgets the failures of paths that are not `open` any more, and of those that could be tried and are
    /// not `tried` by it.
    pub(crate) fn retain(&mut self, is_open: impl Fn(&RelPath) -> bool, is_tried: impl Fn(&RelPath) -> bool) {
        self.failing.retain(|path, failing| match failing.until {
            Some(_) => is_open(path),
            None => is_tried(path),
        });
    }

    /// Everything is tried again at once.
    pub(crate) fn try_all_now(&mut self) {
        for failing in self.failing.values_mut() {
            failing.until = None;
        }
    }

    /// Takes the failing paths whose time has come: they are tried now.
    pub(crate) fn due(&mut self) -> Vec<RelPath> {
        let now = Instant::now();
        let due = self.failing.iter_mut().filter(|(_, failing)| failing.until.is_some_and(|until| until <= now));
        due.map(|(path, failing)| {
            failing.until = None;
            path.clone()
        })
        .collect()
    }

    /// When the next failing path is tried again.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.failing.values().filter_map(|failing| failing.until).min()
    }

    /// The paths the planner must leave alone now.
    pub(crate) fn paths(&self) -> BTreeSet<RelPath> {
        let is_waiting = |failing: &Failing| failing.until.is_some() && !failing.growing;
        let waiting = self.failing.iter().filter(|(_, failing)| is_waiting(failing)).map(|(path, _)| path.clone());
        let listed = self.there.iter().chain(&self.suspect).filter_map(|problem| problem.path.clone());
        self.standing.iter().cloned().chain(listed).chain(waiting).collect()
    }

    /// Whether the last listing had rows that cannot be used.
    pub(crate) fn has_listed(&self) -> bool {
        !self.there.is_empty()
    }

    /// What is wrong with a path, else with the nearest directory above it.
    pub(crate) fn problem_of(&self, path: &RelPath) -> Option<Problem> {
        let problems = self.problems();
        let of = |wanted: &RelPath| problems.iter().find(|problem| problem.path.as_ref() == Some(wanted));
        of(path).cloned().or_else(|| path.ancestors().find_map(|above| of(&above).cloned()))
    }

    /// Whether a path waits for its next try.
    pub(crate) fn is_waiting(&self, path: &RelPath) -> bool {
        self.failing.get(path).is_some_and(|failing| failing.until.is_some())
    }

    /// Whether a path waits for its next try without being a problem yet.
    pub(crate) fn is_settling(&self) -> bool {
        self.failing
            .values()
            .any(|failing| failing.until.is_some() && failing.patient && failing.backoff.tries() < PATIENCE)
    }

    /// What is wrong, in path order, the folder as a whole first.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let failing = self
            .failing
            .values()
            .filter(|failing| !failing.patient || failing.backoff.tries() >= PATIENCE)
            .map(|failing| &failing.problem);
        let mut all: Vec<Problem> = self
            .folder
            .iter()
            .chain(&self.here)
            .chain(&self.clashing)
            .chain(&self.left)
            .chain(&self.there)
            .chain(&self.suspect)
            .chain(failing)
            .cloned()
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hcfs_model::ProblemCode;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn problem(text: &str, code: ProblemCode) -> Problem {
        Problem { path: Some(path(text)), code, message: text.to_owned(), hint: String::new() }
    }

    #[test]
    fn a_scan_replaces_only_what_lies_in_its_scope() {
        let mut blocked = Blocked::default();
        let found = vec![problem("a/link", ProblemCode::Symlink), problem("b", ProblemCode::SpecialFile)];
        blocked.scanned(&Scope::Everything, found, vec![path("a/link"), path("b")]);
        blocked.scanned(&Scope::Below(BTreeSet::from([path("a")])), Vec::new(), Vec::new());
        assert_eq!(blocked.paths(), BTreeSet::from([path("b")]));
        assert_eq!(blocked.problems().len(), 1);
        blocked.scanned(&Scope::Everything, Vec::new(), Vec::new());
        assert!(blocked.paths().is_empty());
        assert!(blocked.problems().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_path_waits_is_tried_again_and_heals() {
        let mut blocked = Blocked::default();
        blocked.fail(&path("a"), problem("a", ProblemCode::Damaged), 1);
        assert_eq!(blocked.paths(), BTreeSet::from([path("a")]));
        assert!(blocked.due().is_empty());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(blocked.due(), [path("a")]);
        assert!(blocked.paths().is_empty());
        assert_eq!(blocked.problems().len(), 1);
        // It is being tried: nothing is due, however long that takes.
        assert!(blocked.due().is_empty() && blocked.next_try().is_none());
        blocked.retain(|_| true, |_| true);
        assert_eq!(blocked.problems().len(), 1);
        blocked.heal(&path("a"));
        assert!(blocked.problems().is_empty() && blocked.next_try().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_at_a_temporary_name_is_tried_again_at_once_and_then_with_where_it_was_going() {
        let mut blocked = Blocked::default();
        let (from, to) = (path(".hcfs-rename-0~a"), path("d/a"));
        blocked.fail(&from, problem("from", ProblemCode::PathBlocked), 2);
        blocked.strand(&from, &to, 1);
        assert!(blocked.paths().is_empty());
        // Where it was going has failed more often, so it would wait longer.
        for _ in 0..3 {
            blocked.fail(&to, problem("d/a", ProblemCode::PathBlocked), 1);
        }
        blocked.fail(&from, problem("from", ProblemCode::PathBlocked), 2);
        blocked.strand(&from, &to, 1);
        assert_eq!(blocked.paths(), BTreeSet::from([from.clone(), to.clone()]));
        assert!(blocked.problems().iter().any(|problem| problem.path.as_ref() == Some(&to)));
        tokio::time::sleep_until(blocked.next_try().unwrap()).await;
        assert_eq!(blocked.due(), [from, to]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_whose_turn_came_and_that_no_plan_touches_is_forgotten() {
        let mut blocked = Blocked::default();
        blocked.fail(&path("a"), problem("a", ProblemCode::Damaged), 1);
        blocked.retain(|_| true, |_| false);
        assert_eq!(blocked.problems().len(), 1, "its turn has not come");
        tokio::time::advance(Duration::from_secs(6)).await;
        blocked.due();
        blocked.retain(|_| true, |_| false);
        assert!(!blocked.is_any_failing());
    }

    #[tokio::test(start_paused = true)]
    async fn what_moved_is_tried_again_at_once_the_first_time() {
        let mut blocked = Blocked::default();
        for tries in 0..2 {
            blocked.moved(&path("a"), problem("a", ProblemCode::KeepsChanging), 1);
            assert_eq!(blocked.paths().contains(&path("a")), tries > 0);
        }
        assert!(blocked.is_settling());
    }

    #[tokio::test(start_paused = true)]
    async fn a_changing_file_becomes_a_problem_after_some_tries() {
        let mut blocked = Blocked::default();
        for tries in 1..=PATIENCE {
            blocked.changing(&path("log"), problem("log", ProblemCode::KeepsChanging), 1);
            assert_eq!(blocked.is_settling(), tries < PATIENCE);
        }
        assert_eq!(blocked.problems().len(), 1);
    }
}
