//! One file taken out of a tar archive while it streams by.
//!
//! Invariants: the archive holds exactly one regular file, under a name that stays where it is, or it is an error;
//! what is kept in memory is one block and one bounded record of extended attributes.
//!
//! Deliberately absent: every other kind of entry. A service that packs one file needs none.

use std::io;
use std::mem;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;
/// The longest record of extended attributes or long name, in bytes.
const EXTENDED_MAX: u64 = 64 * 1024;
/// Zeros that may follow the end mark, in bytes: what padding to large records makes.
const PADDING_MAX: u64 = 1024 * 1024;

/// Why an archive is not one file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    #[error("a header's check sum is wrong")]
    Checksum,
    #[error("a header cannot be read")]
    Header,
    #[error("a record of attributes is longer than 64 KiB")]
    ExtendedTooLong,
    #[error("it holds no file")]
    Empty,
    #[error("it holds a directory")]
    Directory,
    #[error("it holds more than one file")]
    Several,
    #[error("it holds a link or a device")]
    Special,
    #[error("the name in it leaves the folder")]
    Name,
    #[error("the file in it has {size} bytes, more than came")]
    Size { size: u64 },
    #[error("it ends in the middle")]
    Cut,
    #[error("something follows its end")]
    Trailing,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a header says of its entry.
struct Header {
    kind: u8,
    name: Vec<u8>,
    size: u64,
}

enum State {
    Header,
    /// An extended record of this kind: bytes of it, and of its padding, that are due.
    Extended {
        kind: u8,
        due: u64,
        padding: u64,
        text: Vec<u8>,
    },
    Content {
        due: u64,
        padding: u64,
    },
    Padding(u64),
    /// After the end mark: zeros so far.
    End(u64),
}

/// The file in the archive, once its header has gone by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Where its content begins in the archive.
    pub(crate) offset: u64,
}

/// Takes an archive in pieces.
pub(crate) struct TarReader {
    state: State,
    block: Vec<u8>,
    position: u64,
    /// Name and size that an extended record gives the next entry.
    long_name: Option<Vec<u8>>,
    long_size: Option<u64>,
    member: Option<Member>,
    /// The length of the whole archive, where known.
    total: Option<u64>,
}

impl TarReader {
    /// A reader of an archive of `total` bytes.
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            position: 0,
            long_name: None,
            long_size: None,
            member: None,
            total,
        }
    }

    /// A reader that goes on inside the content of `member`, after `done` bytes of it.
    pub(crate) fn inside(member: Member, done: u64, total: Option<u64>) -> Self {
        let due = member.size.saturating_sub(done);
        let (padding, position) = (padding(member.size), member.offset.saturating_add(done.min(member.size)));
        let state = State::Content { due, padding };
        Self { state, position, member: Some(member), ..Self::new(total) }
    }

    /// The file, once its header has gone by.
    pub(crate) fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Takes the next bytes of the archive and gives those of the file to `out`.
    pub(crate) fn push(
        &mut self,
        mut piece: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), TarError> {
        self.settle()?;
        while !piece.is_empty() {
            let taken = self.step(piece, out)?;
            self.position += taken as u64;
            piece = &piece[taken..];
            self.settle()?;
        }
        Ok(())
    }

    /// Says that the archive has ended.
    pub(crate) fn finish(&mut self) -> Result<(), TarError> {
        self.settle()?;
        match self.state {
            State::Header if self.member.is_none() && self.position == 0 => Err(TarError::Empty),
            // The end mark is missing, which loses nothing.
            State::Header if self.block.is_empty() && self.member.is_some() => Ok(()),
            State::End(_) if self.member.is_some() => Ok(()),
            State::End(_) => Err(TarError::Empty),
            _ => Err(TarError::Cut),
        }
    }

    /// Takes some bytes of `piece`, at least one, and says how many.
    fn step(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8]) -> io::Result<()>) -> Result<usize, TarError> {
        match &mut self.state {
            State::Header => {
                let taken = piece.len().min(BLOCK - self.block.len());
                self.block.extend_from_slice(&piece[..taken]);
                if self.block.len() == BLOCK {
                    let block = mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
                    self.state = self.begin(&block)?;
                }
                Ok(taken)
            }
            State::Extended { due, text, .. } => {
                let taken = within(piece.len(), *due);
                text.extend_from_slice(&piece[..taken]);
                *due -= taken as u64;
                Ok(taken)
            }
            State::Content { due, .. } => {
                let taken = within(piece.len(), *due);
                out(&piece[..taken])?;
                *due -= taken as u64;
                Ok(taken)
            }
            State::Padding(due) => {
                let taken = within(piece.len(), *due);
                *due -= taken as u64;
                Ok(taken)
            }
            State::End(zeros) => {
                *zeros += piece.len() as u64;
                let sound = *zeros <= PADDING_MAX && piece.iter().all(|byte| *byte == 0);
                if sound { Ok(piece.len()) } else { Err(TarError::Trailing) }
            }
        }
    }

    /// Leaves a state in which nothing is due any more.
    fn settle(&mut self) -> Result<(), TarError> {
        loop {
            match &mut self.state {
                State::Extended { due: 0, kind, padding, text } => {
                    let (kind, padding, text) = (*kind, *padding, mem::take(text));
                    self.extend(kind, &text)?;
                    self.state = State::Padding(padding);
                }
                State::Content { due: 0, padding } => self.state = State::Padding(*padding),
                State::Padding(0) => self.state = State::Header,
                _ => return Ok(()),
            }
        }
    }

    /// What follows a header block.
    fn begin(&mut self, block: &[u8]) -> Result<State, TarError> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(State::End(0));
        }
        let header = read_header(block)?;
        match header.kind {
            b'x' | b'L' if header.size <= EXTENDED_MAX => Ok(State::Extended {
                kind: header.kind,
                due: header.size,
                padding: padding(header.size),
                text: Vec::new(),
            }),
            b'x' | b'L' => Err(TarError::ExtendedTooLong),
            // Attributes of all entries, and the long target of a link that is refused anyway.
            b'g' | b'K' if header.size <= EXTENDED_MAX => {
                Ok(State::Padding(header.size.saturating_add(padding(header.size))))
            }
            b'g' | b'K' => Err(TarError::ExtendedTooLong),
            b'0' | b'7' | 0 => self.open(header),
            b'5' => Err(TarError::Directory),
            _ => Err(TarError::Special),
        }
    }

    fn open(&mut self, header: Header) -> Result<State, TarError> {
        if self.member.is_some() {
            return Err(TarError::Several);
        }
        let name = self.long_name.take().unwrap_or(header.name);
        let name = String::from_utf8(name).map_err(|_| TarError::Name)?;
        // An old way to say directory.
        if name.ends_with('/') {
            return Err(TarError::Directory);
        }
        let tricks = name.is_empty()
            || name.starts_with('/')
            || name.contains(['\\', '\0'])
            || name.split('/').any(|segment| segment == "..");
        if tricks {
            return Err(TarError::Name);
        }
        let size = self.long_size.take().unwrap_or(header.size);
        let offset = self.position.saturating_add(self.pending());
        if size > i64::MAX as u64 || self.total.is_some_and(|total| size > total.saturating_sub(offset)) {
            return Err(TarError::Size { size });
        }
        self.member = Some(Member { name, size, offset });
        Ok(State::Content { due: size, padding: padding(size) })
    }

    /// Bytes of the current header block that `position` does not count yet.
    fn pending(&self) -> u64 {
        (BLOCK as u64) - self.position % BLOCK as u64
    }

    fn extend(&mut self, kind: u8, text: &[u8]) -> Result<(), TarError> {
        if kind == b'L' {
            self.long_name = Some(until_nul(text).to_vec());
            return Ok(());
        }
        // `length key=value\n`, the length counting all of it.
        let mut rest = text;
        while !rest.is_empty() {
            let blank = rest.iter().position(|byte| *byte == b' ').ok_or(TarError::Header)?;
            let length = decimal(&rest[..blank]).and_then(|length| usize::try_from(length).ok());
            let length =
                length.filter(|length| *length > blank + 1 && *length <= rest.len()).ok_or(TarError::Header)?;
            let record = rest[blank + 1..length].strip_suffix(b"\n").ok_or(TarError::Header)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(TarError::Header)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key == b"path" {
                self.long_name = Some(value.to_vec());
            } else if key == b"size" {
                self.long_size = Some(decimal(value).ok_or(TarError::Header)?);
            } else if key.starts_with(b"GNU.sparse") {
                return Err(TarError::Special);
            }
            rest = &rest[length..];
        }
        Ok(())
    }
}

/// Whether a block is the header of an archive: its mark and its check sum are right.
pub(crate) fn is_header(block: &[u8]) -> bool {
    block.len() == BLOCK && block[257..].starts_with(b"ustar") && read_header(block).is_ok()
}

/// The name in a header block, as far as it stands there.
pub(crate) fn name_in(block: &[u8]) -> Option<String> {
    String::from_utf8(read_header(block).ok()?.name).ok()
}

fn read_header(block: &[u8]) -> Result<Header, TarError> {
    let told = number(&block[148..156]).ok_or(TarError::Checksum)?;
    let sum: u64 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    if told != sum {
        return Err(TarError::Checksum);
    }
    let mut name = until_nul(&block[..100]).to_vec();
    // GNU's older form uses the prefix's place for other things, and marks itself by two blanks.
    if &block[257..263] == b"ustar\0" && block[345] != 0 {
        let mut long = until_nul(&block[345..500]).to_vec();
        long.push(b'/');
        long.append(&mut name);
        name = long;
    }
    let size = number(&block[124..136]).ok_or(TarError::Header)?;
    Ok(Header { kind: block[156], name, size })
}

/// A number in octal digits, or in binary where the first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let (head, tail) = field.split_at(field.len().checked_sub(8)?);
        let positive = head.iter().enumerate().all(|(at, byte)| *byte == if at == 0 { 0x80 } else { 0 });
        return positive.then(|| tail.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
    }
    let digits = until_nul(field).trim_ascii();
    let octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    octal.then(|| digits.iter().fold(0, |all, digit| all << 3 | u64::from(digit - b'0')))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| sound)?.parse().ok()
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn within(len: usize, due: u64) -> usize {
    usize::try_from(due).map_or(len, |due| len.min(due))
}

#[cfg(test)]
mod tests;
