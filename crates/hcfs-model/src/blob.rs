//! The geometry of a blob: where each frame lies (protocol §3). No keys and no bytes, only places.

use std::ops::Range;

/// Plaintext bytes of every chunk but the last.
pub const CHUNK: u64 = 256 * 1024;
/// Bytes of the authentication tag of a frame.
pub const TAG: u64 = 16;
/// Bytes of a frame's length field.
pub const LEN_FIELD: u64 = 4;
/// Bytes of the base nonce.
pub const NONCE: u64 = 24;
/// Bytes before the first frame: base nonce and chunk count.
pub const HEADER: u64 = NONCE + 4;
/// Bytes a full frame takes in the blob.
pub const FRAME: u64 = LEN_FIELD + CHUNK + TAG;
/// The largest plaintext the format can hold, in bytes.
pub const MAX_PLAINTEXT: u64 = u32::MAX as u64 * CHUNK;
/// Blobs above this go through an upload session, in parts of this size (protocol §5).
pub const TRANSPORT_CHUNK: u64 = 8 * 1024 * 1024;

/// How many frames a plaintext of `size` bytes has; an empty file has one.
#[must_use]
pub fn frames(size: u64) -> u64 {
    size.div_ceil(CHUNK).max(1)
}

/// How many bytes the blob of a plaintext of `size` bytes has.
#[must_use]
pub fn blob_len(size: u64) -> u64 {
    HEADER + frames(size) * (LEN_FIELD + TAG) + size
}

/// How many plaintext bytes frame `index` of a plaintext of `size` bytes has; 0 for a frame that does not exist.
#[must_use]
pub fn chunk_len(size: u64, index: u64) -> u64 {
    size.saturating_sub(index.saturating_mul(CHUNK)).min(CHUNK)
}

/// Where the frames `frames` of a plaintext of `size` bytes lie in its blob.
#[must_use]
pub fn frame_bytes(size: u64, frames: Range<u64>) -> Range<u64> {
    let end = blob_len(size);
    let start = (HEADER + frames.start * FRAME).min(end);
    start..(HEADER + frames.end * FRAME).min(end).max(start)
}

/// The frames that hold the plaintext bytes `bytes`.
#[must_use]
pub fn frames_of(bytes: Range<u64>) -> Range<u64> {
    bytes.start / CHUNK..bytes.end.div_ceil(CHUNK).max(bytes.start / CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_published_formula() {
        for (size, count) in [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (10 * CHUNK, 10)] {
            assert_eq!(frames(size), count, "{size}");
            assert_eq!(blob_len(size), 28 + 20 * count + size, "{size}");
        }
    }

    #[test]
    fn frames_tile_the_blob() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let mut at = HEADER;
            for index in 0..frames(size) {
                let bytes = frame_bytes(size, index..index + 1);
                assert_eq!(bytes.start, at);
                assert_eq!(bytes.end - bytes.start, LEN_FIELD + TAG + chunk_len(size, index));
                at = bytes.end;
            }
            assert_eq!(at, blob_len(size));
        }
    }

    #[test]
    fn a_plaintext_range_names_its_frames() {
        assert_eq!(frames_of(0..1), 0..1);
        assert_eq!(frames_of(CHUNK - 1..CHUNK + 1), 0..2);
        assert_eq!(frames_of(CHUNK..2 * CHUNK), 1..2);
        assert_eq!(frames_of(5..5), 0..1);
    }
}
