//! Base64 decoded while it streams by: the standard alphabet with its padding, nothing else.

use std::io;

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters decoded at once: whole groups of four.
const BATCH: usize = 16 * 1024;

/// The text is not base64.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Base64Error {
    #[error("a character that base64 does not have")]
    Character,
    #[error("characters after the padding")]
    AfterPadding,
    #[error("the last group is incomplete")]
    Incomplete,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A decoder that takes text in pieces.
pub(crate) struct Base64 {
    /// Characters not yet decoded, fewer than [`BATCH`].
    pending: Vec<u8>,
    bytes: Vec<u8>,
    padded: bool,
}

impl Base64 {
    pub(super) fn new() -> Self {
        Self { pending: Vec::with_capacity(BATCH), bytes: vec![0; BATCH / 4 * 3], padded: false }
    }

    /// Takes the next characters and gives what they hold to `out`.
    pub(super) fn push(
        &mut self,
        mut text: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Base64Error> {
        while !text.is_empty() {
            let (now, later) = text.split_at(text.len().min(BATCH - self.pending.len()));
            self.pending.extend_from_slice(now);
            text = later;
            if self.pending.len() == BATCH {
                self.decode(out)?;
            }
        }
        Ok(())
    }

    /// Decodes what is left.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Base64Error> {
        if !self.pending.len().is_multiple_of(4) {
            return Err(Base64Error::Incomplete);
        }
        self.decode(out)
    }

    fn decode(&mut self, out: &mut impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Base64Error> {
        let Some(last) = self.pending.last() else { return Ok(()) };
        if self.padded {
            return Err(Base64Error::AfterPadding);
        }
        self.padded = *last == b'=';
        let len = STANDARD.decode_slice(&self.pending, &mut self.bytes).map_err(|_| Base64Error::Character)?;
        self.pending.clear();
        Ok(out(&self.bytes[..len])?)
    }
}
