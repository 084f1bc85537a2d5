//! Devices that hear of changes from the server: what it costs, and what is believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod kit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hcfs_engine::{FolderHandle, FolderState, Ground, Machine, OpenFolder, SystemClock, ThisMachine, open};
use hcfs_fs::{Folder, Watch, WatchError};
use hcfs_model::ProblemCode;
use hcfs_remote::memory::{Call, Fault, MemoryServer};
use hcfs_remote::{RemoteErrorKind, capability};
use hcfs_state::{Identity, Store};
use kit::{Device, folder, id, owner, server_with_all};

/// Waits until a device has a file with this content, or has none.
async fn comes(device: &Device, path: &str, content: Option<&[u8]>) {
    let wanted = content.map(<[u8]>::to_vec);
    device.until(|status| status.state == FolderState::Idle && device.tree().get(path).cloned() == wanted).await;
}

fn listings(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::ListingPage { .. })).count()
}

#[tokio::test]
async fn changes_of_other_devices_come_by_themselves_and_without_a_listing() {
    let server = server_with_all();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.settle().await;
    b.settle().await;
    b.remote.take_calls();
    a.write("one.txt", "1");
    comes(&b, "one.txt", Some(b"1")).await;
    a.write("one.txt", "2");
    comes(&b, "one.txt", Some(b"2")).await;
    a.rename("one.txt", "sub/two.txt");
    comes(&b, "sub/two.txt", Some(b"2")).await;
    comes(&b, "one.txt", None).await;
    a.delete("sub/two.txt");
    comes(&b, "sub/two.txt", None).await;
    let calls = b.remote.take_calls();
    assert_eq!(listings(&calls), 0, "{calls:?}");
    let proofs = calls.iter().filter(|call| matches!(call, Call::Probe(_))).count();
    assert_eq!(proofs, 2, "each removal was proven: {calls:?}");
    let downloads = calls.iter().filter(|call| matches!(call, Call::Download { .. })).count();
    assert_eq!(downloads, 2, "the rename moved no bytes: {calls:?}");
}

/// A machine that watches nothing.
struct Blind;

impl Machine for Blind {
    fn random(&self) -> Result<[u8; 32], hcfs_crypto::RandomError> {
        ThisMachine.random()
    }

    fn watch(&self, _: &Folder, _: Box<dyn Fn() + Send>) -> Result<Box<dyn Watch>, WatchError> {
        Ok(Box::new(Still))
    }

    fn work(&self, work: Box<dyn FnOnce() + Send>) {
        ThisMachine.work(work);
    }

    fn threads(&self) -> usize {
        1
    }
}

/// Sees nothing.
struct Still;

impl Watch for Still {
    fn take(&self) -> Vec<hcfs_fs::Hint> {
        Vec::new()
    }

    fn is_limited(&self) -> bool {
        false
    }
}

/// A device whose folder lives in this thread, on a clock that can be moved on.
struct Here {
    device: Device,
    handle: FolderHandle,
}

impl Here {
    fn new(name: &str, server: &MemoryServer) -> (Self, OpenFolder) {
        let device = Device::idle(name, server);
        let mut spec = device.spec();
        spec.poll_seconds = 30;
        let identity = Identity { account: owner().account, folder: folder() };
        let ground = Ground {
            database: Store::open(&spec.database, &identity).unwrap(),
            disk: Arc::new(Folder::disk(&spec.root, &[]).unwrap()),
            remote: Arc::new(device.remote.clone()),
            clock: Arc::new(SystemClock),
            machine: Arc::new(Blind),
        };
        let (handle, folder) = open(spec, owner(), ground).unwrap();
        (Self { device, handle }, folder)
    }

    async fn sync(&self) {
        assert_eq!(self.handle.sync().await.unwrap().state, FolderState::Idle);
    }
}

/// Two devices in this thread.
async fn two(server: &MemoryServer, scenario: impl AsyncFnOnce(&Here, &Here)) {
    let ((a, one), (b, two)) = (Here::new("a", server), Here::new("b", server));
    let acts = async {
        a.sync().await;
        b.sync().await;
        scenario(&a, &b).await;
    };
    tokio::select! {
        _ = one.live() => panic!("one has ended"),
        _ = two.live() => panic!("two has ended"),
        () = acts => {}
    }
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_folder_costs_one_request_for_each_long_poll() {
    two(&server_with_all(), async |a, _| {
        a.device.remote.take_calls();
        later(29 * 60).await;
        let calls = a.device.remote.take_calls();
        let is_poll = |call: &Call| matches!(call, Call::Changes { wait, .. } if wait.as_secs() == 50);
        assert!(calls.iter().all(is_poll), "{calls:?}");
        assert!((33..=35).contains(&calls.len()), "{calls:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_feed_leaves_out_is_found_by_the_next_listing() {
    let server = server_with_all();
    two(&server, async |a, b| {
        server.mute_feed(folder(), true);
        a.device.write("x.txt", "1");
        a.sync().await;
        b.device.remote.take_calls();
        later(25 * 60).await;
        assert!(b.device.tree().is_empty(), "the feed kept it back");
        later(10 * 60).await;
        assert_eq!(b.device.read("x.txt"), b"1");
        assert_eq!(listings(&b.device.remote.take_calls()), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_its_feed_a_folder_is_polled_and_with_it_again_not() {
    let server = server_with_all();
    two(&server, async |a, _| {
        server.set_capabilities(&[capability::STATE_ETAG]);
        later(120).await;
        a.device.remote.take_calls();
        later(600).await;
        let polls = listings(&a.device.remote.take_calls());
        assert!((15..=21).contains(&polls), "{polls} polls in 600 seconds");
        server.set_capabilities(&[capability::STATE_ETAG, capability::CHANGE_FEED]);
        later(400).await;
        a.device.remote.take_calls();
        later(600).await;
        let calls = a.device.remote.take_calls();
        assert_eq!((listings(&calls), calls.len()), (0, 12), "{calls:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_a_feed_does_not_say_where_it_stands_nothing_of_a_server_that_was_set_back_is_passed_over() {
    let server = server_with_all();
    two(&server, async |a, b| {
        a.device.write("kept", "1");
        a.sync().await;
        let backup = server.backup();
        a.device.write("lost", "2");
        a.sync().await;
        b.sync().await;
        a.handle.pause().await.unwrap();
        b.handle.pause().await.unwrap();
        server.restore(&backup);
        let is_stand = |call: &Call| matches!(call, Call::Changes { after: None, .. });
        b.device.remote.fail_next(is_stand, Fault::Refused(RemoteErrorKind::Unavailable));
        // The server comes to count as many changes as before it was set back.
        let is_poll = |call: &Call| matches!(call, Call::Changes { wait, .. } if wait.as_secs() == 50);
        b.device.remote.before_next(is_poll, |server| server.tamper(folder(), BTreeMap::clear));
        // It is looked at by a listing.
        b.handle.sync().await.unwrap();
        b.handle.resume().await.unwrap();
        later(120).await;
        assert_eq!(b.device.remote.pending_faults(), 0);
        assert!(b.device.tree().is_empty(), "{:?}", b.device.tree());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_feed_is_asked_ever_more_slowly_and_loses_no_change() {
    two(&server_with_all(), async |a, b| {
        for _ in 0..100 {
            let fault = Fault::Refused(RemoteErrorKind::Unavailable);
            b.device.remote.fail_next(|call| matches!(call, Call::Changes { .. }), fault);
        }
        // The request that waits already is answered, the next ones are not.
        a.device.write("x.txt", "1");
        a.sync().await;
        later(1).await;
        a.device.write("y.txt", "2");
        a.sync().await;
        later(60).await;
        assert_eq!(b.device.read("y.txt"), b"2", "found by polling");
        later(3600).await;
        let tries = 100 - b.device.remote.pending_faults();
        assert!((5..=40).contains(&tries), "{tries} tries in an hour");
    })
    .await;
}

#[tokio::test]
async fn a_removal_that_the_server_does_not_prove_deletes_nothing() {
    let server = server_with_all();
    let b = Device::new("b", &server);
    b.write("x.txt", "1");
    b.settle().await;
    let again = server.file(folder(), id("x.txt")).unwrap();
    let (told, asked) = tokio::sync::oneshot::channel();
    b.remote.before_next(
        |call| matches!(call, Call::Probe(_)),
        move |server| {
            server.tamper(folder(), |files| drop(files.insert(id("x.txt"), again)));
            told.send(()).unwrap();
        },
    );
    server.tamper(folder(), |files| drop(files.remove(&id("x.txt"))));
    asked.await.unwrap();
    b.settle().await;
    assert_eq!(b.read("x.txt"), b"1");
    assert!(b.trash().is_empty());
}

#[tokio::test]
async fn a_row_that_leads_back_is_held() {
    let server = server_with_all();
    let b = Device::new("b", &server);
    b.write("x.txt", "1");
    b.settle().await;
    let first = server.file(folder(), id("x.txt")).unwrap();
    b.write("x.txt", "2");
    b.settle().await;
    server.tamper(folder(), |files| drop(files.insert(id("x.txt"), first)));
    let status = b.until(|status| status.state == FolderState::Attention).await;
    assert_eq!((status.problems[0].code, status.holds), (ProblemCode::Rollback, 1));
    assert_eq!(b.read("x.txt"), b"2");
}

#[tokio::test]
async fn a_feed_that_was_reset_is_taken_up_again_after_a_listing() {
    let server = server_with_all();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.settle().await;
    b.settle().await;
    b.remote.take_calls();
    server.reset_feed(folder());
    a.write("x.txt", "1");
    comes(&b, "x.txt", Some(b"1")).await;
    a.write("y.txt", "2");
    comes(&b, "y.txt", Some(b"2")).await;
    let calls = b.remote.take_calls();
    assert_eq!(listings(&calls), 1, "{calls:?}");
}

#[tokio::test]
async fn many_removals_are_proven_by_one_request() {
    let server = server_with_all();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    for number in 0..20 {
        a.write(&format!("f{number}"), "x");
    }
    a.settle().await;
    b.settle().await;
    b.remote.take_calls();
    server.tamper(folder(), |files| files.retain(|file, _| *file == id("f0")));
    b.until(|status| status.state == FolderState::Idle && b.tree().len() == 1).await;
    let calls = b.remote.take_calls();
    let proofs: Vec<_> =
        calls.iter().filter(|call| matches!(call, Call::Probe(_) | Call::DownloadBatch { .. })).collect();
    assert!(
        matches!(&proofs[..], [Call::DownloadBatch { files, first_bytes: Some(0) }] if files.len() == 19),
        "{calls:?}"
    );
}
