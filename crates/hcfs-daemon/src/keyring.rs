//! The desktop's keyring, through the Secret Service.
//!
//! Entries are those of the service `hcfs`. A keyring that is locked may wait for a person for ever, and on a machine
//! without a desktop nobody answers: every call ends after three seconds.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use keyring_core::{CredentialStore, Error};
use zeroize::Zeroizing;

/// The service under which all entries are kept.
const SERVICE: &str = "hcfs";
/// How long the keyring may take.
const WITHIN: Duration = Duration::from_secs(3);

/// Why the keyring does not give or take a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringProblem {
    /// This program was built without it.
    NotBuilt,
    /// It has no such entry.
    Missing,
    /// It did not answer in time.
    Silent,
    /// It refused, or there is none.
    Refused(String),
}

impl KeyringProblem {
    /// What to do about the entry `name`.
    pub(crate) fn hint(&self, name: &str) -> String {
        match self {
            Self::NotBuilt => "use file:/PATH, keyfile:/PATH or credential:NAME instead".to_owned(),
            Self::Missing => {
                format!("store it with `secret-tool store --label=\"hcfs {name}\" service {SERVICE} username {name}`")
            }
            Self::Silent => "unlock the keyring, and try again".to_owned(),
            Self::Refused(_) => "run the daemon in a desktop session, or use another place for the secret".to_owned(),
        }
    }
}

impl fmt::Display for KeyringProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => f.write_str("this program was built without it"),
            Self::Missing => f.write_str("there is no such entry"),
            Self::Silent => write!(f, "it did not answer within {} s", WITHIN.as_secs()),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// The secret of an entry; `None` where there is none.
///
/// # Errors
/// Why the keyring cannot be asked.
pub(crate) fn get(name: &str) -> Result<Option<Zeroizing<String>>, KeyringProblem> {
    let name = name.to_owned();
    within(WITHIN, move || get_from(&*desktop()?, &name))
}

/// Keeps a secret under an entry.
///
/// # Errors
/// Why the keyring does not take it.
pub(crate) fn put(name: &str, secret: &Zeroizing<String>) -> Result<(), KeyringProblem> {
    let (name, secret) = (name.to_owned(), secret.clone());
    within(WITHIN, move || put_into(&*desktop()?, &name, &secret))
}

/// Runs a call that may never come back on a thread that is then left behind.
fn within<T: Send + 'static>(
    time: Duration,
    call: impl FnOnce() -> Result<T, KeyringProblem> + Send + 'static,
) -> Result<T, KeyringProblem> {
    let (told, answer) = mpsc::channel();
    let spawned = std::thread::Builder::new().name("keyring".into()).spawn(move || {
        // Nobody waits any more: then the answer is nobody's.
        let _ = told.send(call());
    });
    spawned.map_err(|error| KeyringProblem::Refused(error.to_string()))?;
    answer.recv_timeout(time).map_err(|_| KeyringProblem::Silent)?
}

fn get_from(store: &CredentialStore, name: &str) -> Result<Option<Zeroizing<String>>, KeyringProblem> {
    match store.build(SERVICE, name, None).and_then(|entry| entry.get_password()) {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

fn put_into(store: &CredentialStore, name: &str, secret: &str) -> Result<(), KeyringProblem> {
    store.build(SERVICE, name, None).and_then(|entry| entry.set_password(secret)).map_err(|error| refused(&error))
}

/// What an error says. None of them holds the secret, but for one that is not text.
fn refused(error: &Error) -> KeyringProblem {
    match error {
        Error::BadEncoding(_) => KeyringProblem::Refused("the entry is not text".to_owned()),
        other => KeyringProblem::Refused(other.to_string()),
    }
}

#[cfg(feature = "keyring")]
fn desktop() -> Result<Arc<CredentialStore>, KeyringProblem> {
    let store: Arc<CredentialStore> =
        zbus_secret_service_keyring_store::Store::new().map_err(|error| refused(&error))?;
    Ok(store)
}

#[cfg(not(feature = "keyring"))]
fn desktop() -> Result<Arc<CredentialStore>, KeyringProblem> {
    Err(KeyringProblem::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_kept_and_read() {
        let store = keyring_core::mock::Store::new().unwrap();
        assert_eq!(get_from(&*store, "passports"), Ok(None));
        put_into(&*store, "passports", "s3cret").unwrap();
        assert_eq!(get_from(&*store, "passports").unwrap().as_deref().map(String::as_str), Some("s3cret"));
        assert_eq!(get_from(&*store, "reports"), Ok(None));
        assert!(KeyringProblem::Missing.hint("passports").contains("service hcfs username passports"));
    }

    #[test]
    fn a_keyring_that_never_answers_is_left() {
        let (_never, wait) = mpsc::channel::<()>();
        let asked = within(Duration::from_millis(20), move || {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(asked, Err(KeyringProblem::Silent));
        assert!(KeyringProblem::Silent.to_string().contains("3 s"));
    }

    #[test]
    fn what_is_not_text_is_not_shown() {
        let problem = refused(&Error::BadEncoding(b"s3cret\xff".to_vec()));
        assert!(!problem.to_string().contains("s3cret"));
    }
}
