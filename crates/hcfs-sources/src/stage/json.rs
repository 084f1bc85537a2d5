//! The one field of a JSON object that holds a file in base64, decoded while the object streams by.
//!
//! Purpose: `{"contentType": …, "data": "…", "extensions": […]}`, in any order, with fields nobody knows in between.
//!
//! Invariants: memory is bounded whatever the length of the field or of any other; the object must end as it should,
//! so that one which was cut is no file.
//!
//! Deliberately absent: the values of all other fields but the type and the message of an error.

use std::io;

use memchr::memchr2;

use super::base64::{Base64, Base64Error};

/// The longest name of a field told from others, in bytes.
const KEY_MAX: usize = 32;
/// How much is kept of a text, in bytes.
const TEXT_MAX: usize = 1024;
/// How deep a value nobody wants may be nested.
const DEPTH_MAX: u32 = 64;

/// Why an object is not a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("byte {at} is not what JSON has there")]
    Syntax { at: u64 },
    #[error("byte {at}: values are nested too deep")]
    Depth { at: u64 },
    #[error("the object ends in the middle, after {at} bytes")]
    Cut { at: u64 },
    #[error("the object has no field \"data\"")]
    NoData,
    #[error("byte {at}: the field \"data\" is not a text")]
    NotText { at: u64 },
    #[error("byte {at}: the field \"data\" is there twice")]
    Twice { at: u64 },
    #[error("the base64 is broken before byte {at}: {reason}")]
    Base64 { at: u64, reason: Base64Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a text is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Key,
    Data,
    ContentType,
    Error,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    /// Hex digits seen, and their value.
    Unicode(u8, u16),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// A field, or the end of an object that may be empty.
    FirstField,
    Field,
    Colon,
    Value,
    Text(Use, Escape),
    /// A number or a word.
    Word,
    /// Inside a value nobody wants: how deep.
    Nested(u32),
    NestedText(u32, Escape),
    AfterValue,
    End,
}

/// Takes an object in pieces.
pub(crate) struct JsonFile {
    state: State,
    key: Vec<u8>,
    text: Vec<u8>,
    base64: Base64,
    position: u64,
    has_data: bool,
    content_type: Option<String>,
    error: Option<String>,
}

impl JsonFile {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Start,
            key: Vec::new(),
            text: Vec::new(),
            base64: Base64::new(),
            position: 0,
            has_data: false,
            content_type: None,
            error: None,
        }
    }

    /// The field `contentType`, if it has gone by.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The field `error`, if it has gone by.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Takes the next bytes of the object and gives those of the file to `out`.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), JsonError> {
        let mut at = 0;
        while at < piece.len() {
            let taken = match self.state {
                State::Text(to, Escape::No) => self.run(to, &piece[at..], out)?,
                state => {
                    self.state = self.byte(state, piece[at], out)?;
                    1
                }
            };
            at += taken;
            self.position += taken as u64;
        }
        Ok(())
    }

    /// Says that the object has ended.
    pub(crate) fn finish(&self) -> Result<(), JsonError> {
        match self.state {
            State::End if self.has_data => Ok(()),
            State::End => Err(JsonError::NoData),
            _ => Err(JsonError::Cut { at: self.position }),
        }
    }

    /// Takes the plain characters of a text up to its end or its next escape, and says how many bytes that were.
    fn run(
        &mut self,
        to: Use,
        piece: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<usize, JsonError> {
        let end = memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
        let plain = &piece[..end];
        // Base64 has no control characters anyway, and there is much of it.
        if to != Use::Data
            && let Some(at) = plain.iter().position(|byte| *byte < b' ')
        {
            return Err(JsonError::Syntax { at: self.position + at as u64 });
        }
        self.characters(to, plain, out)?;
        match piece.get(end) {
            None => return Ok(end),
            Some(b'"') => self.end_of_text(to, out)?,
            Some(_) => self.state = State::Text(to, Escape::Begun),
        }
        Ok(end + 1)
    }

    fn characters(
        &mut self,
        to: Use,
        text: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), JsonError> {
        let (kept, max) = match to {
            Use::Data => {
                let at = self.position + text.len() as u64;
                return self.base64.push(text, out).map_err(|error| broken(error, at));
            }
            Use::Nothing => return Ok(()),
            // Longer than any name looked for, so that a name that is cut is none of them.
            Use::Key => (&mut self.key, KEY_MAX),
            Use::ContentType | Use::Error => (&mut self.text, TEXT_MAX),
        };
        let room = max.saturating_sub(kept.len());
        kept.extend_from_slice(&text[..text.len().min(room)]);
        Ok(())
    }

    fn end_of_text(&mut self, of: Use, out: &mut impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), JsonError> {
        self.state = if of == Use::Key { State::Colon } else { State::AfterValue };
        let text = String::from_utf8_lossy(&self.text).into_owned();
        match of {
            Use::Data => self.base64.finish(out).map_err(|error| broken(error, self.position))?,
            Use::ContentType => self.content_type = Some(text),
            Use::Error => self.error = Some(text),
            Use::Key | Use::Nothing => {}
        }
        Ok(())
    }

    /// What follows one byte in any state but that of plain text.
    fn byte(
        &mut self,
        state: State,
        byte: u8,
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<State, JsonError> {
        let wrong = JsonError::Syntax { at: self.position };
        match state {
            State::Text(to, escape) => self.escaped(to, escape, byte, out),
            State::Nested(depth) => self.nested(depth, byte),
            State::NestedText(depth, escape) => Ok(match (escape, byte) {
                (Escape::No, b'"') => State::Nested(depth),
                (Escape::No, b'\\') => State::NestedText(depth, Escape::Begun),
                (Escape::No, 0..=31) => return Err(wrong),
                _ => State::NestedText(depth, Escape::No),
            }),
            State::Word => match byte {
                b',' => Ok(State::Field),
                b'}' => Ok(State::End),
                b' ' | b'\t' | b'\r' | b'\n' => Ok(State::AfterValue),
                b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.' => Ok(State::Word),
                _ => Err(wrong),
            },
            _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => Ok(state),
            State::Value => self.value(byte),
            State::Start if byte == b'{' => Ok(State::FirstField),
            State::FirstField | State::AfterValue if byte == b'}' => Ok(State::End),
            State::FirstField | State::Field if byte == b'"' => {
                self.key.clear();
                Ok(State::Text(Use::Key, Escape::No))
            }
            State::Colon if byte == b':' => Ok(State::Value),
            State::AfterValue if byte == b',' => Ok(State::Field),
            _ => Err(wrong),
        }
    }

    fn value(&mut self, byte: u8) -> Result<State, JsonError> {
        let at = self.position;
        let wanted = match self.key.as_slice() {
            b"data" if self.has_data => return Err(JsonError::Twice { at }),
            b"data" => Use::Data,
            b"contentType" => Use::ContentType,
            b"error" => Use::Error,
            _ => Use::Nothing,
        };
        if wanted == Use::Data {
            if byte != b'"' {
                return Err(JsonError::NotText { at });
            }
            self.has_data = true;
        }
        match byte {
            b'"' => {
                self.text.clear();
                Ok(State::Text(wanted, Escape::No))
            }
            b'{' | b'[' => Ok(State::Nested(1)),
            b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => Ok(State::Word),
            _ => Err(JsonError::Syntax { at }),
        }
    }

    fn nested(&self, depth: u32, byte: u8) -> Result<State, JsonError> {
        Ok(match byte {
            b'"' => State::NestedText(depth, Escape::No),
            b'{' | b'[' if depth == DEPTH_MAX => return Err(JsonError::Depth { at: self.position }),
            b'{' | b'[' => State::Nested(depth + 1),
            b'}' | b']' if depth == 1 => State::AfterValue,
            b'}' | b']' => State::Nested(depth - 1),
            b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.' | b',' | b':' => State::Nested(depth),
            b' ' | b'\t' | b'\r' | b'\n' => State::Nested(depth),
            _ => return Err(JsonError::Syntax { at: self.position }),
        })
    }

    /// A byte of an escape.
    fn escaped(
        &mut self,
        to: Use,
        escape: Escape,
        byte: u8,
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<State, JsonError> {
        let wrong = JsonError::Syntax { at: self.position };
        let plain = match (escape, byte) {
            (Escape::Begun, b'u') => return Ok(State::Text(to, Escape::Unicode(0, 0))),
            (Escape::Begun, b'"' | b'\\' | b'/') => char::from(byte),
            (Escape::Begun, b'b') => '\u{8}',
            (Escape::Begun, b'f') => '\u{c}',
            (Escape::Begun, b'n') => '\n',
            (Escape::Begun, b'r') => '\r',
            (Escape::Begun, b't') => '\t',
            (Escape::Unicode(seen, value), _) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                let value = value << 4 | digit.ok_or(wrong)?;
                if seen < 3 {
                    return Ok(State::Text(to, Escape::Unicode(seen + 1, value)));
                }
                // Half of a pair: no text that is looked at has such characters.
                char::from_u32(u32::from(value)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(wrong),
        };
        // Base64 is cut into lines by some.
        if to != Use::Data || !matches!(plain, '\r' | '\n') {
            self.characters(to, plain.encode_utf8(&mut [0; 4]).as_bytes(), out)?;
        }
        Ok(State::Text(to, Escape::No))
    }
}

fn broken(error: Base64Error, at: u64) -> JsonError {
    match error {
        Base64Error::Io(error) => JsonError::Io(error),
        error => JsonError::Base64 { at, reason: error },
    }
}

#[cfg(test)]
mod tests;
