//! What happens at a later time, whoever waits for it: requests on their way, work on a slow disk.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::scene::locked;

pub(crate) type Act = Box<dyn FnOnce() + Send>;

/// What is to happen, by its time in milliseconds, in the order it was asked for.
#[derive(Default)]
pub(crate) struct Later(Mutex<State>);

#[derive(Default)]
struct State {
    /// Counts what was asked for.
    number: u64,
    acts: BTreeMap<(u64, u64), Act>,
}

impl Later {
    pub(crate) fn at(&self, time: u64, act: Act) {
        let mut state = locked(&self.0);
        state.number += 1;
        let number = state.number;
        state.acts.insert((time, number), act);
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<u64> {
        locked(&self.0).acts.keys().next().map(|(time, _)| *time)
    }

    /// Takes one that is due.
    pub(crate) fn take(&self, now: u64) -> Option<Act> {
        let mut state = locked(&self.0);
        let first = state.acts.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}
