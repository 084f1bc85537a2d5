//! The routes, as a client writes them.
//!
//! A label is one segment of the route, percent-encoded, so that any label a folder can have may stand there.

use std::fmt::Write as _;

/// Requests without effect carry the version in the path, and so does everything else.
pub const PREFIX: &str = "/v1";
/// `GET`: [`crate::Status`].
pub const STATUS: &str = "/v1/status";
/// `GET`: [`crate::Page`] of [`crate::Folder`]; `POST`: [`crate::AddFolder`].
pub const FOLDERS: &str = "/v1/folders";
/// `GET`: server-sent events, see [`crate::StreamEvent`].
pub const EVENTS: &str = "/v1/events";
/// `POST`: [`crate::UnlockRequest`].
pub const UNLOCK: &str = "/v1/unlock";
/// `POST`: closes the keys and stops every folder.
pub const LOCK: &str = "/v1/lock";
/// `POST`: reads the configuration again.
pub const RELOAD: &str = "/v1/reload";
/// `GET`: [`crate::Account`].
pub const ACCOUNT: &str = "/v1/account";
/// `GET`: [`crate::Limits`]; `POST`: [`crate::Limits`], which then hold and stand in the configuration.
pub const LIMITS: &str = "/v1/limits";
/// `POST`: [`crate::PageLink`]; the page listens from then on, if it did not yet.
pub const PAGE: &str = "/v1/page";
/// `POST`: asks the server now whether it answers and takes the token, [`crate::ServerTest`].
pub const TEST_SERVER: &str = "/v1/server/test";
/// `GET`: numbers for Prometheus, in the OpenMetrics text format.
pub const METRICS: &str = "/v1/metrics";

/// `GET`: [`crate::Page`] of [`crate::Source`]; `POST`: [`crate::AddSource`].
pub const SOURCES: &str = "/v1/sources";

/// A request with this header runs once: a repetition with the same value gets the first one's answer.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The events after the one with id `since`.
#[must_use]
pub fn events_since(since: u64) -> String {
    format!("{EVENTS}?since={since}")
}

/// `GET`: [`crate::FolderDetail`]; `DELETE`: stops keeping the folder in step, files stay on both sides.
#[must_use]
pub fn folder(label: &str) -> String {
    format!("{FOLDERS}/{}", encode(label))
}

/// `POST`: looks at disk and server now; `full` reads every file again.
#[must_use]
pub fn scan(label: &str, full: bool) -> String {
    format!("{}/scan?full={full}", folder(label))
}

/// `POST`: stops moving changes.
#[must_use]
pub fn pause(label: &str) -> String {
    format!("{}/pause", folder(label))
}

/// `POST`: goes on after a pause.
#[must_use]
pub fn resume(label: &str) -> String {
    format!("{}/resume", folder(label))
}

/// `POST`: one cycle now, [`crate::SyncReply`] when it has ended or after `timeout` seconds.
#[must_use]
pub fn sync(label: &str, timeout: Option<u64>) -> String {
    match timeout {
        Some(seconds) => format!("{}/sync?timeout={seconds}", folder(label)),
        None => format!("{}/sync", folder(label)),
    }
}

/// `GET`: [`crate::Plan`], each of its lists cut at `limit`.
#[must_use]
pub fn plan(label: &str, limit: usize) -> String {
    format!("{}/plan?limit={limit}", folder(label))
}

/// `GET`: [`crate::Page`] of [`crate::Problem`].
#[must_use]
pub fn problems(label: &str, after: u64, limit: usize) -> String {
    format!("{}/problems?after={after}&limit={limit}", folder(label))
}

/// `GET`: [`crate::Page`] of [`crate::Conflict`].
#[must_use]
pub fn conflicts(label: &str, after: u64, limit: usize) -> String {
    format!("{}/conflicts?after={after}&limit={limit}", folder(label))
}

/// `POST`: [`crate::ResolveRequest`].
#[must_use]
pub fn conflict(label: &str, id: u64) -> String {
    format!("{}/conflicts/{id}", folder(label))
}

/// `GET`: [`crate::Page`] of [`crate::Hold`].
#[must_use]
pub fn holds(label: &str, after: u64, limit: usize) -> String {
    format!("{}/holds?after={after}&limit={limit}", folder(label))
}

/// `POST`: [`crate::SettleHoldRequest`].
#[must_use]
pub fn hold(label: &str, id: u64) -> String {
    format!("{}/holds/{id}", folder(label))
}

/// `GET`: [`crate::Page`] of [`crate::LogEvent`], the oldest first.
#[must_use]
pub fn log(label: &str, after: u64, limit: usize) -> String {
    format!("{}/log?after={after}&limit={limit}", folder(label))
}

/// `GET`: [`crate::Page`] of the newest `limit` [`crate::LogEvent`]s, the oldest of them first.
#[must_use]
pub fn recent_log(label: &str, limit: usize) -> String {
    format!("{}/log?newest={limit}", folder(label))
}

/// `GET`: [`crate::Page`] of [`crate::TrashedFile`], the oldest first.
#[must_use]
pub fn trash(label: &str, after: u64, limit: usize) -> String {
    format!("{}?after={after}&limit={limit}", whole_trash(label))
}

/// `DELETE`: removes everything in the trash for good, [`crate::Emptied`].
#[must_use]
pub fn whole_trash(label: &str) -> String {
    format!("{}/trash", folder(label))
}

/// `POST`: brings a file of the trash back, [`crate::Restored`].
#[must_use]
pub fn restore(label: &str, id: &str) -> String {
    format!("{}/trash/{}/restore", folder(label), encode(id))
}

/// `GET`: [`crate::History`].
#[must_use]
pub fn history(label: &str, path: &str) -> String {
    format!("{}/history?path={}", folder(label), encode(path))
}

/// `GET`: [`crate::Explanation`].
#[must_use]
pub fn explain(label: &str, path: &str) -> String {
    format!("{}/explain?path={}", folder(label), encode(path))
}

/// `GET`: the files on the server below a directory or all, in path order: one [`crate::RemoteFile`] a line.
#[must_use]
pub fn files(label: &str, below: Option<&str>) -> String {
    match below {
        Some(path) => format!("{}/files?below={}", folder(label), encode(path)),
        None => format!("{}/files", folder(label)),
    }
}

/// `GET`: the plaintext of a file on the server, whole or a `Range`; `DELETE`: deletes it there.
#[must_use]
pub fn content(label: &str, path: &str) -> String {
    format!("{}/content?path={}", folder(label), encode(path))
}

/// `PUT`: the body becomes the file on the server.
#[must_use]
pub fn put_content(label: &str, path: &str, replace: bool) -> String {
    format!("{}&replace={replace}", content(label, path))
}

/// `POST`: [`crate::MoveRequest`].
#[must_use]
pub fn move_file(label: &str) -> String {
    format!("{}/move", folder(label))
}

/// `GET`: [`crate::SourceDetail`]; `DELETE`: stops bringing files, those that were brought stay.
#[must_use]
pub fn source(name: &str) -> String {
    format!("{SOURCES}/{}", encode(name))
}

/// `POST`: [`crate::RunSource`], answered with [`crate::RunReply`] when the run has ended.
#[must_use]
pub fn run_source(name: &str) -> String {
    format!("{}/run", source(name))
}

/// `POST`: ends a run, and at the service what it began there.
#[must_use]
pub fn cancel_source(name: &str) -> String {
    format!("{}/cancel", source(name))
}

/// `POST`: [`crate::SourceTest`].
#[must_use]
pub fn test_source(name: &str) -> String {
    format!("{}/test", source(name))
}

/// `GET`: [`crate::Page`] of [`crate::SourceProblem`].
#[must_use]
pub fn source_problems(name: &str, after: u64, limit: usize) -> String {
    format!("{}/problems?after={after}&limit={limit}", source(name))
}

/// `GET`: [`crate::Page`] of [`crate::SourceFile`].
#[must_use]
pub fn source_files(name: &str, after: u64, limit: usize) -> String {
    format!("{}/files?after={after}&limit={limit}", source(name))
}

/// Percent-encodes everything but RFC 3986's unreserved characters. A segment `.` or `..` would be taken for a
/// direction by clients that tidy paths, so a dot that stands first is encoded too.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && at > 0);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_paths_are_one_segment_or_one_value() {
        assert_eq!(folder("documents"), "/v1/folders/documents");
        assert_eq!(folder("Photos 2026 ü"), "/v1/folders/Photos%202026%20%C3%BC");
        assert_eq!(folder(".."), "/v1/folders/%2E.");
        assert_eq!(content("a", "x/y &.txt"), "/v1/folders/a/content?path=x%2Fy%20%26.txt");
        assert_eq!(put_content("a", "b", true), "/v1/folders/a/content?path=b&replace=true");
        assert_eq!(files("a", Some("b+c")), "/v1/folders/a/files?below=b%2Bc");
        assert_eq!(sync("a", Some(5)), "/v1/folders/a/sync?timeout=5");
        assert_eq!(restore("a", "5-1/x y"), "/v1/folders/a/trash/5-1%2Fx%20y/restore");
        assert_eq!(explain("a", "x/y"), "/v1/folders/a/explain?path=x%2Fy");
        assert_eq!(hold("a?b#c", 7), "/v1/folders/a%3Fb%23c/holds/7");
    }
}
