//! Starting write-back of a file's dirty pages.
//!
//! The one place of this crate with an unsafe call: no safe binding of `sync_file_range` exists.
#![allow(unsafe_code, reason = "sync_file_range has no safe binding")]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Hands all dirty pages of `file` to the device without waiting for it, so that the one fsync at the end finds little
/// left to do. A failure is of no consequence: that fsync reports it.
pub(super) fn start(file: &File) {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call takes no pointers.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}
