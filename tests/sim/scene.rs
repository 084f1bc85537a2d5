//! What the parts of a scenario share: chance, time, the trace, and the tally of what went wrong on purpose.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hcfs_testkit::Rng;
use tokio::time::Instant;

use crate::fault::{Fault, Tally};
use crate::script::Broken;

/// Seconds since 1970 when every scenario begins.
const EPOCH: i64 = 1_700_000_000;

/// One scenario's chance, time and memory.
pub(crate) struct Scene {
    seed: u64,
    start: Instant,
    state: Mutex<State>,
    /// Whether the trace is kept in words.
    tells: bool,
    /// What is broken on purpose.
    pub(crate) broken: Option<Broken>,
}

struct State {
    dice: Rng,
    hash: u64,
    notes: u64,
    lines: Vec<String>,
    tally: Tally,
    violation: Option<String>,
    fresh: u64,
    /// Nanoseconds that went by between calls at the same moment of the runtime.
    ticks: i64,
}

/// Locks what no panic leaves half changed: a process that is killed unwinds.
pub(crate) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    /// To be called within the runtime of the scenario.
    pub(crate) fn new(seed: u64, tells: bool, broken: Option<Broken>) -> Self {
        let state = State {
            dice: Rng::new(seed),
            hash: 0xcbf2_9ce4_8422_2325,
            notes: 0,
            lines: Vec::new(),
            tally: Tally::default(),
            violation: None,
            fresh: 0,
            ticks: 0,
        };
        Self { seed, start: Instant::now(), state: Mutex::new(state), tells, broken }
    }

    /// From here on chance follows another seed: so a step means the same whatever steps before it are left out.
    pub(crate) fn roll(&self, seed: u64) {
        locked(&self.state).dice = Rng::new(seed);
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        locked(&self.state).dice.below(end)
    }

    pub(crate) fn chance(&self, percent: usize) -> bool {
        percent > 0 && self.below(100) < percent
    }

    pub(crate) fn number(&self) -> u64 {
        locked(&self.state).dice.next_u64()
    }

    /// 32 bytes that were not given before in this scenario.
    pub(crate) fn fresh(&self) -> [u8; 32] {
        let mut state = locked(&self.state);
        state.fresh += 1;
        if self.broken == Some(Broken::SameNonces) {
            state.fresh %= 8;
        }
        let mut rng = Rng::new(self.seed ^ state.fresh.wrapping_mul(0xd134_2543_de82_ef95));
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        bytes
    }

    /// Milliseconds since the scenario began.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn instant(&self, elapsed: u64) -> Instant {
        self.start + std::time::Duration::from_millis(elapsed)
    }

    /// Nanoseconds since 1970 by the best clock there is. A microsecond goes by with every look at it.
    pub(crate) fn wall(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_nanos()).unwrap();
        let mut state = locked(&self.state);
        state.ticks += 1000;
        EPOCH * 1_000_000_000 + elapsed + state.ticks
    }

    /// Adds to the trace; the words are only made where somebody reads them.
    pub(crate) fn note(&self, code: &str, value: u64, words: impl FnOnce() -> String) {
        let now = self.elapsed();
        let mut state = locked(&self.state);
        state.notes += 1;
        let mut hash = state.hash;
        let numbers = now.to_le_bytes().into_iter().chain(value.to_le_bytes());
        for byte in code.bytes().chain(numbers) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        state.hash = hash;
        if self.tells {
            state.lines.push(format!("{now:>8} {code} {value} {}", words()));
        }
    }

    /// Counts a fault that took effect.
    pub(crate) fn fault(&self, fault: Fault) {
        locked(&self.state).tally.count(fault);
        self.note("fault", fault as u64, || format!("{fault:?}"));
    }

    /// Says that a promise was broken; the first one counts.
    pub(crate) fn violate(&self, what: impl Into<String>) {
        let what = what.into();
        self.note("VIOLATION", 0, || what.clone());
        locked(&self.state).violation.get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        locked(&self.state).violation.clone()
    }

    pub(crate) fn tally(&self) -> Tally {
        locked(&self.state).tally.clone()
    }

    /// The hash of the trace and how many notes it has.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let state = locked(&self.state);
        (state.hash, state.notes)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        locked(&self.state).lines.clone()
    }
}
