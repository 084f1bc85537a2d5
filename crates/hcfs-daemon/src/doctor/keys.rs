//! The account, and what opens it.

use hcfs_api::Paths;
use hcfs_crypto::phrase::MasterPhrase;
use hcfs_model::AccountAddress;

use super::Found;
use crate::config::{Config, Environment};
use crate::identity;
use crate::keyring;
use crate::secret::{SecretPlace, Unlock};

/// Looks at the account, the unlock secret and the keyring. `open` tells whether a running daemon has the keys open.
/// Gives the account, where that came to light.
pub(super) fn keys(
    found: &mut Found,
    paths: &Paths,
    env: &Environment,
    config: &Config,
    open: Option<bool>,
) -> Option<AccountAddress> {
    let is_there = identity::exists(paths);
    if is_there {
        found.ok("account", format!("sealed in \"{}\"", paths.sealed_phrase().display()));
    } else {
        found.fail("account", "there is no account on this machine yet", "run `hcfs init`, or `hcfs up DIR`");
    }
    let account = if is_there { unlock(found, paths, env, config, open) } else { None };
    keyring(found, config);
    account.or_else(|| config.server.account.clone())
}

fn unlock(
    found: &mut Found,
    paths: &Paths,
    env: &Environment,
    config: &Config,
    open: Option<bool>,
) -> Option<AccountAddress> {
    const NAME: &str = "unlock";
    let with = &config.unlock;
    let elsewhere = matches!(with, Unlock::Credential(_)) && env("CREDENTIALS_DIRECTORY").is_none();
    match (with, open) {
        (Unlock::Prompt, Some(false)) => {
            found.fail(NAME, "the daemon is locked: it waits for the password", "run `hcfs unlock`");
        }
        (Unlock::Prompt, Some(true)) => found.ok(NAME, "the password was typed"),
        (Unlock::Prompt, None) => found.ok(NAME, "a password, asked for at the start"),
        _ if elsewhere && open == Some(true) => found.ok(NAME, format!("{with} opened it")),
        _ if elsewhere => {
            let hint = "see the daemon's log, or run `hcfs unlock`";
            match open {
                Some(false) => found.fail(NAME, format!("the daemon is locked: {with} did not open it"), hint),
                _ => found.ok(NAME, format!("{with}, which only the service manager hands over")),
            }
        }
        _ => match identity::open(paths, with, env, None) {
            Ok(phrase) => {
                let account = MasterPhrase::account(&phrase);
                if open == Some(false) {
                    let message = format!("the daemon is locked, though {with} opens the recovery phrase");
                    found.fail(NAME, message, "restart the daemon");
                } else {
                    found.ok(NAME, format!("{with} opens the recovery phrase"));
                }
                return Some(account);
            }
            Err(error) => {
                let hint = error.hint();
                found.fail(NAME, crate::DaemonError::from(error).to_api().message, hint);
            }
        },
    }
    None
}

/// The keyring, where the configuration names it.
fn keyring(found: &mut Found, config: &Config) {
    const NAME: &str = "keyring";
    let mut entries: Vec<&str> = Vec::new();
    if config.unlock == Unlock::Keyring {
        entries.push(crate::secret::UNLOCK_ENTRY);
    }
    for place in config.secret_places() {
        if let SecretPlace::Keyring(name) = place {
            entries.push(name);
        }
    }
    if entries.is_empty() {
        return found.ok(NAME, "not used");
    }
    entries.sort_unstable();
    entries.dedup();
    for entry in entries {
        match keyring::get(entry) {
            Ok(Some(_)) => found.ok(NAME, format!("it has \"{entry}\"")),
            Ok(None) => {
                let problem = keyring::KeyringProblem::Missing;
                found.fail(NAME, format!("\"{entry}\": {problem}"), problem.hint(entry));
            }
            Err(problem) => found.fail(NAME, format!("\"{entry}\": {problem}"), problem.hint(entry)),
        }
    }
}
