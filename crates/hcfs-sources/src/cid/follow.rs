//! A staged file held against its CID while it is written, on a thread of its own.
//!
//! Purpose: to hash for the CID takes about as long as to receive and write; side by side they take the longer time
//! of the two, not their sum.
//!
//! Invariants: the thread reads only what is said to be written, in order and once; the writer is never more than
//! [`LAG`] tells ahead, so that what is read is still in memory; the thread ends when nobody waits for its finding.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::id::ContentId;
use super::verify::{Finding, Verifier, each_piece};

/// Bytes between two tells.
const EVERY: u64 = 1 << 20;
/// Tells that may wait.
const LAG: usize = 8;

/// Follows the writing of a file.
pub(crate) struct Follower {
    id: ContentId,
    file: File,
    reader: Reader,
    told: u64,
}

struct Reader {
    lengths: SyncSender<u64>,
    thread: JoinHandle<io::Result<Verifier>>,
}

impl Follower {
    /// Follows an empty file.
    pub(crate) fn start(id: ContentId, file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let reader = Reader::start(Verifier::new(id.clone()), file.try_clone()?)?;
        Ok(Self { id, file, reader, told: 0 })
    }

    /// Begins again with the file empty.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        if self.told > 0 {
            self.reader = Reader::start(Verifier::new(self.id.clone()), self.file.try_clone()?)?;
            self.told = 0;
        }
        Ok(())
    }

    /// Says that the first `len` bytes are written; waits where the thread is far behind.
    pub(crate) fn tell(&mut self, len: u64) {
        if len - self.told >= EVERY {
            self.tell_now(len);
        }
    }

    fn tell_now(&mut self, len: u64) {
        // A thread that ended early says why when it is joined.
        let _ = self.reader.lengths.send(len);
        self.told = len;
    }

    /// The finding on a file of `len` bytes.
    pub(crate) fn finish(mut self, len: u64) -> io::Result<Finding> {
        self.tell_now(len);
        let Reader { lengths, thread } = self.reader;
        drop(lengths);
        let verifier = thread.join().map_err(|_| io::Error::other("the verifying thread panicked"))??;
        Ok(verifier.finish())
    }
}

impl Reader {
    fn start(verifier: Verifier, file: File) -> io::Result<Self> {
        let (lengths, told) = sync_channel(LAG);
        let thread = Builder::new().name("cid".to_owned()).spawn(move || follow(verifier, &file, &told))?;
        Ok(Self { lengths, thread })
    }
}

fn follow(mut verifier: Verifier, file: &File, told: &Receiver<u64>) -> io::Result<Verifier> {
    let mut at = 0;
    for len in told {
        each_piece(file, at, len, |piece| {
            verifier.update(piece);
            Ok::<_, io::Error>(())
        })?;
        at = len;
    }
    Ok(verifier)
}
