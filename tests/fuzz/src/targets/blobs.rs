//! Sealed contents and paths.

use std::sync::OnceLock;

use hcfs_crypto::blob::{open_blob, seal_blob};
use hcfs_crypto::frame::{BaseNonce, CHUNK, FRAME, FrameError, HEADER};
use hcfs_crypto::phrase::{FolderKeys, MasterPhrase};
use hcfs_crypto::reader::BlobReader;
use hcfs_crypto::sealed_path::{open_path, seal_path};
use hcfs_model::{FileId, FolderLabel, RelPath};

use super::kind;
use crate::Target;

pub(super) const FRAMES: Target = Target { name: "frames", words: &["\0\0\0\0", "\u{1}\0\0\0"], run: frames };
pub(super) const ALTERED: Target = Target { name: "altered_blobs", words: &[], run: altered };
pub(super) const SEALED_PATH: Target =
    Target { name: "sealed_path", words: &["..", "/", "\\", ".hcfs", "\0", "e\u{301}"], run: sealed_path };

fn keys() -> &'static FolderKeys {
    static KEYS: OnceLock<FolderKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        MasterPhrase::parse(words).unwrap().folder_keys(&FolderLabel::new("default").unwrap())
    })
}

/// Opens a blob as it comes in pieces; the plaintext, if all of it was right.
fn streamed(blob: &[u8], size: u64, piece: usize) -> Option<Vec<u8>> {
    let mut reader = BlobReader::new(&keys().encryption, size).ok()?;
    let mut plain = Vec::new();
    for piece in blob.chunks(piece.max(1)) {
        let mut take = |offset: u64, chunk: &[u8]| {
            assert_eq!(offset, plain.len() as u64, "chunks come in their order");
            plain.extend_from_slice(chunk);
            Ok::<(), FrameError>(())
        };
        reader.push(piece, &mut take).ok()?;
    }
    reader.finish().ok().map(|()| plain)
}

/// Any bytes as a blob: only an empty one can be right, and only by its tag.
fn frames(input: &[u8]) {
    let (first, blob) = kind(input);
    let size = u64::from(first) * 10_000;
    let whole = open_blob(&keys().encryption, blob, Some(size)).ok();
    assert_eq!(whole, streamed(blob, size, 7), "two readers of one format");
    let _ = open_blob(&keys().encryption, blob, None);
}

/// Contents of lengths around the bounds of chunks, and their blobs.
fn ours() -> &'static [(Vec<u8>, Vec<u8>); 8] {
    static OURS: OnceLock<[(Vec<u8>, Vec<u8>); 8]> = OnceLock::new();
    OURS.get_or_init(|| {
        [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5].map(|length| {
            let plain = hcfs_testkit::bytes(length, 1);
            let sealed = seal_blob(&keys().encryption, BaseNonce::from_bytes([5; 24]), &plain).unwrap();
            (plain, sealed)
        })
    })
}

/// A blob of ours that was altered: it opens to what was sealed, or not at all.
fn altered(input: &[u8]) {
    let [size, piece, edits @ ..] = input else { return };
    let (plain, sealed) = &ours()[usize::from(*size % 8)];
    let mut blob = sealed.clone();
    for edit in edits.chunks_exact(4).take(8) {
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) * (blob.len() / 0x1_0000 + 1) % blob.len().max(1);
        let frame = |number: usize| HEADER + number * FRAME..(HEADER + (number + 1) * FRAME).min(sealed.len());
        match edit[0] % 6 {
            0 => blob.truncate(at),
            1 => blob.extend_from_slice(&edit[1..]),
            2 => blob.iter_mut().take(24).zip(edit[1..].iter()).for_each(|(byte, mask)| *byte ^= mask),
            3 => blob.iter_mut().skip(24).take(4).zip(edit[1..].iter()).for_each(|(byte, mask)| *byte ^= mask),
            4 => {
                let from = frame(usize::from(edit[1] % 3));
                let to = HEADER + usize::from(edit[2] % 3) * FRAME;
                let moved = sealed.get(from).unwrap_or_default();
                if let Some(place) = blob.get_mut(to..to + moved.len()) {
                    place.copy_from_slice(moved);
                }
            }
            _ => blob.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= edit[3]),
        }
    }
    let size = plain.len() as u64;
    let opened = open_blob(&keys().encryption, &blob, Some(size)).ok();
    assert_eq!(opened, streamed(&blob, size, usize::from(*piece) * 1000), "two readers of one format");
    if blob == *sealed {
        assert_eq!(opened.as_deref(), Some(&plain[..]));
    } else if let Some(opened) = opened {
        // Whole frames in another order open where the nonce was moved with them: the salted hash is what stops that.
        assert_eq!(opened.len(), plain.len(), "what opens has the listed size");
    }
}

/// What a person wrote, sealed by us, given to us as a path; and any bytes.
fn sealed_path(input: &[u8]) {
    let key = &keys().encryption;
    let id = FileId::of_path(&String::from_utf8_lossy(input));
    let _ = open_path(key, input, &id);
    let Ok(sealed) = seal_blob(key, BaseNonce::from_bytes([6; 24]), input) else { return };
    if let Ok(path) = open_path(key, &sealed, &id) {
        assert_eq!(RelPath::new(path.as_str()).as_ref(), Ok(&path));
        let again = seal_path(key, BaseNonce::from_bytes([7; 24]), &path).unwrap();
        assert_eq!(open_path(key, &again, &FileId::of_path(path.as_str())), Ok(path));
    }
}
