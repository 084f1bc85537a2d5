//! Where secrets come from: key files, credentials, variables; never the command line.
//!
//! A key file must be the user's own and closed to everyone else. A token may lie in a file others can read, or in the
//! environment, but then a warning says so.

use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hcfs_api::ErrorCode;
use zeroize::Zeroizing;

use crate::config::Environment;
use crate::keyring::{self, KeyringProblem};

/// The longest secret, in bytes.
const SECRET_MAX: u64 = 16 * 1024;
/// The keyring's entry that opens the recovery phrase.
pub(crate) const UNLOCK_ENTRY: &str = "unlock";

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// A file.
    File(PathBuf),
    /// A variable of the daemon's environment.
    Env(String),
    /// A credential the service manager hands over.
    Credential(String),
    /// The desktop's keyring.
    Keyring(String),
}

/// What opens the recovery phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlock {
    /// A password somebody types: at the terminal, or through `hcfs unlock`.
    Prompt,
    /// The desktop's keyring.
    Keyring,
    /// A file that holds the password; made by this program, it holds 256 random bits.
    Keyfile(PathBuf),
    /// A credential the service manager hands over.
    Credential(String),
}

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the {what} \"{}\"", path.display())]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file, or it is another user's.
    #[error("the {what} \"{}\" is open to other users", path.display())]
    Open {
        /// What it holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot write the {what} \"{}\"", path.display())]
    Unwritable {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The variable or the credential is not there.
    #[error("the {what} is missing: {place} is not set")]
    Missing {
        /// What it should hold.
        what: &'static str,
        /// The variable or credential.
        place: String,
    },
    /// The secret is empty, too long, or has a character no secret has.
    #[error("the {what} in {place} is {problem}")]
    Unusable {
        /// What it should hold.
        what: &'static str,
        /// Where it was read.
        place: String,
        /// Why not.
        problem: &'static str,
    },
    /// The keyring does not give it.
    #[error("the {what} \"{name}\" cannot be had from the keyring: {problem}")]
    Keyring {
        /// What it should hold.
        what: &'static str,
        /// Its name there.
        name: String,
        /// Why not.
        problem: KeyringProblem,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

impl SecretError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => format!("check that \"{}\" exists and belongs to you", path.display()),
            Self::Open { path, .. } => {
                format!("run `chmod 600 \"{}\"`, as the user the daemon runs as", path.display())
            }
            Self::Unwritable { path, .. } => {
                format!("check that the directory of \"{}\" may be written and has space", path.display())
            }
            Self::Missing { place, .. } => {
                format!("set {place} for the daemon, or name another place in the configuration")
            }
            Self::Unusable { .. } => "put the secret alone on the first line".into(),
            Self::Keyring { name, problem, .. } => problem.hint(name),
            Self::Random(_) => "check that /dev/urandom exists".into(),
        }
    }

    /// The kind, for the socket and the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Open { .. } => ErrorCode::Permission,
            Self::Unreadable { source, .. } | Self::Unwritable { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                ErrorCode::Permission
            }
            Self::Keyring { problem: KeyringProblem::NotBuilt, .. } => ErrorCode::Config,
            Self::Unwritable { .. } | Self::Random(_) => ErrorCode::Io,
            Self::Unreadable { .. } | Self::Missing { .. } | Self::Unusable { .. } | Self::Keyring { .. } => {
                ErrorCode::Locked
            }
        }
    }
}

impl SecretPlace {
    /// Reads `file:/PATH`, `env:NAME`, `credential:NAME` or `keyring:NAME`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if Path::new(path).is_absolute() => Ok(Self::File(path.into())),
            Some(("file", _)) => Err("names a file that is not an absolute path".into()),
            Some(("env", name)) if is_name(name) => Ok(Self::Env(name.into())),
            Some(("credential", name)) if is_name(name) => Ok(Self::Credential(name.into())),
            Some(("keyring", name)) if is_name(name) => Ok(Self::Keyring(name.into())),
            Some(("env" | "credential" | "keyring", _)) => Err("has no usable name behind the colon".into()),
            // The text is not repeated: it may be the token itself.
            _ => Err("does not say where the token is".into()),
        }
    }

    /// Reads the token.
    ///
    /// # Errors
    /// It is not there, or cannot be one.
    pub fn token(&self, env: &Environment) -> Result<Zeroizing<String>, SecretError> {
        const WHAT: &str = "token";
        let token = match self {
            Self::File(path) => {
                let (secret, open) = read_file(WHAT, path)?;
                if open {
                    tracing::warn!("the token's file is open to other users; run chmod 600 on it");
                }
                secret
            }
            Self::Env(name) => {
                tracing::warn!("the token comes from the environment, which other programs of this user can read");
                from_env(WHAT, name, env)?
            }
            Self::Credential(name) => credential(WHAT, name, env)?,
            Self::Keyring(name) => from_keyring(WHAT, name)?,
        };
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(token)
        } else {
            let problem = "not a token: it has a blank or a character outside ASCII";
            Err(SecretError::Unusable { what: WHAT, place: self.to_string(), problem })
        }
    }
}

impl SecretPlace {
    /// Reads the credential of a service. Its file must be closed to other users, and what it may hold is the service's
    /// matter.
    ///
    /// # Errors
    /// It is not there, or open to other users.
    pub fn credential(&self, env: &Environment) -> Result<Zeroizing<String>, SecretError> {
        const WHAT: &str = "credential";
        match self {
            Self::File(path) => match read_file(WHAT, path)? {
                (_, true) => Err(SecretError::Open { what: WHAT, path: path.clone() }),
                (secret, false) => Ok(secret),
            },
            Self::Env(name) => from_env(WHAT, name, env),
            Self::Credential(name) => credential(WHAT, name, env),
            Self::Keyring(name) => from_keyring(WHAT, name),
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Keyring(name) => write!(f, "keyring:{name}"),
        }
    }
}

impl Unlock {
    /// Reads `prompt`, `keyring`, `keyfile:/PATH` or `credential:NAME`.
    ///
    /// # Errors
    /// What is wrong with it, to stand behind the setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "prompt" => Ok(Self::Prompt),
            None if text == "keyring" => Ok(Self::Keyring),
            Some(("keyfile", path)) if Path::new(path).is_absolute() => Ok(Self::Keyfile(path.into())),
            Some(("keyfile", _)) => Err("names a key file that is not an absolute path".into()),
            Some(("credential", name)) if is_name(name) => Ok(Self::Credential(name.into())),
            Some(("credential", _)) => Err("names no credential".into()),
            _ => Err("does not say what opens the recovery phrase".into()),
        }
    }

    /// Reads the password, where it does not take a person; `None` for [`Unlock::Prompt`].
    ///
    /// # Errors
    /// It is not there, or open to other users.
    pub fn password(&self, env: &Environment) -> Result<Option<Zeroizing<String>>, SecretError> {
        const WHAT: &str = "unlock secret";
        match self {
            Self::Prompt => Ok(None),
            Self::Keyring => from_keyring(WHAT, UNLOCK_ENTRY).map(Some),
            Self::Keyfile(path) => match read_file(WHAT, path)? {
                (_, true) => Err(SecretError::Open { what: WHAT, path: path.clone() }),
                (secret, false) => Ok(Some(secret)),
            },
            Self::Credential(name) => credential(WHAT, name, env).map(Some),
        }
    }
}

impl fmt::Display for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("prompt"),
            Self::Keyring => f.write_str("keyring"),
            Self::Keyfile(path) => write!(f, "keyfile:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// Makes a key file with 256 random bits, closed to everyone else from the first instant; an existing one is read.
///
/// # Errors
/// The file exists but is no usable key file, or cannot be made.
pub fn make_keyfile(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    const WHAT: &str = "unlock secret";
    if path.exists() {
        return match read_file(WHAT, path)? {
            (_, true) => Err(SecretError::Open { what: WHAT, path: path.to_owned() }),
            (secret, false) => Ok(secret),
        };
    }
    let secret = random_secret()?;
    write_private(path, secret.as_bytes()).map_err(|source| SecretError::Unwritable {
        what: WHAT,
        path: path.to_owned(),
        source,
    })?;
    Ok(secret)
}

/// Writes a new file of one line that only its owner may read. Never over an existing one.
pub(crate) fn write_private(path: &Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(line).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // The first error is the one to tell.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The secret of a file without its line end, and whether other users may read it or put another in its place.
fn read_file(what: &'static str, path: &Path) -> Result<(Zeroizing<String>, bool), SecretError> {
    let unreadable = |source| SecretError::Unreadable { what, path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    let own = rustix::process::geteuid().as_raw();
    let open = meta.permissions().mode() & 0o077 != 0 || (meta.uid() != own && meta.uid() != 0);
    // With its full room from the start: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(meta.len().min(SECRET_MAX)).unwrap_or(0) + 1));
    file.take(SECRET_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    Ok((usable(what, &format!("\"{}\"", path.display()), &text)?, open))
}

fn credential(what: &'static str, name: &str, env: &Environment) -> Result<Zeroizing<String>, SecretError> {
    let directory = env("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty()).ok_or_else(|| {
        SecretError::Missing { what, place: format!("the service manager's credential {name} (CREDENTIALS_DIRECTORY)") }
    })?;
    // The service manager keeps them from others; its modes are its own.
    read_file(what, &Path::new(&directory).join(name)).map(|(secret, _)| secret)
}

fn from_keyring(what: &'static str, name: &str) -> Result<Zeroizing<String>, SecretError> {
    let failed = |problem| SecretError::Keyring { what, name: name.to_owned(), problem };
    let text = keyring::get(name).map_err(failed)?.ok_or_else(|| failed(KeyringProblem::Missing))?;
    usable(what, &format!("the keyring's entry {name}"), &text)
}

/// Puts a secret of 256 random bits into the keyring, to open the recovery phrase with; one that is there is read.
///
/// # Errors
/// The keyring does not take or give it.
pub fn make_keyring_entry() -> Result<Zeroizing<String>, SecretError> {
    const WHAT: &str = "unlock secret";
    let failed = |problem| SecretError::Keyring { what: WHAT, name: UNLOCK_ENTRY.to_owned(), problem };
    if let Some(secret) = keyring::get(UNLOCK_ENTRY).map_err(failed)? {
        return usable(WHAT, "the keyring", &secret);
    }
    let secret = random_secret()?;
    keyring::put(UNLOCK_ENTRY, &secret).map_err(failed)?;
    Ok(secret)
}

fn random_secret() -> Result<Zeroizing<String>, SecretError> {
    let mut bits = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bits).map_err(SecretError::Random)?;
    Ok(Zeroizing::new(hex::encode(*bits)))
}

fn from_env(what: &'static str, name: &str, env: &Environment) -> Result<Zeroizing<String>, SecretError> {
    let missing = || SecretError::Missing { what, place: format!("the variable {name}") };
    let text = Zeroizing::new(env(name).ok_or_else(missing)?.into_string().map_err(|_| missing())?);
    usable(what, &format!("the variable {name}"), &text)
}

/// The secret without the line end an editor leaves.
fn usable(what: &'static str, place: &str, text: &str) -> Result<Zeroizing<String>, SecretError> {
    let secret = text.strip_suffix('\n').unwrap_or(text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    let problem = if secret.is_empty() {
        "empty"
    } else if secret.len() as u64 > SECRET_MAX {
        "too long"
    } else if secret.contains(['\n', '\r', '\0']) {
        "more than one line"
    } else {
        return Ok(Zeroizing::new(secret.to_owned()));
    };
    Err(SecretError::Unusable { what, place: place.to_owned(), problem })
}

/// A name that stays in its directory and can be a variable or a credential.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn none() -> Environment {
        Arc::new(|_| None)
    }

    fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn tokens_come_from_every_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "token", "abc\n", 0o644);
        let place = SecretPlace::parse(&format!("file:{}", path.display())).unwrap();
        assert_eq!(*place.token(&none()).unwrap(), "abc", "a token's file may be open: it is warned about");
        let env: Environment = Arc::new(|name| (name == "TOKEN").then(|| "def".into()));
        assert_eq!(*SecretPlace::parse("env:TOKEN").unwrap().token(&env).unwrap(), "def");
        let directory = dir.path().to_owned();
        let env: Environment =
            Arc::new(move |name| (name == "CREDENTIALS_DIRECTORY").then(|| directory.clone().into()));
        assert_eq!(*SecretPlace::parse("credential:token").unwrap().token(&env).unwrap(), "abc");
    }

    #[test]
    fn a_missing_token_is_named_by_its_place() {
        let error = SecretPlace::Env("HCFS_TOKEN".into()).token(&none()).unwrap_err();
        assert!(error.to_string().contains("HCFS_TOKEN"));
        let error = SecretPlace::Credential("hcfs".into()).token(&none()).unwrap_err();
        assert!(error.to_string().contains("CREDENTIALS_DIRECTORY"));
        let error = SecretPlace::File("/nowhere/token".into()).token(&none()).unwrap_err();
        assert!(error.hint().contains("/nowhere/token"));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        let dir = tempfile::tempdir().unwrap();
        for (text, problem) in [("", "empty"), ("\n", "empty"), ("a\nb\n", "more than one line"), ("a b", "blank")] {
            let path = file(dir.path(), "token", text, 0o600);
            let error = SecretPlace::File(path).token(&none()).unwrap_err();
            assert!(error.to_string().contains(problem), "{text:?}: {error}");
        }
        let path = file(dir.path(), "token", &"x".repeat(20_000), 0o600);
        let error = SecretPlace::File(path).token(&none()).unwrap_err();
        assert!(error.to_string().contains("too long"));
    }

    #[test]
    fn names_of_credentials_stay_in_their_directory() {
        for text in ["credential:../x", "credential:a/b", "credential:", "credential:.x", "env:A=B", "file:x", "x", ""]
        {
            assert!(SecretPlace::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_closed_and_random() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unlock.key");
        let made = make_keyfile(&path).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(*make_keyfile(&path).unwrap(), *made);
        assert_eq!(*Unlock::Keyfile(path).password(&none()).unwrap().unwrap(), *made);
        assert_ne!(*make_keyfile(&dir.path().join("other.key")).unwrap(), *made);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620] {
            let path = file(dir.path(), "unlock.key", "secret\n", mode);
            let error = Unlock::Keyfile(path.clone()).password(&none()).unwrap_err();
            assert!(matches!(error, SecretError::Open { .. }), "{mode:o}");
            assert_eq!(error.code().exit().number(), 77);
            assert!(error.hint().contains("chmod 600"));
            assert!(make_keyfile(&path).is_err(), "nor is it used for a new account");
        }
    }

    #[test]
    fn settings_are_written_as_they_are_read() {
        for text in ["prompt", "keyring", "keyfile:/a b/k", "credential:hcfs"] {
            assert_eq!(Unlock::parse(text).unwrap().to_string(), text);
        }
        for text in ["file:/a b/t", "env:T", "credential:hcfs", "keyring:x"] {
            assert_eq!(SecretPlace::parse(text).unwrap().to_string(), text);
        }
    }
}
