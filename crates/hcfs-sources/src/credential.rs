//! Tokens and keys of services.

use hcfs_http::HeaderValue;
use zeroize::Zeroizing;

/// Why a text is not a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No characters.
    #[error("the credential is empty")]
    Empty,
    /// More than [`Credential::MAX_BYTES`].
    #[error("the credential is longer than 8192 bytes")]
    TooLong,
    /// A line break, another control character, or one that is not ASCII.
    #[error("the credential has a character that cannot be sent in a header")]
    Character,
}

/// A token or key. It has neither `Debug` nor `Display`, and its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// The longest credential, in bytes.
    pub const MAX_BYTES: usize = 8192;

    /// Checks a credential; blanks and line breaks around it, as files have them, are left out. Blanks inside are
    /// kept: some services take the whole value of `Authorization`.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, CredentialError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CredentialError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(CredentialError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(CredentialError::Character);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The credential as a header's value, `scheme` (with its blank) in front.
    pub(crate) fn header(&self, scheme: &str) -> HeaderValue {
        let text = Zeroizing::new(format!("{scheme}{}", &*self.0));
        // Never fails: the characters were checked.
        let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// `text` without the credential: a service may repeat in its answer what it was sent.
    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(&**self.0, "…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_header_is_refused() {
        assert_eq!(Credential::new(" \n").err(), Some(CredentialError::Empty));
        assert_eq!(Credential::new("a\nb").err(), Some(CredentialError::Character));
        assert_eq!(Credential::new("a\r\nX: y").err(), Some(CredentialError::Character));
        assert_eq!(Credential::new("a\tb").err(), Some(CredentialError::Character));
        assert_eq!(Credential::new("\u{e4}").err(), Some(CredentialError::Character));
        assert_eq!(Credential::new(&"a".repeat(8193)).err(), Some(CredentialError::TooLong));
    }

    #[test]
    fn is_sent_as_given_and_marked_secret() {
        let value = Credential::new("abc def\n").unwrap().header("Bearer ");
        assert_eq!(value, "Bearer abc def");
        assert!(value.is_sensitive());
    }

    #[test]
    fn is_taken_out_of_what_a_service_says() {
        assert_eq!(Credential::new("s3cret").unwrap().redacted("bad token s3cret!"), "bad token …!");
    }
}
