//! The account on this machine: the recovery phrase, made or imported, sealed at rest, opened, shown.
//!
//! The words appear in two places only: on the terminal of the person who makes or exports them, or, where there is no
//! terminal, in one file closed to everyone else.

use std::path::{Path, PathBuf};

use hcfs_api::{ErrorCode, Paths};
use hcfs_crypto::phrase::{MasterPhrase, PhraseError};
use hcfs_crypto::sealed_phrase::{self, SealedPhraseError};
use hcfs_model::AccountAddress;
use zeroize::Zeroizing;

use crate::ask::{Ask, AskError};
use crate::config::Environment;
use crate::place::{PlaceError, private_dir};
use crate::secret::{SecretError, Unlock, make_keyfile, make_keyring_entry, write_private};

/// Why there is no account to work with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody has set up this machine yet.
    #[error("there is no account on this machine yet: \"{}\" does not exist", .0.display())]
    None(PathBuf),
    /// There is one, and it would be replaced.
    #[error("there is an account on this machine already: {account}")]
    Exists {
        /// Which.
        account: AccountAddress,
    },
    /// The words that were given are no phrase.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The sealed file cannot be made, read or opened.
    #[error(transparent)]
    Sealed(#[from] SealedPhraseError),
    /// The password cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The password must be typed, and there is nobody to ask.
    #[error("the password of the recovery phrase is needed, and there is no terminal to ask for it")]
    NobodyToAsk,
    /// The question failed.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A directory of the daemon's own.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A file with the words cannot be read or written.
    #[error("cannot {action} the recovery phrase in \"{}\"", path.display())]
    Words {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("no new recovery phrase can be made")]
    Random(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl IdentityError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::None(_) => "run `hcfs init`, or `hcfs up DIR`".into(),
            Self::Exists { .. } => {
                "for a second account choose places of its own with HCFS_CONFIG, HCFS_STATE_DIR and HCFS_SOCKET".into()
            }
            Self::Phrase(error) => error.hint().into(),
            Self::Sealed(error) => error.hint().into(),
            Self::Secret(error) => error.hint(),
            Self::NobodyToAsk => {
                "run it in a terminal, send the password with `hcfs unlock`, or set [unlock] with = \"keyfile:/PATH\""
                    .into()
            }
            Self::Ask(error) => error.hint().into(),
            Self::Place(error) => error.hint(),
            Self::Words { path, .. } => format!("check \"{}\" and its directory", path.display()),
            Self::Random(_) => "check that /dev/urandom exists".into(),
        }
    }

    /// The kind, for the socket and the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::None(_) => ErrorCode::NoIdentity,
            Self::Exists { .. } => ErrorCode::Exists,
            Self::Phrase(_) => ErrorCode::BadRequest,
            Self::Sealed(error) => match error {
                SealedPhraseError::WrongPassword | SealedPhraseError::EmptyPassword => ErrorCode::WrongPassword,
                SealedPhraseError::Corrupt(_) | SealedPhraseError::Iterations(_) => ErrorCode::Config,
                SealedPhraseError::Random(_) => ErrorCode::Io,
                SealedPhraseError::Io { source, .. } => match source.kind() {
                    std::io::ErrorKind::PermissionDenied => ErrorCode::Permission,
                    std::io::ErrorKind::NotFound => ErrorCode::NoIdentity,
                    _ => ErrorCode::Io,
                },
            },
            Self::Secret(error) => error.code(),
            Self::NobodyToAsk => ErrorCode::Locked,
            Self::Ask(error) => error.code(),
            Self::Place(error) => error.code(),
            Self::Words { .. } | Self::Random(_) => ErrorCode::Io,
        }
    }
}

/// Where the words come from.
pub enum PhraseSource {
    /// New ones.
    New,
    /// Words a person has.
    Import(Zeroizing<String>),
}

impl PhraseSource {
    /// Reads the words from a file of at most a few kilobytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, IdentityError> {
        read_words(path).map(Self::Import)
    }
}

fn read_words(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    std::fs::File::open(path)
        .and_then(|file| file.take(4096).read_to_string(&mut text))
        .map_err(|source| IdentityError::Words { action: "read", path: path.to_owned(), source })?;
    Ok(text)
}

/// What a person must know of a new account's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// They stood on the terminal.
    OnTerminal,
    /// They lie in this file.
    InFile(PathBuf),
    /// They were not new: the person has them.
    KnownAlready,
}

/// An account that was just made or found.
pub struct Identity {
    /// Its phrase.
    pub phrase: MasterPhrase,
    /// Where the words went.
    pub shown: Shown,
}

/// Whether this machine has an account.
#[must_use]
pub fn exists(paths: &Paths) -> bool {
    // Where it cannot be told there may be one: it must not be taken for a machine without.
    paths.sealed_phrase().try_exists().unwrap_or(true)
}

/// Makes or imports an account, seals it, and shows new words once. A machine that has one keeps it: it is opened, and
/// must be the one that is imported.
///
/// # Errors
/// Another account is here, or what keeps this one from being made.
pub fn set_up(
    paths: &Paths,
    source: &PhraseSource,
    unlock: &Unlock,
    env: &Environment,
    ask: &mut dyn Ask,
) -> Result<Identity, IdentityError> {
    private_dir(&paths.state)?;
    if exists(paths) {
        let phrase = open(paths, unlock, env, Some(ask))?;
        return match source {
            PhraseSource::Import(text) if *MasterPhrase::parse(text)?.words() != *phrase.words() => {
                Err(IdentityError::Exists { account: phrase.account() })
            }
            _ => Ok(Identity { phrase, shown: Shown::KnownAlready }),
        };
    }
    let left = paths.recovery_phrase();
    let (phrase, is_written) = match source {
        PhraseSource::Import(text) => (MasterPhrase::parse(text)?, false),
        // An earlier first run was interrupted, or its sealed file was lost: these words are the account.
        PhraseSource::New if left.try_exists().unwrap_or(true) => (MasterPhrase::parse(&read_words(&left)?)?, true),
        PhraseSource::New => {
            let made = MasterPhrase::generate();
            (made.map_err(|error| IdentityError::Random(Box::new(error)))?, false)
        }
    };
    let password = new_password(unlock, env, ask)?;
    // Words first: an account whose words nobody saw must not hold a file.
    let shown = match source {
        PhraseSource::New if is_written => Shown::InFile(left),
        PhraseSource::New => show(paths, &phrase, ask)?,
        PhraseSource::Import(_) => Shown::KnownAlready,
    };
    sealed_phrase::write(&paths.sealed_phrase(), &sealed_phrase::seal(&phrase, &password)?)?;
    Ok(Identity { phrase, shown })
}

/// Opens the account: by what the configuration names, or by asking.
///
/// # Errors
/// There is none, or it does not open.
pub fn open(
    paths: &Paths,
    unlock: &Unlock,
    env: &Environment,
    ask: Option<&mut dyn Ask>,
) -> Result<MasterPhrase, IdentityError> {
    if !exists(paths) {
        return Err(IdentityError::None(paths.sealed_phrase()));
    }
    let password = match (unlock.password(env)?, ask) {
        (Some(password), _) => password,
        (None, Some(ask)) if ask.is_terminal() => ask.password("Password of the recovery phrase: ")?,
        (None, _) => return Err(IdentityError::NobodyToAsk),
    };
    open_with(paths, &password)
}

/// Opens the account with a password.
///
/// # Errors
/// There is none, or the password is wrong.
pub fn open_with(paths: &Paths, password: &str) -> Result<MasterPhrase, IdentityError> {
    if !exists(paths) {
        return Err(IdentityError::None(paths.sealed_phrase()));
    }
    let sealed = sealed_phrase::read(&paths.sealed_phrase())?;
    Ok(sealed_phrase::open(&sealed, password)?)
}

/// Seals the phrase under what `unlock` names now. The previous file stays beside it as `.bak`.
///
/// # Errors
/// What keeps the new file from being written; the old one then stays.
pub fn reseal(
    paths: &Paths,
    phrase: &MasterPhrase,
    unlock: &Unlock,
    env: &Environment,
    ask: &mut dyn Ask,
) -> Result<(), IdentityError> {
    let password = new_password(unlock, env, ask)?;
    Ok(sealed_phrase::write(&paths.sealed_phrase(), &sealed_phrase::seal(phrase, &password)?)?)
}

/// Shows the words with what they mean: on the terminal, or in a file where there is none.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn show(paths: &Paths, phrase: &MasterPhrase, ask: &mut dyn Ask) -> Result<Shown, IdentityError> {
    let words = phrase.words();
    if ask.is_terminal() {
        ask.show(&explained(&words))?;
        return Ok(Shown::OnTerminal);
    }
    let path = paths.recovery_phrase();
    write_private(&path, words.as_bytes()).map_err(|source| IdentityError::Words {
        action: "write",
        path: path.clone(),
        source,
    })?;
    ask.show(&Zeroizing::new(format!(
        "The recovery phrase of the new account was written to {}.\n\
         It alone opens your files: copy it to a safe place and delete the file.\n",
        path.display()
    )))?;
    Ok(Shown::InFile(path))
}

/// The words, four a line and numbered, between two sentences.
fn explained(words: &str) -> Zeroizing<String> {
    use std::fmt::Write as _;
    let mut text = Zeroizing::new(String::with_capacity(2048));
    text.push_str(
        "This is the recovery phrase of your new account. It is shown this once.\n\
         Write it down and keep it safe: whoever has it can read your files, and without it\n\
         (and without this machine) nobody can, not even who runs the server.\n\n",
    );
    for (index, word) in words.split(' ').enumerate() {
        // Writing into a String cannot fail.
        let _ = write!(text, "  {:>2}. {word:<9}", index + 1);
        if index % 4 == 3 {
            text.push('\n');
        }
    }
    text.push('\n');
    text
}

/// A password for a new sealed file: a key file is made if it is missing, a person types it twice.
fn new_password(unlock: &Unlock, env: &Environment, ask: &mut dyn Ask) -> Result<Zeroizing<String>, IdentityError> {
    if let Unlock::Keyfile(path) = unlock {
        return Ok(make_keyfile(path)?);
    }
    if *unlock == Unlock::Keyring {
        return Ok(make_keyring_entry()?);
    }
    match unlock.password(env)? {
        Some(password) => Ok(password),
        None if ask.is_terminal() => Ok(ask.new_password("A password for the recovery phrase on this machine: ")?),
        None => Err(IdentityError::NobodyToAsk),
    }
}
