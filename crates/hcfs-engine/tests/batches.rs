//! Many small files: what they cost, and that each of them is treated as it would be alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod kit;

use std::collections::BTreeMap;

use hcfs_engine::FolderState;
use hcfs_model::ProblemCode;
use hcfs_remote::memory::{Call, Fault, MemoryServer};
use hcfs_remote::{BatchLimits, RemoteErrorKind, capability};
use kit::{Device, bytes, folder, id, server_with_batches};

fn name(number: usize) -> String {
    format!("d{}/f{number}", number % 7)
}

/// Writes files of different contents, some of them empty.
fn fill(device: &Device, count: usize) {
    for number in 0..count {
        device.write(&name(number), bytes(number % 300, number as u64));
    }
}

/// How many of each kind of transfer there were.
fn transfers(calls: &[Call]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        let kind = match call {
            Call::Upload { .. } => "upload",
            Call::UploadBatch(_) => "uploads",
            Call::Download { .. } => "download",
            Call::DownloadBatch { .. } => "downloads",
            Call::Probe(_) => "probe",
            _ => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn small_files_cost_one_request_for_each_five_hundred() {
    let server = server_with_batches();
    let (mut a, mut b) = (Device::idle("a", &server), Device::idle("b", &server));
    fill(&a, 1_500);
    a.start();
    a.settle().await;
    assert_eq!(transfers(&a.remote.take_calls()), BTreeMap::from([("uploads", 3)]));
    assert_eq!(server.files(folder()).len(), 1_500);
    b.start();
    b.settle().await;
    assert_eq!(transfers(&b.remote.take_calls()), BTreeMap::from([("downloads", 3)]));
    assert_eq!(b.tree(), a.tree());
}

#[tokio::test]
async fn a_batch_replaces_files_and_keeps_what_it_replaced() {
    let server = server_with_batches();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    fill(&a, 40);
    a.settle().await;
    b.settle().await;
    for number in 0..40 {
        a.write(&name(number), format!("new {number}"));
    }
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    assert_eq!(b.trash().len(), 40);
    let inside: Vec<_> = b.trash().into_iter().filter(|(path, _)| path.ends_with("f39")).collect();
    assert_eq!(inside[0].1, bytes(39, 39));
}

#[tokio::test]
async fn a_large_file_and_a_lone_one_go_by_themselves() {
    let server = server_with_batches();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("large", bytes(600_000, 1));
    a.write("one", "1");
    a.write("two", "2");
    a.settle().await;
    b.settle().await;
    assert_eq!(transfers(&a.remote.take_calls()), BTreeMap::from([("upload", 1), ("uploads", 1)]));
    assert_eq!(transfers(&b.remote.take_calls()), BTreeMap::from([("download", 1), ("downloads", 1)]));
    a.write("three", "3");
    a.settle().await;
    b.settle().await;
    assert_eq!(transfers(&a.remote.take_calls()), BTreeMap::from([("upload", 1)]));
    assert_eq!(transfers(&b.remote.take_calls()), BTreeMap::from([("download", 1)]));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_one_request_and_nothing_is_sent_twice() {
    let server = server_with_batches();
    let a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(|call| matches!(call, Call::UploadBatch(_)), Fault::AnswerLost);
    fill(&a, 100);
    a.remote.take_calls();
    a.settle().await;
    let calls = a.remote.take_calls();
    assert_eq!(transfers(&calls), BTreeMap::from([("downloads", 1), ("uploads", 1)]), "{calls:?}");
    assert!(server.files(folder()).values().all(|file| file.revision.seq == 1));
}

#[tokio::test]
async fn an_answer_that_stays_lost_is_settled_by_the_listing() {
    let server = server_with_batches();
    let a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(|call| matches!(call, Call::UploadBatch(_)), Fault::AnswerLost);
    a.remote.fail_next(|call| matches!(call, Call::DownloadBatch { .. }), Fault::AnswerLost);
    fill(&a, 100);
    a.sync().await;
    a.settle().await;
    assert!(server.files(folder()).values().all(|file| file.revision.seq == 1));
}

#[tokio::test]
async fn what_is_wrong_with_one_file_stops_no_other() {
    let server = server_with_batches();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.settle().await;
    b.settle().await;
    fill(&a, 30);
    a.settle().await;
    server.tamper(folder(), |files| {
        let blob = files.get_mut(&id(&name(7))).unwrap();
        let mut altered = blob.blob.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        blob.blob = altered.into();
    });
    let status = b.sync().await;
    assert_eq!(status.state, FolderState::Attention);
    assert_eq!((status.problems.len(), status.problems[0].code), (1, ProblemCode::Damaged));
    assert_eq!(status.problems[0].path.as_ref().unwrap().as_str(), name(7));
    let mut tree = a.tree();
    tree.remove(&name(7));
    assert_eq!(b.tree(), tree);
    assert!(b.staged().is_empty());
}

/// A batch that is refused as such goes file by file.
async fn refused(prepare: impl FnOnce(&MemoryServer, &Device)) {
    let server = server_with_batches();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.settle().await;
    b.settle().await;
    for device in [&a, &b] {
        device.remote.take_calls();
    }
    prepare(&server, &a);
    fill(&a, 20);
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    assert_eq!(transfers(&a.remote.take_calls())["upload"], 20);
}

#[tokio::test]
async fn a_batch_that_is_refused_goes_file_by_file() {
    for kind in [RemoteErrorKind::TooLarge, RemoteErrorKind::NotHcfs, RemoteErrorKind::NotFound] {
        refused(|_, a| a.remote.fail_next(|call| matches!(call, Call::UploadBatch(_)), Fault::Refused(kind))).await;
    }
}

#[tokio::test]
async fn without_batches_files_go_one_by_one() {
    refused(|server, _| server.set_capabilities(&[capability::STATE_ETAG])).await;
}

#[tokio::test]
async fn announced_bounds_are_kept() {
    let server = server_with_batches();
    server.set_batch_limits(BatchLimits { max_entries: 8, max_bytes: 40_000, max_blob: 200 });
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    fill(&a, 60);
    a.write("above", bytes(1_000, 1));
    a.settle().await;
    b.settle().await;
    assert_eq!(b.tree(), a.tree());
    for (device, one, many) in [(&a, "upload", "uploads"), (&b, "download", "downloads")] {
        let calls = device.remote.take_calls();
        let counts = transfers(&calls);
        assert_eq!(counts.get(one), Some(&1), "{calls:?}");
        assert!((8..=10).contains(&counts[many]), "{calls:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_once_for_a_whole_batch() {
    let server = server_with_batches();
    let a = Device::new("a", &server);
    a.settle().await;
    fill(&a, 50);
    a.remote.fail_next(|call| matches!(call, Call::UploadBatch(_)), Fault::Refused(RemoteErrorKind::Unavailable));
    a.remote.take_calls();
    a.sync().await;
    let asked = a.remote.take_calls().iter().filter(|call| matches!(call, Call::Folders)).count();
    assert_eq!(asked, 1, "whether it serves at all");
    a.settle().await;
    assert_eq!(server.files(folder()).len(), 50);
}
