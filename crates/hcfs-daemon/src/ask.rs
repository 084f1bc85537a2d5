//! Questions to the person at the terminal.

use std::io::{IsTerminal as _, Write as _};

use hcfs_api::ErrorCode;
use zeroize::Zeroizing;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The terminal cannot be read or written.
    #[error("cannot talk to the terminal")]
    Terminal(#[source] std::io::Error),
    /// The two passwords differ, three times.
    #[error("the two passwords were not the same")]
    Differ,
    /// The person ended the program instead.
    #[error("interrupted")]
    Interrupted,
}

impl AskError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Terminal(_) => "run it in a terminal, or choose [unlock] with = \"keyfile:/PATH\"",
            Self::Differ => "start again and type the same password twice",
            Self::Interrupted => "",
        }
    }

    /// The kind, for the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Terminal(_) => ErrorCode::Io,
            Self::Differ => ErrorCode::WrongPassword,
            Self::Interrupted => ErrorCode::Interrupted,
        }
    }
}

/// Somebody to ask, or nobody.
pub trait Ask: Send {
    /// Whether there is somebody.
    fn is_terminal(&self) -> bool;

    /// A password, typed unseen.
    ///
    /// # Errors
    /// The terminal fails.
    fn password(&mut self, prompt: &str) -> Result<Zeroizing<String>, AskError>;

    /// Shows a text.
    ///
    /// # Errors
    /// The terminal fails.
    fn show(&mut self, text: &str) -> Result<(), AskError>;

    /// A new password, typed twice.
    ///
    /// # Errors
    /// The terminal fails, or the two differ three times.
    fn new_password(&mut self, prompt: &str) -> Result<Zeroizing<String>, AskError> {
        for _ in 0..3 {
            let first = self.password(prompt)?;
            if first.is_empty() {
                self.show("It must have at least one character.\n")?;
                continue;
            }
            if *self.password("The same again: ")? == *first {
                return Ok(first);
            }
            self.show("The two were not the same.\n")?;
        }
        Err(AskError::Differ)
    }
}

/// The terminal the program was started from: reads from it, writes to stderr.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

impl Ask for Terminal {
    fn is_terminal(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    fn password(&mut self, prompt: &str) -> Result<Zeroizing<String>, AskError> {
        match rpassword::prompt_password(prompt) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(AskError::Interrupted),
            Err(error) => Err(AskError::Terminal(error)),
        }
    }

    fn show(&mut self, text: &str) -> Result<(), AskError> {
        std::io::stderr().write_all(text.as_bytes()).map_err(AskError::Terminal)
    }
}
