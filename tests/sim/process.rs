//! What a running folder has of its machine: a clock, random bytes, threads, and hints where to look.

use std::sync::{Arc, Mutex};

use hcfs_crypto::RandomError;
use hcfs_engine::{Clock, Machine};
use hcfs_fs::{Folder, Hint, RescanReason, Watch, WatchError};
use hcfs_model::UnixNanos;

use crate::disk::Drive;
use crate::fault::Fault;
use crate::later::Act;
use crate::scene::{Scene, locked};

/// How hints come; each in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hearing {
    pub(crate) drops: usize,
    pub(crate) doubles: usize,
    pub(crate) shuffles: usize,
    pub(crate) overflows: usize,
    /// No watcher can be had.
    pub(crate) is_deaf: bool,
    /// There are too few watches.
    pub(crate) is_limited: bool,
    /// How many of 100 pieces of work take their time on disk.
    pub(crate) slow: usize,
}

/// One process.
pub(crate) struct Process {
    scene: Arc<Scene>,
    drive: Arc<Drive>,
    hearing: Hearing,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Work that waits, and from when on it can be done.
    work: Vec<(u64, Act)>,
    ready: Vec<Hint>,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Process {
    pub(crate) fn new(scene: &Arc<Scene>, drive: &Arc<Drive>, hearing: Hearing) -> Arc<Self> {
        let (scene, drive) = (Arc::clone(scene), Arc::clone(drive));
        Arc::new(Self { scene, drive, hearing, state: Mutex::default() })
    }

    /// What was not begun is dropped.
    pub(crate) fn end(&self) {
        let ended = {
            let mut state = locked(&self.state);
            (std::mem::take(&mut state.work), state.wake.take())
        };
        drop(ended);
    }

    /// Ends as a folder that was told to: what had begun is done, the rest is dropped.
    pub(crate) fn finish(&self) {
        loop {
            let Some((_, work)) = locked(&self.state).work.pop() else { break };
            if self.scene.chance(50) {
                work();
            }
        }
        self.end();
    }

    pub(crate) fn has_work(&self, now: u64) -> bool {
        locked(&self.state).work.iter().any(|(due, _)| *due <= now)
    }

    /// When work that waits can be done.
    pub(crate) fn next_work(&self) -> Option<u64> {
        locked(&self.state).work.iter().map(|(due, _)| *due).min()
    }

    /// Does one piece of the work that waits.
    pub(crate) fn do_work(&self) {
        let work = {
            let mut state = locked(&self.state);
            let now = self.scene.elapsed();
            let due: Vec<usize> = (0..state.work.len()).filter(|at| state.work[*at].0 <= now).collect();
            let choice = due[self.scene.below(due.len())];
            state.work.remove(choice)
        };
        self.drive.begin_work();
        work.1();
    }

    /// Whether hints were given that nobody took.
    pub(crate) fn has_hints(&self) -> bool {
        !locked(&self.state).ready.is_empty()
    }

    /// Hands on what the drive's watcher saw.
    pub(crate) fn hear(&self) {
        let mut events = self.drive.take_events();
        let Hearing { drops, doubles, shuffles, overflows, .. } = self.hearing;
        if locked(&self.state).wake.is_none() {
            return self.drive.lost_events();
        }
        let scene = &self.scene;
        if scene.chance(overflows) {
            scene.fault(Fault::EventsOverflowed);
            self.drive.lost_events();
            events = vec![Hint::Rescan(RescanReason::Overflow)];
        }
        let before = events.len();
        events.retain(|_| !scene.chance(drops));
        for _ in events.len()..before {
            scene.fault(Fault::EventDropped);
            self.drive.lost_events();
        }
        if scene.chance(doubles) && !events.is_empty() {
            scene.fault(Fault::EventDoubled);
            events.push(events[scene.below(events.len())].clone());
        }
        if scene.chance(shuffles) && events.len() > 1 {
            scene.fault(Fault::EventsReordered);
            let turn = scene.below(events.len());
            events.rotate_left(turn);
        }
        let mut state = locked(&self.state);
        state.ready.extend(events);
        if let Some(wake) = &state.wake {
            wake();
        }
    }
}

impl Clock for Process {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.drive.now())
    }
}

/// What the engine has of a process.
pub(crate) struct Given(pub Arc<Process>);

impl Machine for Given {
    fn random(&self) -> Result<[u8; 32], RandomError> {
        Ok(self.0.scene.fresh())
    }

    fn watch(&self, folder: &Folder, wake: Box<dyn Fn() + Send>) -> Result<Box<dyn Watch>, WatchError> {
        let process = &self.0;
        process.drive.take_events();
        process.drive.lost_events();
        if process.hearing.is_deaf {
            process.scene.fault(Fault::NoWatcher);
            return Err(WatchError::Instances { path: folder.root().to_path_buf() });
        }
        let mut state = locked(&process.state);
        state.wake = Some(wake);
        if process.hearing.is_limited {
            process.scene.fault(Fault::WatchLimit);
            let reason = RescanReason::WatchLimit { needed: 9000, sysctl: "fs.inotify.max_user_watches" };
            state.ready.push(Hint::Rescan(reason));
            if let Some(wake) = &state.wake {
                wake();
            }
        }
        drop(state);
        Ok(Box::new(Ears(Arc::clone(process))))
    }

    fn work(&self, work: Act) {
        let process = &self.0;
        let mut due = process.scene.elapsed();
        if process.scene.chance(process.hearing.slow) {
            process.scene.fault(Fault::SlowDisk);
            due += 1 + process.scene.below(3000) as u64;
        }
        locked(&process.state).work.push((due, work));
    }

    fn threads(&self) -> usize {
        1
    }
}

struct Ears(Arc<Process>);

impl Watch for Ears {
    fn take(&self) -> Vec<Hint> {
        let mut hints = std::mem::take(&mut locked(&self.0.state).ready);
        // In the order a watcher promises.
        hints.sort_by_key(|hint| match hint {
            Hint::Rescan(_) => 0,
            Hint::Moved(..) => 1,
            Hint::Subtree(_) => 2,
            Hint::Touched(_) => 3,
        });
        hints
    }

    fn is_limited(&self) -> bool {
        false
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        locked(&self.0.state).wake = None;
    }
}
