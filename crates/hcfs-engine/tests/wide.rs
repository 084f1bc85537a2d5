//! Large files over several connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

mod kit;

use std::ops::Range;

use hcfs_engine::FolderState;
use hcfs_model::{ProblemCode, blob};
use hcfs_remote::memory::{Call, Fault, MemoryServer};
use hcfs_remote::{ConnectFailure, RemoteErrorKind};
use kit::{Device, bytes, server};

/// 81 frames: two whole segments and a part of one.
const SIZE: usize = 20 * 1024 * 1024 + 7;

/// A server with a large file, and a device that does not have it yet.
async fn scene() -> (MemoryServer, Vec<u8>, Device) {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    let content = bytes(SIZE, 5);
    a.write("large", &content);
    a.settle().await;
    b.remote.take_calls();
    (server, content, b)
}

/// The ranges that were asked for.
fn asked(device: &Device) -> Vec<Option<Range<u64>>> {
    let calls = device.remote.take_calls();
    calls
        .into_iter()
        .filter_map(|call| match call {
            Call::Download { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect()
}

fn is_segment(call: &Call) -> bool {
    matches!(call, Call::Download { bytes: Some(bytes), .. } if bytes.end > blob::HEADER)
}

#[tokio::test]
async fn a_large_file_comes_in_segments_without_gap_or_overlap() {
    let (_server, content, b) = scene().await;
    b.settle().await;
    assert!(b.read("large") == content);
    let mut ranges: Vec<_> = asked(&b).into_iter().map(Option::unwrap).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert_eq!(ranges[0], 0..blob::HEADER);
    assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{ranges:?}");
    assert_eq!(ranges[3].end, blob::blob_len(SIZE as u64));
}

#[tokio::test]
async fn connections_that_break_are_taken_up_again() {
    let (_server, content, b) = scene().await;
    for at in [900_000, 3_000_000, 10] {
        b.remote.fail_next(is_segment, Fault::CutAfter(at));
    }
    b.settle().await;
    assert!(b.read("large") == content);
    assert_eq!(b.remote.pending_faults(), 0);
}

#[tokio::test]
async fn a_server_without_ranges_is_asked_for_the_whole_file() {
    let (_server, content, b) = scene().await;
    for _ in 0..8 {
        let fault = Fault::Refused(RemoteErrorKind::RangeIgnored);
        b.remote.fail_next(|call| matches!(call, Call::Download { bytes: Some(_), .. }), fault);
    }
    b.settle().await;
    assert!(b.read("large") == content);
    assert_eq!(asked(&b).into_iter().filter(Option::is_none).count(), 1);
}

#[tokio::test]
async fn a_damaged_segment_gets_no_name() {
    let (_server, _, b) = scene().await;
    for _ in 0..2 {
        b.remote.fail_next(is_segment, Fault::Flipped(5_000_000));
    }
    let status = b.sync().await;
    assert_eq!((status.state, status.problems[0].code), (FolderState::Attention, ProblemCode::Damaged));
    assert!(b.tree().is_empty());
    b.settle().await;
    assert_eq!(b.read("large").len(), SIZE);
}

#[tokio::test]
async fn after_a_restart_only_what_has_not_come_is_asked_for() {
    let (_server, content, mut b) = scene().await;
    let is_last = |call: &Call| matches!(call, Call::Download { bytes: Some(bytes), .. } if bytes.end == blob::blob_len(SIZE as u64));
    for _ in 0..4 {
        b.remote.fail_next(is_last, Fault::Refused(RemoteErrorKind::Unreachable(ConnectFailure::Refused)));
    }
    b.sync().await;
    assert!(b.tree().is_empty());
    b.restart().await;
    asked(&b);
    while b.remote.pending_faults() > 0 {
        b.sync().await;
    }
    b.settle().await;
    assert!(b.read("large") == content);
    let again = blob::frame_bytes(SIZE as u64, 0..64).end;
    assert!(asked(&b).into_iter().all(|range| range.unwrap().start >= again));
}
