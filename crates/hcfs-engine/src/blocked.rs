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
    backoff: Backoff,
    until: Instant,
}

/// All paths that are left alone.
#[derive(Default)]
pub(crate) struct Blocked {
    here: Vec<Problem>,
    /// Paths where something stands that is not acted on, as the last scan saw it.
    standing: BTreeSet<RelPath>,
    there: Vec<Problem>,
    failing: BTreeMap<RelPath, Failing>,
    folder: Option<Problem>,
}

impl Blocked {
    /// Replaces what an earlier scan of the same part of the folder found.
    pub(crate) fn scanned(&mut self, scope: &Scope, found: Vec<Problem>, standing: Vec<RelPath>) {
        match scope {
            Scope::Nothing => {}
            Scope::Everything => {
                self.here.clear();
                self.standing.clear();
            }
            Scope::Below(marks) => {
                let is_outside =
                    |path: &RelPath| !marks.contains(path) && !path.ancestors().any(|above| marks.contains(&above));
                self.here.retain(|problem| problem.path.as_ref().is_none_or(is_outside));
                self.standing.retain(is_outside);
            }
        }
        self.standing.extend(standing);
        for problem in found {
            if !self.here.contains(&problem) {
                self.here.push(problem);
            }
        }
    }

    /// Replaces what an earlier listing showed.
    pub(crate) fn listed(&mut self, found: Vec<Problem>) {
        self.there = found;
    }

    /// A problem of the folder as a whole that does not stop it.
    pub(crate) fn set_folder_problem(&mut self, problem: Problem) {
        self.folder = Some(problem);
    }

    /// An action on a path failed; it is tried again after a growing pause.
    pub(crate) fn fail(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        self.fail_with(path, problem, false, Duration::from_secs(5), seed);
    }

    /// A file changed while it was read. Mostly it is quiet a moment later.
    pub(crate) fn changing(&mut self, path: &RelPath, problem: Problem, seed: u64) {
        self.fail_with(path, problem, true, Duration::from_millis(500), seed);
    }

    fn fail_with(&mut self, path: &RelPath, problem: Problem, patient: bool, first: Duration, seed: u64) {
        let fresh = || Backoff::new(first, Duration::from_secs(15 * 60), seed);
        let now = Instant::now();
        let failing = self.failing.entry(path.clone()).or_insert_with(|| Failing {
            problem: problem.clone(),
            patient,
            backoff: fresh(),
            until: now,
        });
        failing.problem = problem;
        failing.patient = patient;
        failing.until = now + failing.backoff.next();
    }

    /// An action on a path succeeded.
    pub(crate) fn heal(&mut self, path: &RelPath) {
        self.failing.remove(path);
    }

    /// Forgets failures of paths that nothing is wanted for any more.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&RelPath) -> bool) {
        self.failing.retain(|path, _| is_wanted(path));
    }

    /// Everything is tried again at once.
    pub(crate) fn try_all_now(&mut self) {
        let now = Instant::now();
        for failing in self.failing.values_mut() {
            failing.until = now;
        }
    }

    /// The failing paths whose time has come.
    pub(crate) fn due(&self) -> Vec<RelPath> {
        let now = Instant::now();
        self.failing.iter().filter(|(_, failing)| failing.until <= now).map(|(path, _)| path.clone()).collect()
    }

    /// When the next failing path is tried again.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.failing.values().map(|failing| failing.until).min()
    }

    /// The paths the planner must leave alone now.
    pub(crate) fn paths(&self) -> BTreeSet<RelPath> {
        let now = Instant::now();
        let waiting = self.failing.iter().filter(|(_, failing)| failing.until > now).map(|(path, _)| path.clone());
        let listed = self.there.iter().filter_map(|problem| problem.path.clone());
        self.standing.iter().cloned().chain(listed).chain(waiting).collect()
    }

    /// Whether a path waits for its next try without being a problem yet.
    pub(crate) fn is_settling(&self) -> bool {
        self.failing.values().any(|failing| failing.patient && failing.backoff.tries() < PATIENCE)
    }

    /// What is wrong, in path order, the folder as a whole first.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let failing = self
            .failing
            .values()
            .filter(|failing| !failing.patient || failing.backoff.tries() >= PATIENCE)
            .map(|failing| &failing.problem);
        let mut all: Vec<Problem> =
            self.folder.iter().chain(&self.here).chain(&self.there).chain(failing).cloned().collect();
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
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(blocked.paths().is_empty());
        assert_eq!(blocked.problems().len(), 1);
        blocked.heal(&path("a"));
        assert!(blocked.problems().is_empty() && blocked.next_try().is_none());
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
