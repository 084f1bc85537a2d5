//! A body in lines.

use bytes::{Bytes, BytesMut};

/// Cuts a stream of bytes into lines, whatever pieces they come in. A line ends with `\n` or `\r\n`.
#[derive(Debug)]
pub(crate) struct Lines {
    max: usize,
    held: BytesMut,
    /// Bytes of `held` that are known to have no end of a line.
    seen: usize,
}

/// A line is longer than any that is expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    /// Lines of at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, held: BytesMut::new(), seen: 0 }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next whole line, without its end.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(end) = self.held[self.seen..].iter().position(|&byte| byte == b'\n') else {
            self.seen = self.held.len();
            return if self.seen > self.max { Err(TooLong) } else { Ok(None) };
        };
        let mut line = self.held.split_to(self.seen + end + 1);
        self.seen = 0;
        line.truncate(line.len() - 1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.max { Err(TooLong) } else { Ok(Some(line.freeze())) }
    }

    /// What came after the last end of a line.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.held
    }
}
