//! What the next cycle has to look at.

use std::collections::BTreeSet;

use hcfs_model::RelPath;

/// How many marked paths are looked at one by one; above it the whole folder is.
const MARKS: usize = 10_000;

/// Which part of the folder is to be scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing.
    Nothing,
    /// These paths and what lies below them.
    Below(BTreeSet<RelPath>),
    /// Everything.
    Everything,
}

impl Scope {
    /// Whether a path lies in it.
    pub(crate) fn contains(&self, path: &RelPath) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Below(marks) => marks.contains(path) || path.ancestors().any(|above| marks.contains(&above)),
        }
    }
}

/// What the next cycle has to look at.
#[derive(Debug)]
pub(crate) struct Wants {
    here: Scope,
    there: bool,
    listing: bool,
    plan: bool,
    moved: Vec<(RelPath, RelPath)>,
}

impl Wants {
    /// Everything: what a session starts with.
    pub(crate) fn all() -> Self {
        Self { here: Scope::Everything, there: true, listing: true, plan: true, moved: Vec::new() }
    }

    /// Whether there is anything to do.
    pub(crate) fn any(&self) -> bool {
        self.there || self.plan || self.here != Scope::Nothing
    }

    /// Whether any of the folder is to be scanned.
    pub(crate) fn is_here(&self) -> bool {
        self.here != Scope::Nothing
    }

    /// The server is to be asked.
    pub(crate) fn remote(&mut self) {
        self.there = true;
    }

    /// The server is to be asked for all it has, whatever its feed says.
    pub(crate) fn listing(&mut self) {
        self.there = true;
        self.listing = true;
    }

    /// Whether all the server has is to be asked for.
    pub(crate) fn is_listing(&self) -> bool {
        self.listing
    }

    /// All the server has was asked for.
    pub(crate) fn listed(&mut self) {
        self.listing = false;
    }

    /// The planner is to run, even if nothing moved.
    pub(crate) fn plan(&mut self) {
        self.plan = true;
    }

    /// The whole folder is to be scanned.
    pub(crate) fn everything_here(&mut self) {
        self.here = Scope::Everything;
    }

    /// A path, and what lies below it, is to be scanned.
    pub(crate) fn below(&mut self, path: RelPath) {
        match &mut self.here {
            Scope::Nothing => self.here = Scope::Below(BTreeSet::from([path])),
            Scope::Below(marks) if marks.len() < MARKS => {
                marks.insert(path);
            }
            Scope::Below(_) => self.here = Scope::Everything,
            Scope::Everything => {}
        }
    }

    /// The watcher saw a path move.
    pub(crate) fn moved(&mut self, from: RelPath, to: RelPath) {
        self.below(from.clone());
        self.below(to.clone());
        if self.moved.len() < MARKS {
            self.moved.push((from, to));
        }
    }

    /// Takes whether the server is to be asked.
    pub(crate) fn take_remote(&mut self) -> bool {
        std::mem::take(&mut self.there)
    }

    /// Takes what is to be scanned, without paths below other marked paths.
    pub(crate) fn take_here(&mut self) -> Scope {
        match std::mem::replace(&mut self.here, Scope::Nothing) {
            Scope::Below(marks) => {
                let covered = |path: &RelPath| path.ancestors().any(|above| marks.contains(&above));
                Scope::Below(marks.iter().filter(|path| !covered(path)).cloned().collect())
            }
            scope => scope,
        }
    }

    /// Gives back what was taken, where it could not be looked at.
    pub(crate) fn again(&mut self, scope: Scope) {
        match scope {
            Scope::Nothing => {}
            Scope::Everything => self.everything_here(),
            Scope::Below(marks) => marks.into_iter().for_each(|path| self.below(path)),
        }
    }

    /// Takes what the watcher saw move, and that the planner is to run.
    pub(crate) fn take_moved(&mut self) -> Vec<(RelPath, RelPath)> {
        self.plan = false;
        std::mem::take(&mut self.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn a_marked_directory_covers_what_lies_below_it() {
        let mut wants = Wants::all();
        assert_eq!(wants.take_here(), Scope::Everything);
        wants.below(path("a/b/c"));
        wants.below(path("a"));
        wants.below(path("ab"));
        assert_eq!(wants.take_here(), Scope::Below(BTreeSet::from([path("a"), path("ab")])));
        assert_eq!(wants.take_here(), Scope::Nothing);
    }

    #[test]
    fn a_flood_of_marks_becomes_a_full_scan() {
        let mut wants = Wants::all();
        wants.take_here();
        for number in 0..=MARKS {
            wants.below(path(&format!("f{number}")));
        }
        assert_eq!(wants.take_here(), Scope::Everything);
    }
}
