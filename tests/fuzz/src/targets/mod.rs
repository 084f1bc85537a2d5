//! The targets.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken promise is told by a panic")]

mod blobs;
mod files;
mod names;
mod server;
mod sources;
mod transport;
mod wire;

use crate::Target;

/// Every target.
pub const TARGETS: &[Target] = &[
    wire::ANSWERS,
    wire::REQUESTS,
    wire::BATCH,
    transport::HEADERS,
    transport::RETRY,
    transport::URLS,
    blobs::FRAMES,
    blobs::ALTERED,
    blobs::SEALED_PATH,
    files::SEALED_PHRASE,
    files::CONFIG,
    files::IGNORE,
    files::SOCKET,
    names::REL_PATH,
    names::IDS,
    sources::NAMES,
    sources::CONTENT,
    server::REQUEST,
    server::UPLOAD,
];

/// The first byte, which chooses among kinds, and the rest.
fn kind(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}

/// The input as text; what is no text tells nothing of a parser of texts.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}
