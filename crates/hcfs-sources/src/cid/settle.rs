//! What a body that came whole is: the content, an archive of it, or something else.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::id::ContentId;
use super::verify::{Finding, each_piece, rebuild};
use crate::stage::{BLOCK, Sink, TarError, TarReader, is_header};

/// What came of it. The names are those of a file that was taken out of an archive.
pub(super) enum Settled {
    /// The content is that of the CID.
    Right(Sink, Option<String>),
    /// It is not.
    Wrong,
    /// It cannot be told, for this reason.
    Unknown(Sink, Option<String>, String),
    /// It is an archive, and not one of one file.
    NotOneFile(String),
}

/// Judges what was staged. `plain` says that it was taken for the content as it came; if that is not the content of
/// the CID, and looks like an archive, it is unpacked within its file. Without an id nothing is verified.
pub(super) fn settle(mut sink: Sink, plain: bool, id: Option<&ContentId>) -> io::Result<Settled> {
    let finding = judge(&mut sink, id)?;
    if finding == Finding::Right || !plain || !begins_as_archive(&sink.file, sink.len)? {
        return Ok(told(sink, None, finding));
    }
    let mut inner = Sink::new(sink.file.try_clone()?, id.cloned())?;
    let mut reader = TarReader::new(Some(sink.len));
    // What is written lies a header before what is read.
    let unpacked =
        each_piece(&sink.file, 0, sink.len, |piece| reader.push(piece, &mut |bytes: &[u8]| inner.write(bytes)))
            .and_then(|()| reader.finish());
    match unpacked {
        Ok(()) => {}
        Err(TarError::Io(error)) => return Err(error),
        Err(error) => return Ok(Settled::NotOneFile(error.to_string())),
    }
    inner.file.set_len(inner.len)?;
    let name = reader.member().map(|member| member.name.clone());
    let finding = judge(&mut inner, id)?;
    Ok(told(inner, name, finding))
}

fn told(sink: Sink, unpacked: Option<String>, finding: Finding) -> Settled {
    let reason = match finding {
        Finding::Right => return Settled::Right(sink, unpacked),
        Finding::Wrong => return Settled::Wrong,
        Finding::OtherTree => {
            "no usual way of cutting it into blocks gives its CID: it was added in another way, or is not the right one"
                .to_owned()
        }
        Finding::Unknown(reason) => reason,
    };
    Settled::Unknown(sink, unpacked, reason)
}

fn judge(sink: &mut Sink, id: Option<&ContentId>) -> io::Result<Finding> {
    let (Some(follower), Some(id)) = (sink.follower.take(), id) else {
        return Ok(Finding::Unknown("verification is off".to_owned()));
    };
    match follower.finish(sink.len)? {
        Finding::OtherTree if rebuild(&sink.file, sink.len, id)? => Ok(Finding::Right),
        finding => Ok(finding),
    }
}

fn begins_as_archive(file: &File, len: u64) -> io::Result<bool> {
    let mut block = [0; BLOCK];
    if len < BLOCK as u64 {
        return Ok(false);
    }
    file.read_exact_at(&mut block, 0)?;
    Ok(is_header(&block))
}
