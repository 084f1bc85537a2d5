//! The bearer token.

use hcfs_http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Why a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No characters.
    #[error("the token is empty")]
    Empty,
    /// More than [`Token::MAX_BYTES`].
    #[error("the token is longer than 4096 bytes")]
    TooLong,
    /// A blank, a line break, or a character that is not ASCII.
    #[error("the token has a character that tokens do not have")]
    Character,
}

/// A bearer token. It has no `Debug`, and its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// The longest token, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Checks a token; blanks and line breaks around it, as files have them, are left out.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Character);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// None: for requests that ask for one.
    pub(super) fn none() -> Self {
        Self(SecretString::from(""))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> HeaderValue {
        let text = SecretString::from(format!("Bearer {}", self.0.expose_secret()));
        // Never fails: the characters were checked.
        HeaderValue::from_str(text.expose_secret()).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_would_break_the_header_are_refused() {
        assert_eq!(Token::new(" \n").err(), Some(TokenError::Empty));
        assert_eq!(Token::new("a b").err(), Some(TokenError::Character));
        assert_eq!(Token::new("a\r\nX: y").err(), Some(TokenError::Character));
        assert_eq!(Token::new("ä").err(), Some(TokenError::Character));
        assert_eq!(Token::new(&"a".repeat(4097)).err(), Some(TokenError::TooLong));
        assert_eq!(Token::new("abc-._~+/=\n").unwrap().bearer(), "Bearer abc-._~+/=");
    }
}
