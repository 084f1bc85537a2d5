//! Renames told from deletions and new files, and the order they happen in.
//!
//! A *source* is a row whose agreed content is gone from one side under this name; a *target* is a row where that side
//! has a new content. A pair of them becomes a rename on the other side, which moves no content.
//!
//! Evidence, the strongest first: the watcher saw the move; inode and content are the same; the content is the same;
//! the inode is the same (the file was moved and edited). Inodes tell of moves on this disk only, so what moved on the
//! server is known by content. Among several equal contents the pair with the longest common end of its paths is
//! taken, if there is but one such; what stays ambiguous is no rename. A wrong pair costs nothing but a strange
//! history: the contents that arrive are the same.
//!
//! Pairs link to paths and cycles (`a→b→c`, `a⇄b`). Such a component counts as a whole or not at all: its first row must
//! be empty on the side that moved, its last row free on the side to follow. So an editor that moves a file out and
//! writes it anew has edited it; the path keeps its history.

use hcfs_model::{Inode, RelPath, SaltedHash};

use crate::Context;
use crate::clash::Above;
use crate::matrix::{Fate, Slot};
use crate::names::is_temporary;

/// Which side follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follower {
    Remote,
    Local,
}

/// Pairs of sources and targets, by slot; empty vectors where there are none.
#[derive(Debug)]
pub(crate) struct Pairs {
    follower: Follower,
    to: Vec<Option<usize>>,
    from: Vec<Option<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    slot: usize,
    hash: SaltedHash,
    inode: Option<Inode>,
    /// A source that nothing arrives at, a target that nothing has to leave.
    plain: bool,
    /// A source under a temporary name, from a plan that did not come to its end.
    leftover: bool,
}

/// A candidate in the order it is grouped in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Keyed<K> {
    key: K,
    is_target: bool,
    pub(crate) slot: usize,
}

/// The sources and the targets of each key that has both.
fn groups<K: Ord>(keyed: &[Keyed<K>]) -> impl Iterator<Item = (&[Keyed<K>], &[Keyed<K>])> {
    let of_key = keyed.chunk_by(|a, b| a.key == b.key);
    let split = of_key.map(|group| group.split_at(group.partition_point(|c| !c.is_target)));
    split.filter(|(sources, targets)| !sources.is_empty() && !targets.is_empty())
}

impl Pairs {
    pub(crate) fn none(follower: Follower) -> Self {
        Self { follower, to: Vec::new(), from: Vec::new() }
    }

    /// Finds the pairs and gives their rows their fates.
    pub(crate) fn find(follower: Follower, slots: &mut [Slot<'_>], context: &Context) -> Self {
        let mut pairs = Self::none(follower);
        let mut sources = Vec::new();
        let mut targets = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            match follower {
                Follower::Remote => remote_candidates(index, slot, &mut sources, &mut targets),
                Follower::Local => local_candidates(index, slot, &mut sources, &mut targets),
            }
        }
        if sources.is_empty() || targets.is_empty() {
            return pairs;
        }
        pairs.to = vec![None; slots.len()];
        pairs.from = vec![None; slots.len()];
        pairs.pair_in_order(&sources, &targets, |c| c.leftover);
        if follower == Follower::Remote {
            pairs.pair_seen(slots, &sources, &targets, &context.moved);
            pairs.pair_equal(slots, &sources, &targets, |c| c.inode.map(|inode| (inode, c.hash)));
        }
        pairs.pair_equal(slots, &sources, &targets, |c| c.plain.then_some(c.hash));
        pairs.pair_equal(slots, &sources, &targets, |c| Some(c.hash));
        if follower == Follower::Remote {
            pairs.pair_edited(&sources, &targets, context.policy.max_delete.files);
        } else {
            pairs.pair_in_order(&sources, &targets, |_| true);
        }
        pairs.keep_whole(slots);
        pairs.mark(slots);
        pairs
    }

    fn link(&mut self, source: usize, target: usize) {
        self.to[source] = Some(target);
        self.from[target] = Some(source);
    }

    /// The row whose content arrives at this one.
    pub(crate) fn source_of(&self, target: usize) -> Option<usize> {
        self.from.get(target).copied().flatten()
    }

    /// Pairs what the watcher saw move.
    fn pair_seen(
        &mut self,
        slots: &[Slot<'_>],
        sources: &[Candidate],
        targets: &[Candidate],
        moved: &[(RelPath, RelPath)],
    ) {
        if moved.is_empty() {
            return;
        }
        let trail = crate::trail::Trail::of(moved);
        for target in targets {
            let Some(origin) = trail.origin(slots[target.slot].path) else { continue };
            let Ok(place) = sources.binary_search_by(|source| slots[source.slot].path.as_str().cmp(&origin)) else {
                continue;
            };
            let source = sources[place];
            let fits = source.hash == target.hash || target.plain;
            let free = self.to[source.slot].is_none() && self.from[target.slot].is_none();
            if fits && free && source.slot != target.slot {
                self.link(source.slot, target.slot);
            }
        }
    }

    /// Pairs candidates of equal key and content; `key` leaves out those it gives none.
    fn pair_equal<K: Ord>(
        &mut self,
        slots: &[Slot<'_>],
        sources: &[Candidate],
        targets: &[Candidate],
        key: impl Fn(&Candidate) -> Option<K>,
    ) {
        let keyed = self.keyed(sources, targets, key);
        for (group_sources, group_targets) in groups(&keyed) {
            crate::suffix::pair(slots, group_sources, group_targets, |source, target| self.link(source, target));
        }
    }

    /// Pairs equal contents one by one. On disk that is never wrong: it saves a transfer, and the server alone knows the
    /// history.
    fn pair_in_order(&mut self, sources: &[Candidate], targets: &[Candidate], chosen: impl Fn(&Candidate) -> bool) {
        if !sources.iter().any(&chosen) {
            return;
        }
        let sources: Vec<Candidate> = sources.iter().copied().filter(chosen).collect();
        self.zip(&sources, targets, |c| c.plain.then_some(c.hash));
        self.zip(&sources, targets, |c| Some(c.hash));
    }

    fn zip<K: Ord>(&mut self, sources: &[Candidate], targets: &[Candidate], key: impl Fn(&Candidate) -> Option<K>) {
        let keyed = self.keyed(sources, targets, key);
        for (group_sources, group_targets) in groups(&keyed) {
            for (source, target) in group_sources.iter().zip(group_targets) {
                self.link(source.slot, target.slot);
            }
        }
    }

    /// Pairs what is left by inode alone: a file moved and edited. Only to a new path: where a content was replaced, an
    /// equal inode more likely is one that was given again. And only while what is left would pass as deletions: many
    /// deletions must not hide behind new files that got their inodes.
    fn pair_edited(&mut self, sources: &[Candidate], targets: &[Candidate], most: u64) {
        let left = sources.iter().filter(|c| c.plain && self.to[c.slot].is_none()).count();
        if left as u64 > most {
            return;
        }
        let keyed = self.keyed(sources, targets, |c| c.inode.filter(|_| c.plain));
        for (group_sources, group_targets) in groups(&keyed) {
            if let ([source], [target]) = (group_sources, group_targets) {
                self.link(source.slot, target.slot);
            }
        }
    }

    /// Free sources and targets with their keys, in the order of keys, sources before targets, paths.
    fn keyed<K: Ord>(
        &self,
        sources: &[Candidate],
        targets: &[Candidate],
        key: impl Fn(&Candidate) -> Option<K>,
    ) -> Vec<Keyed<K>> {
        if sources.iter().all(|c| self.to[c.slot].is_some()) || targets.iter().all(|c| self.from[c.slot].is_some()) {
            return Vec::new();
        }
        let free_sources = sources.iter().filter(|c| self.to[c.slot].is_none()).map(|c| (c, false));
        let free_targets = targets.iter().filter(|c| self.from[c.slot].is_none()).map(|c| (c, true));
        let free = free_sources.chain(free_targets);
        let mut keyed: Vec<Keyed<K>> =
            free.filter_map(|(c, is_target)| Some(Keyed { key: key(c)?, is_target, slot: c.slot })).collect();
        keyed.sort_unstable();
        keyed
    }

    /// Drops the components whose ends do not fit.
    fn keep_whole(&mut self, slots: &[Slot<'_>]) {
        for head in 0..self.to.len() {
            if self.to[head].is_none() || self.from[head].is_some() {
                continue;
            }
            let mut tail = head;
            while let Some(next) = self.to[tail] {
                tail = next;
            }
            let (head_row, tail_row) = (slots[head].row, slots[tail].row);
            let fits = match self.follower {
                Follower::Remote => head_row.local.is_none() && tail_row.remote.is_none(),
                Follower::Local => head_row.remote.is_none() && tail_row.local.is_none(),
            };
            if !fits {
                self.unlink(head);
            }
        }
    }

    /// Unlinks a component from one of its rows on, forwards.
    fn unlink(&mut self, start: usize) -> Vec<usize> {
        let mut members = vec![start];
        let mut row = start;
        while let Some(next) = self.to[row].take() {
            self.from[next] = None;
            members.push(next);
            row = next;
        }
        members
    }

    /// Unlinks the component of a row at which another one arrives, gives all its rows `fate`, and says which they are;
    /// none if nothing arrives at it.
    pub(crate) fn dissolve(&mut self, slots: &mut [Slot<'_>], member: usize, fate: Fate) -> Vec<usize> {
        if self.source_of(member).is_none() {
            return Vec::new();
        }
        let mut head = member;
        while let Some(previous) = self.source_of(head) {
            head = previous;
            if head == member {
                break;
            }
        }
        let members = self.unlink(head);
        for &row in &members {
            slots[row].fate = fate;
        }
        members
    }

    fn mark(&self, slots: &mut [Slot<'_>]) {
        let (moved, arrives) = match self.follower {
            Follower::Remote => (Fate::MovedRemote, Fate::ArrivesRemote),
            Follower::Local => (Fate::MovedLocal, Fate::ArrivesLocal),
        };
        for (index, slot) in slots.iter_mut().enumerate() {
            if self.from[index].is_some() {
                slot.fate = arrives;
            } else if self.to[index].is_some() {
                slot.fate = moved;
            }
        }
    }

    /// The renames in an order in which every target is free at its turn.
    ///
    /// A path starts from its end. A cycle is opened with a temporary name. On disk, where directories are real, a
    /// component one of whose targets lies above or below any source goes over temporary names as a whole, before and
    /// after all others; what `waits` says is at such a name already stays there until its target is free.
    pub(crate) fn ordered(
        &self,
        above: &Above,
        waits: impl Fn(usize) -> bool,
        names: &mut dyn FnMut(usize) -> RelPath,
    ) -> Vec<Step> {
        let mut order = Order { leaves: Vec::new(), direct: Vec::new(), arrives: Vec::new() };
        let tangled = self.tangled(above);
        let mut done = vec![false; self.to.len()];
        for start in (0..self.to.len()).filter(|&i| self.from[i].is_none()).chain(0..self.to.len()) {
            // None where a row moves nowhere, or has moved already.
            let mut members = Vec::new();
            let mut row = start;
            while let (false, Some(next)) = (done[row], self.to[row]) {
                done[row] = true;
                members.push((row, next));
                row = next;
            }
            let is_cycle = row == start;
            if members
                .iter()
                .any(|&(source, target)| tangled.get(source) == Some(&true) || tangled.get(target) == Some(&true))
            {
                order.over_temporaries(&members, |source| (!waits(source)).then(|| names(source)));
            } else {
                order.in_turn(&members, is_cycle, names);
            }
        }
        order.leaves.append(&mut order.direct);
        order.leaves.append(&mut order.arrives);
        order.leaves
    }

    /// The rows of renames on disk of which one's target lies above or below another's source.
    fn tangled(&self, above: &Above) -> Vec<bool> {
        if self.follower == Follower::Remote {
            return Vec::new();
        }
        let mut tangled = vec![false; self.to.len()];
        for row in 0..self.to.len() {
            for upper in above.chain(row) {
                if self.from[row].is_some() && self.to[upper].is_some() {
                    tangled[row] = true;
                }
                if self.to[row].is_some() && self.from[upper].is_some() {
                    tangled[upper] = true;
                }
            }
        }
        tangled
    }
}

/// One rename of the order, by slots.
#[derive(Debug)]
pub(crate) struct Step {
    /// The row whose content moves.
    pub(crate) source: usize,
    /// The temporary name it moves from, if it is at one.
    pub(crate) from: Option<RelPath>,
    /// Where it moves: to its target, or to a temporary name.
    pub(crate) to: Place,
}

#[derive(Debug)]
pub(crate) enum Place {
    Target(usize),
    Temporary(RelPath),
}

struct Order {
    leaves: Vec<Step>,
    direct: Vec<Step>,
    arrives: Vec<Step>,
}

impl Order {
    fn in_turn(&mut self, members: &[(usize, usize)], is_cycle: bool, names: &mut dyn FnMut(usize) -> RelPath) {
        let step = |&(source, target): &(usize, usize)| Step { source, from: None, to: Place::Target(target) };
        match members {
            [first, rest @ ..] if is_cycle => {
                let name = names(first.0);
                self.direct.push(Step { source: first.0, from: None, to: Place::Temporary(name.clone()) });
                self.direct.extend(rest.iter().rev().map(step));
                self.direct.push(Step { source: first.0, from: Some(name), to: Place::Target(first.1) });
            }
            _ => self.direct.extend(members.iter().rev().map(step)),
        }
    }

    fn over_temporaries(&mut self, members: &[(usize, usize)], mut names: impl FnMut(usize) -> Option<RelPath>) {
        for &(source, target) in members {
            let from = names(source);
            let leaves = from.clone().map(|name| Step { source, from: None, to: Place::Temporary(name) });
            self.leaves.extend(leaves);
            self.arrives.push(Step { source, from, to: Place::Target(target) });
        }
    }
}

/// Whether a row is what a rename that was cut off left at a temporary name, on one side and with no version agreed on.
pub(crate) fn is_leftover(slot: &Slot<'_>) -> bool {
    let is_alone = match slot.fate {
        Fate::Download => slot.row.local.is_none(),
        Fate::Upload => slot.row.remote.is_none(),
        _ => false,
    };
    is_alone && slot.row.synced.is_none() && is_temporary(slot.path)
}

/// What can be renamed on the server: a version everyone agreed on whose file is gone or replaced here.
fn remote_candidates(index: usize, slot: &Slot<'_>, sources: &mut Vec<Candidate>, targets: &mut Vec<Candidate>) {
    let row = slot.row;
    let leftover = is_leftover(slot);
    let is_source = match slot.fate {
        Fate::DeleteRemote => slot.conflict.is_none(),
        Fate::Upload => slot.is_remote_unchanged(),
        _ => leftover,
    };
    if let (true, Some(remote)) = (is_source, &row.remote) {
        let inode = row.synced.as_ref().and_then(|synced| synced.inode);
        sources.push(Candidate { slot: index, hash: remote.hash, inode, plain: row.local.is_none(), leftover });
    }
    if let (Fate::Upload, Some(local)) = (slot.fate, &row.local)
        && (row.remote.is_none() || slot.is_remote_unchanged())
        && !is_temporary(slot.path)
    {
        let (inode, plain) = (Some(local.fingerprint.inode), row.remote.is_none());
        targets.push(Candidate { slot: index, hash: local.hash, inode, plain, leftover: false });
    }
}

/// What can be renamed on disk: an unchanged file whose version is gone or replaced on the server.
fn local_candidates(index: usize, slot: &Slot<'_>, sources: &mut Vec<Candidate>, targets: &mut Vec<Candidate>) {
    let row = slot.row;
    let leftover = is_leftover(slot);
    let is_source = match slot.fate {
        Fate::DeleteLocal => slot.conflict.is_none(),
        Fate::Download => slot.is_local_unchanged(),
        _ => leftover,
    };
    let inode = None;
    if let (true, Some(local)) = (is_source, &row.local) {
        sources.push(Candidate { slot: index, hash: local.hash, inode, plain: row.remote.is_none(), leftover });
    }
    if let (Fate::Download, Some(remote)) = (slot.fate, &row.remote)
        && (row.local.is_none() || slot.is_local_unchanged())
    {
        let plain = row.local.is_none();
        targets.push(Candidate { slot: index, hash: remote.hash, inode, plain, leftover: false });
    }
}
