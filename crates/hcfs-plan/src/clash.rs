//! Files and directories that want one name.
//!
//! The trees hold files; a directory is where files have a path below it. So a file and a directory clash when a row
//! `p` and a row `p/…` are both to stay. The directory keeps the name: moving one file settles it, whichever side each
//! came from, and every device decides the same. The file is kept beside it under the name of a conflict copy.
//!
//! Where one of the two cannot be moved (it is reported, held or skipped), the other one waits and is reported: what
//! would have to be removed for it is somebody's file.

use crate::matrix::{Cause, Fate, Slot};
use crate::rename::Pairs;
use crate::{Context, Mode, Resolution};

/// For every row, the nearest row above it; empty where no row lies above another.
pub(crate) struct Above(Vec<Option<usize>>);

impl Above {
    pub(crate) fn of(slots: &[Slot<'_>]) -> Self {
        let mut above = Vec::new();
        // Rows in one directory are mostly neighbours, and what lies above them is the same.
        let mut last: (&str, Option<usize>) = ("", None);
        for (index, slot) in slots.iter().enumerate() {
            let Some((parent, _)) = slot.path.as_str().rsplit_once('/') else { continue };
            if parent != last.0 {
                last = (parent, nearest(&slots[..index], parent));
            }
            if last.1.is_some() {
                if above.is_empty() {
                    above = vec![None; slots.len()];
                }
                above[index] = last.1;
            }
        }
        Self(above)
    }

    /// The rows above a row, the nearest first.
    pub(crate) fn chain(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.up(index), |&above| self.up(above))
    }

    fn up(&self, index: usize) -> Option<usize> {
        self.0.get(index).copied().flatten()
    }

    /// Every row that lies above others, with the next ones below it, in order.
    fn children(&self) -> Vec<(usize, usize)> {
        let links = self.0.iter().enumerate().filter_map(|(index, above)| above.map(|above| (above, index)));
        let mut children: Vec<(usize, usize)> = links.collect();
        children.sort_unstable();
        children
    }

    /// For every row whether another one lies above or below it; empty where there is none.
    pub(crate) fn related(&self) -> Vec<bool> {
        let mut related = vec![false; self.0.len()];
        for (index, above) in self.0.iter().enumerate() {
            if let Some(above) = *above {
                related[index] = true;
                related[above] = true;
            }
        }
        related
    }
}

/// The row at `directory` or nearest above it; `slots` hold all rows that sort before those below it.
fn nearest(slots: &[Slot<'_>], directory: &str) -> Option<usize> {
    let mut directory = directory;
    let mut slots = slots;
    loop {
        match slots.binary_search_by(|slot| slot.path.as_str().cmp(directory)) {
            Ok(index) => return Some(index),
            Err(place) => slots = &slots[..place],
        }
        directory = directory.rsplit_once('/')?.0;
    }
}

/// Reports what cannot be written because something that does not move has the place.
///
/// What is stopped stops others in turn: it stays where it is, and a rename it was a part of does not happen at all.
pub(crate) fn stop_at_stuck(slots: &mut [Slot<'_>], above: &Above, remote: &mut Pairs, local: &mut Pairs) {
    let mut stuck: Vec<usize> = (0..above.0.len()).filter(|&index| slots[index].is_stuck()).collect();
    let children = if stuck.is_empty() { Vec::new() } else { above.children() };
    // Ends because no row is stopped twice: what is stuck writes nothing.
    while let Some(by) = stuck.pop() {
        let mut near: Vec<usize> = above.chain(by).collect();
        let mut open = vec![by];
        while let Some(upper) = open.pop() {
            let start = children.partition_point(|link| link.0 < upper);
            let lower = children[start..].iter().take_while(|link| link.0 == upper).map(|link| link.1);
            open.extend(lower.clone());
            near.extend(lower);
        }
        for index in near {
            if slots[index].writes() {
                let fate = Fate::Report(Cause::InTheWay(by));
                stuck.extend(remote.dissolve(slots, index, fate));
                stuck.extend(local.dissolve(slots, index, fate));
                slots[index].fate = fate;
                stuck.push(index);
            }
        }
    }
}

/// Lets files give way to directories. Where only one side may be changed, or not all is known yet, both wait.
pub(crate) fn give_way(slots: &mut [Slot<'_>], above: &Above, context: &Context) {
    let mut clashing = Vec::new();
    for index in 0..above.0.len() {
        if slots[index].stays() {
            clashing.extend(above.chain(index).filter(|&upper| slots[upper].stays()).map(|upper| (upper, index)));
        }
    }
    for (upper, lower) in clashing {
        let skipped = context.decided.get(slots[upper].path) == Some(&Resolution::Skip);
        let waits = context.policy.mode != Mode::Sync || !context.baseline || skipped;
        if !waits {
            slots[upper].fate = Fate::GiveWay;
            continue;
        }
        for (index, by) in [(upper, lower), (lower, upper)] {
            if slots[index].writes() {
                slots[index].fate = Fate::Report(Cause::InTheWay(by));
            }
        }
    }
}
