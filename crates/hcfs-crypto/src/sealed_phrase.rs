//! The recovery phrase at rest: `enc_mnemonic.json` (protocol §1).
//!
//! AES-256-GCM under a key that PBKDF2-HMAC-SHA256 makes of the password. Other clients of the service read and write the
//! same file.

mod file;

use std::path::PathBuf;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use file::{read, write};

use crate::phrase::MasterPhrase;
use crate::random::{self, RandomError};

/// PBKDF2 rounds of a file written now.
pub const ITERATIONS: u32 = 600_000;
/// PBKDF2 rounds of a file that does not say.
pub const LEGACY_ITERATIONS: u32 = 10_000;
/// More rounds than these are refused: a corrupt file must not hang the program.
pub const MAX_ITERATIONS: u32 = 10_000_000;
/// The longest file, in bytes; a real one has some 400.
pub const MAX_FILE: usize = 16 * 1024;

/// Why a phrase could not be sealed, opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum SealedPhraseError {
    /// No password was given.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password is another one; or the ciphertext was altered, which looks the same.
    #[error("the password does not open the recovery phrase")]
    WrongPassword,
    /// The file is not what it should be.
    #[error("the sealed recovery phrase is damaged: {0}")]
    Corrupt(&'static str),
    /// A number of PBKDF2 rounds that no honest file has.
    #[error("the sealed recovery phrase asks for {0} rounds of key derivation, and 1 to 10000000 are allowed")]
    Iterations(u64),
    /// Nothing can be sealed without random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The file cannot be read or written.
    #[error("cannot {action} \"{}\"", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl SealedPhraseError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EmptyPassword => "choose a password of at least one character",
            Self::WrongPassword => {
                "try the password again; if it is lost, the words of the recovery phrase make a new file"
            }
            Self::Corrupt(_) | Self::Iterations(_) => {
                "put back the previous file, which has \".bak\" behind its name, or enter the recovery phrase again"
            }
            Self::Random(_) => "the system must give random bytes; check that /dev/urandom exists",
            Self::Io { .. } => "check that the directory exists and belongs to you",
        }
    }
}

/// A recovery phrase under a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPhrase {
    salt: [u8; 16],
    iv: [u8; 12],
    /// Ciphertext and tag.
    data: Vec<u8>,
    iterations: u32,
}

/// The file's JSON.
#[derive(Serialize, Deserialize)]
struct Json<'j> {
    #[serde(borrow)]
    salt: std::borrow::Cow<'j, str>,
    #[serde(borrow)]
    iv: std::borrow::Cow<'j, str>,
    #[serde(borrow)]
    data: std::borrow::Cow<'j, str>,
    iterations: Option<u64>,
}

impl SealedPhrase {
    /// Reads the JSON of a file. Nothing in it is checked against a password yet.
    ///
    /// # Errors
    /// A text that is too long or not the JSON of a sealed phrase, or a number of rounds out of bounds.
    pub fn from_json(json: &[u8]) -> Result<Self, SealedPhraseError> {
        use SealedPhraseError::Corrupt;
        if json.len() > MAX_FILE {
            return Err(Corrupt("it is too long"));
        }
        let json: Json = serde_json::from_slice(json).map_err(|_| Corrupt("it is not the JSON of a sealed phrase"))?;
        let rounds = json.iterations.unwrap_or(LEGACY_ITERATIONS.into());
        let iterations = u32::try_from(rounds)
            .ok()
            .filter(|rounds| (1..=MAX_ITERATIONS).contains(rounds))
            .ok_or(SealedPhraseError::Iterations(rounds))?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        let salt = decode(&json.salt).and_then(|salt| salt.try_into().ok());
        let iv = decode(&json.iv).and_then(|iv| iv.try_into().ok());
        Ok(Self {
            salt: salt.ok_or(Corrupt("its salt is not 16 bytes in base64"))?,
            iv: iv.ok_or(Corrupt("its iv is not 12 bytes in base64"))?,
            data: decode(&json.data).ok_or(Corrupt("its data is not base64"))?,
            iterations,
        })
    }

    /// The JSON of the file.
    #[must_use]
    #[expect(clippy::expect_used, reason = "four fields of text and number have a JSON")]
    pub fn to_json(&self) -> Vec<u8> {
        let json = Json {
            salt: STANDARD.encode(self.salt).into(),
            iv: STANDARD.encode(self.iv).into(),
            data: STANDARD.encode(&self.data).into(),
            iterations: Some(self.iterations.into()),
        };
        serde_json::to_vec(&json).expect("plain fields")
    }
}

/// Seals a phrase under a password, with a fresh salt and iv.
///
/// Takes a few tenths of a second, on purpose.
///
/// # Errors
/// An empty password, or no random bytes.
pub fn seal(phrase: &MasterPhrase, password: &str) -> Result<SealedPhrase, SealedPhraseError> {
    let (mut salt, mut iv) = ([0; 16], [0; 12]);
    random::fill(&mut salt)?;
    random::fill(&mut iv)?;
    seal_with(phrase, password, salt, iv, ITERATIONS)
}

fn seal_with(
    phrase: &MasterPhrase,
    password: &str,
    salt: [u8; 16],
    iv: [u8; 12],
    iterations: u32,
) -> Result<SealedPhrase, SealedPhraseError> {
    let cipher = cipher(password, &salt, iterations)?;
    let words = phrase.words();
    // With room for the tag: a buffer that grows leaves a copy of the words behind.
    let mut data = Zeroizing::new(Vec::with_capacity(words.len() + 16));
    data.extend_from_slice(words.as_bytes());
    cipher
        .encrypt_in_place(&Nonce::from(iv), b"", &mut *data)
        .map_err(|_| SealedPhraseError::Corrupt("it is too long"))?;
    Ok(SealedPhrase { salt, iv, data: std::mem::take(&mut *data), iterations })
}

/// Opens a sealed phrase.
///
/// # Errors
/// An empty or wrong password, or a plaintext that is no phrase.
pub fn open(sealed: &SealedPhrase, password: &str) -> Result<MasterPhrase, SealedPhraseError> {
    let cipher = cipher(password, &sealed.salt, sealed.iterations)?;
    let mut text = Zeroizing::new(sealed.data.clone());
    cipher.decrypt_in_place(&Nonce::from(sealed.iv), b"", &mut *text).map_err(|_| SealedPhraseError::WrongPassword)?;
    let no_phrase = SealedPhraseError::Corrupt("what it holds is not a recovery phrase");
    match std::str::from_utf8(&text).map(MasterPhrase::parse) {
        Ok(Ok(phrase)) => Ok(phrase),
        _ => Err(no_phrase),
    }
}

fn cipher(password: &str, salt: &[u8; 16], iterations: u32) -> Result<Aes256Gcm, SealedPhraseError> {
    if password.is_empty() {
        return Err(SealedPhraseError::EmptyPassword);
    }
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut *key);
    Ok(Aes256Gcm::new((&*key).into()))
}

#[cfg(test)]
mod tests;
