//! Runs of frames on several threads: each worker takes a run from one end to the other on one buffer it reuses.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::PinError;
use crate::frame::FRAME;

/// Whole frames in a run: 2 MiB, few enough that every worker has work, many enough that joining costs nothing.
pub(super) const RUN: u64 = 8;
/// How far a worker may run ahead of the slowest, in runs per worker: bounds what waits to be joined.
pub(super) const AHEAD: u64 = 4;
/// More workers than this only get in each other's way.
const MOST_WORKERS: usize = 16;

/// Fails once `cancel` is set.
pub(super) fn check(cancel: &AtomicBool) -> Result<(), PinError> {
    if cancel.load(Ordering::Relaxed) { Err(PinError::Cancelled) } else { Ok(()) }
}

/// What the workers share.
struct Shared<T, J> {
    /// The next run that nobody took.
    next: u64,
    /// The next run to be joined.
    joined: u64,
    /// Finished before their turn.
    waiting: BTreeMap<u64, T>,
    join: J,
    failed: Option<PinError>,
}

/// Calls `work` for every run of the frames `0..frames`, on up to `workers` threads, and `join` for the results in order.
///
/// # Errors
/// The first error of `work`, after which no more runs are started, or [`PinError::Cancelled`].
pub(super) fn in_order<T, W, J>(
    frames: u64,
    workers: usize,
    cancel: &AtomicBool,
    work: W,
    join: J,
) -> Result<(), PinError>
where
    T: Send,
    W: Fn(Range<u64>, &mut Vec<u8>) -> Result<T, PinError> + Sync,
    J: FnMut(T) + Send,
{
    let runs = frames.div_ceil(RUN);
    let threads = workers.clamp(1, MOST_WORKERS).min(usize::try_from(runs).unwrap_or(usize::MAX));
    let ahead = AHEAD * threads as u64;
    let shared = Mutex::new(Shared { next: 0, joined: 0, waiting: BTreeMap::new(), join, failed: None });
    let moved = Condvar::new();
    let worker = || {
        let mut buffer = Vec::with_capacity(FRAME);
        while let Some(run) = claim(&shared, &moved, runs, ahead) {
            let first = run * RUN;
            let result = check(cancel).and_then(|()| work(first..(first + RUN).min(frames), &mut buffer));
            deposit(&shared, &moved, run, result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that the system refuses is one worker fewer.
            let _ = std::thread::Builder::new().name("frames".into()).spawn_scoped(scope, worker);
        }
        // The caller's own thread is one of them; a file of one run starts none.
        worker();
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.failed.map_or(Ok(()), Err)
}

/// The next run, once it is near enough to the slowest; `None` when there is nothing more to do.
fn claim<T, J>(shared: &Mutex<Shared<T, J>>, moved: &Condvar, runs: u64, ahead: u64) -> Option<u64> {
    let mut state = moved
        .wait_while(lock(shared), |s| s.failed.is_none() && s.next < runs && s.next >= s.joined + ahead)
        .unwrap_or_else(PoisonError::into_inner);
    if state.failed.is_some() || state.next == runs {
        return None;
    }
    state.next += 1;
    Some(state.next - 1)
}

fn deposit<T, J: FnMut(T)>(shared: &Mutex<Shared<T, J>>, moved: &Condvar, run: u64, result: Result<T, PinError>) {
    let mut state = lock(shared);
    match result {
        Ok(done) => {
            let Shared { joined, waiting, join, .. } = &mut *state;
            waiting.insert(run, done);
            while let Some(done) = waiting.remove(joined) {
                join(done);
                *joined += 1;
            }
        }
        Err(error) => {
            state.failed.get_or_insert(error);
        }
    }
    drop(state);
    moved.notify_all();
}

fn lock<'s, T, J>(shared: &'s Mutex<Shared<T, J>>) -> MutexGuard<'s, Shared<T, J>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
