//! What the watcher's limits mean for a folder, and events that say nothing true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcfs_engine::{FolderHandle, FolderState, Machine, OpenFolder, ThisMachine};
use hcfs_fs::{Folder, Hint, RescanReason, Watch, WatchError};
use hcfs_model::{ProblemCode, RelPath};
use kit::ground::{on_a_thread, open, until};
use kit::{Device, folder, server};

type Wake = Box<dyn Fn() + Send>;

/// A machine whose watcher says what the test wants.
#[derive(Default)]
struct Told {
    /// Whether the limit of watches is met.
    is_limited: AtomicBool,
    said: Arc<Mutex<Vec<Hint>>>,
    wake: Mutex<Option<Wake>>,
}

struct Voice {
    said: Arc<Mutex<Vec<Hint>>>,
    is_limited: bool,
}

impl Watch for Voice {
    fn take(&self) -> Vec<Hint> {
        std::mem::take(&mut *self.said.lock().unwrap())
    }

    fn is_limited(&self) -> bool {
        self.is_limited
    }
}

impl Told {
    fn say(&self, hint: Hint) {
        self.said.lock().unwrap().push(hint);
        self.wake.lock().unwrap().as_ref().unwrap()();
    }
}

impl Machine for Told {
    fn random(&self) -> Result<[u8; 32], hcfs_crypto::RandomError> {
        ThisMachine.random()
    }

    fn watch(&self, _folder: &Folder, wake: Wake) -> Result<Box<dyn Watch>, WatchError> {
        *self.wake.lock().unwrap() = Some(wake);
        let is_limited = self.is_limited.load(Ordering::SeqCst);
        if is_limited {
            self.say(Hint::Rescan(RescanReason::WatchLimit { needed: 70_000, sysctl: "fs.inotify.max_user_watches" }));
        }
        Ok(Box::new(Voice { said: Arc::clone(&self.said), is_limited }))
    }

    fn work(&self, work: Box<dyn FnOnce() + Send>) {
        ThisMachine.work(work);
    }

    fn threads(&self) -> usize {
        1
    }
}

#[tokio::test]
async fn a_watch_limit_is_told_with_the_setting_and_left_when_it_is_raised() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.settle().await;
    let machine = Arc::new(Told::default());
    machine.is_limited.store(true, Ordering::SeqCst);
    let handle = on_a_thread(open(&mut a, None, Arc::clone(&machine) as _).await);
    // What happens before the limit is told is found by the look at everything that follows.
    a.write("file", "1");
    let status = until(&handle, |status| status.synced_files == 1 && !status.problems.is_empty()).await;
    let problem = &status.problems[0];
    assert_eq!((status.state, problem.code), (FolderState::Attention, ProblemCode::WatchLimit));
    assert!(problem.message.contains("70000"), "{problem:?}");
    assert!(problem.hint.contains("sysctl fs.inotify.max_user_watches=262144"), "{problem:?}");

    // Tried again while nothing was raised: still a problem, and nothing goes on without it.
    handle.scan(true).await.unwrap();
    assert_eq!(handle.sync().await.unwrap().state, FolderState::Attention);
    machine.is_limited.store(false, Ordering::SeqCst);
    a.write("second", "2");
    handle.scan(true).await.unwrap();
    let status = until(&handle, |status| status.synced_files == 2 && status.problems.is_empty()).await;
    assert_eq!(status.state, FolderState::Idle);
    // It is watched again.
    a.write("third", "3");
    machine.say(Hint::Touched(RelPath::new("third").unwrap()));
    until(&handle, |status| status.synced_files == 3).await;
    handle.stop().await;
}

/// Keeps the folder in step on this thread, where time only passes while nothing is done, and runs a test beside it.
async fn beside<T>(opened: (FolderHandle, OpenFolder), test: impl AsyncFnOnce(&FolderHandle) -> T) -> T {
    let (handle, folder) = opened;
    let (ended, value) = tokio::join!(folder.live(), async {
        let value = test(&handle).await;
        drop(handle);
        value
    });
    ended.unwrap().close();
    value
}

#[tokio::test(start_paused = true)]
async fn lost_events_lead_to_a_look_at_everything() {
    let server = server();
    let mut a = Device::new("a", &server);
    let machine = Arc::new(Told::default());
    let opened = open(&mut a, None, Arc::clone(&machine) as _).await;
    beside(opened, async |handle| {
        assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
        a.write("unseen", "1");
        let before = tokio::time::Instant::now();
        machine.say(Hint::Rescan(RescanReason::Overflow));
        handle.status().wait_for(|status| status.synced_files == 1).await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(2 * 60), "{:?}", before.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_watched_is_looked_at_from_time_to_time_and_watched_when_it_can_be() {
    let server = server();
    let mut a = Device::new("a", &server);
    let machine = Arc::new(Told::default());
    machine.is_limited.store(true, Ordering::SeqCst);
    let opened = open(&mut a, None, Arc::clone(&machine) as _).await;
    beside(opened, async |handle| {
        handle.status().wait_for(|status| !status.problems.is_empty()).await.unwrap();
        handle.sync().await.unwrap();
        a.write("unseen", "1");
        let before = tokio::time::Instant::now();
        handle.status().wait_for(|status| status.synced_files == 1).await.unwrap();
        assert!(before.elapsed() <= Duration::from_secs(31), "{:?}", before.elapsed());
        machine.is_limited.store(false, Ordering::SeqCst);
        let status = handle.status().wait_for(|status| status.problems.is_empty()).await.unwrap().clone();
        assert!(before.elapsed() <= Duration::from_secs(15 * 60), "{:?}", before.elapsed());
        assert_eq!(status.state, FolderState::Idle);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drive_that_goes_away_while_nothing_happens_is_told_of_soon() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("file", "1");
    let opened = open(&mut a, None, Arc::new(Told::default()) as _).await;
    beside(opened, async |handle| {
        assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
        let (root, away) = (a.root(), a.place.path().join("away"));
        std::fs::rename(&root, &away).unwrap();
        let before = tokio::time::Instant::now();
        handle.status().wait_for(|status| status.state == FolderState::Halted).await.unwrap();
        assert!(before.elapsed() <= Duration::from_secs(10), "{:?}", before.elapsed());
        std::fs::rename(&away, &root).unwrap();
        handle.status().wait_for(|status| status.state == FolderState::Idle).await.unwrap();
        assert!(before.elapsed() <= Duration::from_secs(90), "{:?}", before.elapsed());
    })
    .await;
    assert_eq!(server.files(folder()).len(), 1);
}

#[tokio::test]
async fn an_event_for_something_already_gone_is_harmless() {
    let server = server();
    let mut a = Device::new("a", &server);
    a.write("file", "1");
    a.settle().await;
    let machine = Arc::new(Told::default());
    let handle = on_a_thread(open(&mut a, None, Arc::clone(&machine) as _).await);
    assert_eq!(handle.sync().await.unwrap().state, FolderState::Idle);
    for hint in [
        Hint::Touched(RelPath::new("never").unwrap()),
        Hint::Subtree(RelPath::new("gone/deep").unwrap()),
        Hint::Moved(RelPath::new("here").unwrap(), RelPath::new("there").unwrap()),
        // Of something that is there: that it moved away is not so.
        Hint::Moved(RelPath::new("file").unwrap(), RelPath::new("elsewhere").unwrap()),
    ] {
        machine.say(hint);
    }
    let status = handle.sync().await.unwrap();
    assert_eq!((status.state, status.synced_files), (FolderState::Idle, 1), "{status:#?}");
    assert_eq!(server.files(folder()).len(), 1);
    handle.stop().await;
}
