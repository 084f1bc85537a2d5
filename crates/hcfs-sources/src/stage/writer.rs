//! The thread that decodes, hashes and writes.
//!
//! Invariants: the file's first `len` bytes are the content so far, and the hash is theirs; what comes after a leg
//! that begins anew replaces all of it; the pieces that wait are few.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::decode::{DecodeError, Decoder, Form};
use super::tar::Member;
use crate::cid::follow::Follower;
use crate::cid::id::ContentId;
use crate::cid::verify::each_piece;
use crate::source::ContentHash;

/// Pieces that may wait for the disk.
pub(crate) const QUEUE: usize = 8;

/// What the thread is told.
pub(crate) enum Order {
    /// The body begins from its first byte, and has this length and form.
    Begin { form: Form, total: Option<u64> },
    /// The next bytes of the body.
    Bytes(Bytes),
}

/// How far the content is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark {
    /// Counts the marks made.
    pub(crate) number: u64,
    /// Counts the bodies begun: a mark of an earlier one says nothing of the last.
    pub(crate) body: u64,
    /// Bytes of content written.
    pub(crate) len: u64,
    /// Their hash.
    pub(crate) prefix: Option<ContentHash>,
    /// The file in the archive, if there is one.
    pub(crate) member: Option<Member>,
    /// Bytes of content written by now, which may be more than at the mark.
    pub(crate) now: u64,
}

/// A mark both sides see.
#[derive(Clone, Default)]
pub(crate) struct Marks(Arc<Mutex<Mark>>);

impl Marks {
    pub(crate) fn get(&self) -> Mark {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    fn change(&self, change: impl FnOnce(&mut Mark)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The staged file, and what is known of its content.
pub(crate) struct Sink {
    pub(crate) file: File,
    pub(crate) len: u64,
    hash: blake3::Hasher,
    /// Holds the content against a CID.
    pub(crate) follower: Option<Follower>,
}

impl Sink {
    /// A sink over an empty file. The content is held against `claim`, if there is one.
    pub(crate) fn new(file: File, claim: Option<ContentId>) -> io::Result<Self> {
        let follower = claim.map(|id| Follower::start(id, &file)).transpose()?;
        Ok(Self { file, len: 0, hash: blake3::Hasher::new(), follower })
    }

    /// A sink that goes on after `len` bytes with the hash `prefix`; from the start if they are not there.
    pub(crate) fn resume(file: File, claim: Option<ContentId>, len: u64, prefix: ContentHash) -> io::Result<Self> {
        let mut sink = Self::new(file, claim)?;
        if sink.file.metadata()?.len() >= len {
            let file = sink.file.try_clone()?;
            each_piece(&file, 0, len, |piece| {
                sink.note(piece);
                Ok::<_, io::Error>(())
            })?;
            if sink.hash() == prefix {
                sink.file.set_len(len)?;
                return Ok(sink);
            }
        }
        sink.reset()?;
        Ok(sink)
    }

    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.len = 0;
        self.hash.reset();
        self.follower.as_mut().map_or(Ok(()), Follower::restart)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        self.note(bytes);
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        if let Some(follower) = &mut self.follower {
            follower.tell(self.len);
        }
    }

    /// The hash of the content so far.
    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash(*self.hash.finalize().as_bytes())
    }
}

/// What the thread leaves behind.
pub(crate) struct Written {
    pub(crate) sink: Sink,
    pub(crate) decoder: Decoder,
    pub(crate) result: Result<(), DecodeError>,
}

/// Does what it is told until there is no more to come. `end` says whether that is the end of the body. Until a body
/// begins, `form` is that of the one which goes on.
pub(crate) fn run(
    mut sink: Sink,
    form: Form,
    mut orders: mpsc::Receiver<Order>,
    marks: &Marks,
    every: Duration,
    end: impl FnOnce() -> bool,
) -> Written {
    let mut decoder = Decoder::new(form, sink.len, None);
    let mut result = follow(&mut sink, &mut decoder, &mut orders, marks, every);
    if result.is_ok() && end() {
        result = decoder.finish(&mut |bytes: &[u8]| sink.write(bytes));
    }
    mark(&sink, &decoder, marks);
    Written { sink, decoder, result }
}

fn follow(
    sink: &mut Sink,
    decoder: &mut Decoder,
    orders: &mut mpsc::Receiver<Order>,
    marks: &Marks,
    every: Duration,
) -> Result<(), DecodeError> {
    let mut marked = Instant::now();
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Begin { form, total } => {
                if sink.len > 0 {
                    sink.reset().map_err(DecodeError::Io)?;
                }
                *decoder = Decoder::new(form, 0, total);
                marks.change(|mark| mark.body += 1);
                mark(sink, decoder, marks);
            }
            Order::Bytes(bytes) => decoder.push(&bytes, &mut |bytes: &[u8]| sink.write(bytes))?,
        }
        if marked.elapsed() >= every {
            mark(sink, decoder, marks);
            marked = Instant::now();
        } else {
            marks.change(|mark| mark.now = sink.len);
        }
    }
    Ok(())
}

fn mark(sink: &Sink, decoder: &Decoder, marks: &Marks) {
    let (len, prefix) = if decoder.can_resume() { (sink.len, Some(sink.hash())) } else { (0, None) };
    let member = decoder.member().cloned();
    marks.change(|mark| {
        let (number, body) = (mark.number + 1, mark.body);
        *mark = Mark { number, body, len, prefix, member, now: sink.len };
    });
}
