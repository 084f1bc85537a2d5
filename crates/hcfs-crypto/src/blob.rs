//! Whole blobs in memory: small files and encrypted paths.

use hcfs_model::blob;

use crate::frame::{self, BaseNonce, FRAME, FrameError, HEADER, Header, LEN_FIELD, TAG};
use crate::phrase::EncryptionKey;
use crate::reader;

/// The blob of a plaintext.
///
/// # Errors
/// A plaintext larger than a blob can hold.
#[expect(clippy::needless_pass_by_value, reason = "a base nonce is used up by what it seals")]
pub fn seal_blob(key: &EncryptionKey, nonce: BaseNonce, plaintext: &[u8]) -> Result<Vec<u8>, FrameError> {
    let size = plaintext.len() as u64;
    let frames = plaintext.len().div_ceil(frame::CHUNK).max(1);
    let mut blob = Vec::with_capacity(HEADER + frames * (LEN_FIELD + TAG) + plaintext.len());
    blob.extend_from_slice(&frame::header_bytes(&nonce, size)?);
    for index in 0..blob::frames(size) {
        let start = blob.len();
        let rest = &plaintext[(start - HEADER) / FRAME * frame::CHUNK..];
        blob.extend_from_slice(&[0; LEN_FIELD]);
        blob.extend_from_slice(&rest[..frame::chunk_len(size, index)]);
        blob.extend_from_slice(&[0; TAG]);
        frame::seal_frame(key, &nonce, index, &mut blob[start..])?;
    }
    Ok(blob)
}

/// The plaintext of a blob; `expect_size` is its length in bytes where a listing names one.
///
/// # Errors
/// Any departure from the format, any tag that does not match, and any other size than the expected one.
pub fn open_blob(key: &EncryptionKey, blob: &[u8], expect_size: Option<u64>) -> Result<Vec<u8>, FrameError> {
    let (header, rest) = blob.split_first_chunk::<HEADER>().ok_or(FrameError::TruncatedHeader)?;
    let size = match expect_size {
        Some(size) => size,
        None => plaintext_size(blob.len() as u64)?,
    };
    let nonce = Header::parse(header, size)?.nonce;
    let frames = blob::blob_len(size) - blob::HEADER;
    if (rest.len() as u64) < frames {
        return Err(FrameError::Truncated { index: (rest.len() / FRAME) as u64 });
    }
    if rest.len() as u64 > frames {
        return Err(FrameError::Trailing);
    }
    let mut plaintext = Vec::with_capacity(rest.len());
    for (index, frame) in (0..).zip(rest.chunks(FRAME)) {
        let truncated = FrameError::Truncated { index };
        let (field, sealed) = frame.split_first_chunk().ok_or(truncated)?;
        reader::check_len_field(size, index, *field)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG>().ok_or(truncated)?;
        let start = plaintext.len();
        plaintext.extend_from_slice(ciphertext);
        frame::open_chunk(key, &nonce, index, &mut plaintext[start..], *tag)?;
    }
    Ok(plaintext)
}

/// The only plaintext size whose blob has `len` bytes.
fn plaintext_size(len: u64) -> Result<u64, FrameError> {
    let error = FrameError::BlobLength { found: len };
    let frames = len.checked_sub(blob::HEADER).ok_or(error)?.div_ceil(blob::FRAME).max(1);
    let size = len.checked_sub(blob::HEADER + frames * (blob::LEN_FIELD + blob::TAG)).ok_or(error)?;
    if blob::blob_len(size) == len { Ok(size) } else { Err(error) }
}

#[cfg(test)]
mod tests;
