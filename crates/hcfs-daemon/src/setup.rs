//! The first run: an account, a configuration, a folder.
//!
//! Every step can be repeated: what is there already is kept, and an interrupted first run goes on where it stopped.

use std::path::{Path, PathBuf};

use hcfs_api::{ErrorCode, FolderMode, Paths};
use hcfs_model::{AccountAddress, FolderLabel};

use crate::ask::Ask;
use crate::config::{self, Config, ConfigError, Environment, FolderEntry};
use crate::error::DaemonError;
use crate::identity::{self, Identity, PhraseSource, Shown};
use crate::secret::{SecretPlace, Unlock};

/// What a first run is asked for. What is absent keeps what is configured, or takes its default.
pub struct Setup {
    /// This device's name.
    pub device: Option<String>,
    /// The server's base address; without one the embedded server is used.
    pub server: Option<String>,
    /// The account on the server.
    pub account: Option<AccountAddress>,
    /// Where the token is.
    pub token: Option<SecretPlace>,
    /// What opens the recovery phrase; by default a key file in the state directory.
    pub unlock: Option<Unlock>,
    /// Where the recovery phrase comes from, if this machine has none yet.
    pub phrase: PhraseSource,
    /// A folder to keep in step.
    pub folder: Option<NewFolder>,
}

/// A folder of a first run.
pub struct NewFolder {
    /// Its directory; relative to where the program was started, or absolute.
    pub path: PathBuf,
    /// Its label; by default the directory's name.
    pub label: Option<FolderLabel>,
    /// Whether the directory is made if it is missing and was not configured before.
    pub create: bool,
}

/// What a first run left.
#[derive(Debug)]
pub struct Ready {
    /// The configuration in force.
    pub config: Config,
    /// The account.
    pub account: AccountAddress,
    /// Where the words of a new account went.
    pub shown: Shown,
    /// The label of the folder that was asked for.
    pub label: Option<FolderLabel>,
}

/// Does what is missing of a first run. Blocks: it asks, and derives a key.
///
/// # Errors
/// What is asked for contradicts what is there, or cannot be made.
pub fn set_up(paths: &Paths, env: &Environment, setup: &Setup, ask: &mut dyn Ask) -> Result<Ready, DaemonError> {
    let fresh = !paths.config.exists();
    let config = Config::load(paths, env)?;
    if !fresh {
        check_same(&config, setup, paths)?;
    }
    let folder = setup.folder.as_ref().map(|folder| prepare(&config, folder)).transpose()?;
    let default = Unlock::Keyfile(paths.unlock_key());
    let unlock = match &setup.unlock {
        Some(unlock) => unlock,
        None if fresh && env("HCFS_UNLOCK_WITH").is_none() => &default,
        None => &config.unlock,
    };
    let Identity { phrase, shown } = identity::set_up(paths, &setup.phrase, unlock, env, ask)?;
    if fresh {
        let device = setup.device.as_deref().unwrap_or(&config.device);
        let server = setup.server.as_deref();
        config::create(paths, device, server, setup.account.as_ref(), setup.token.as_ref(), unlock)?;
    }
    let label = match folder {
        None => None,
        Some(Prepared::Configured(label)) => Some(label),
        Some(Prepared::New(entry)) => {
            config::add_folder(paths, &entry)?;
            Some(entry.label)
        }
    };
    let config = Config::load(paths, env)?;
    let account = config.server.account.clone().unwrap_or_else(|| phrase.account());
    Ok(Ready { config, account, shown, label })
}

/// Seals the recovery phrase under another password, or under what another `unlock` names, and configures that. Blocks.
///
/// The sealed file goes first: whatever comes between leaves the previous one beside it, with `.bak` behind its name.
///
/// # Errors
/// The present secret does not open the phrase, the new one is the present one, or a file cannot be written.
pub fn change_unlock(paths: &Paths, env: &Environment, unlock: &Unlock, ask: &mut dyn Ask) -> Result<(), DaemonError> {
    let config = Config::load(paths, env)?;
    let phrase = identity::open(paths, &config.unlock, env, Some(ask))?;
    if *unlock == config.unlock && *unlock != Unlock::Prompt {
        return Err(ConfigError::Unfit {
            message: format!("`{unlock}` is what opens the recovery phrase already"),
            hint: "name another place, such as keyfile:/OTHER/PATH, or prompt".into(),
            code: ErrorCode::BadRequest,
        }
        .into());
    }
    identity::reseal(paths, &phrase, unlock, env, ask)?;
    if *unlock != config.unlock {
        config::set_unlock(paths, unlock)?;
    }
    Ok(())
}

/// A configuration that exists is not changed behind its owner's back.
fn check_same(config: &Config, setup: &Setup, paths: &Paths) -> Result<(), ConfigError> {
    let differs = |key: &'static str| ConfigError::Unfit {
        message: format!("`{key}` is set to something else in \"{}\"", paths.config.display()),
        hint: "change it there, or leave the option out".into(),
        code: ErrorCode::Config,
    };
    let other = |key, given: bool| if given { Err(differs(key)) } else { Ok(()) };
    let url = setup.server.as_deref().map(|url| url.trim_end_matches('/'));
    other("device", setup.device.as_ref().is_some_and(|device| *device != config.device))?;
    other("server.url", url.is_some_and(|url| config.server.url.as_deref() != Some(url)))?;
    other("server.account", setup.account.is_some() && setup.account != config.server.account)?;
    other("server.token", setup.token.is_some() && setup.token != config.server.token)?;
    other("unlock.with", setup.unlock.as_ref().is_some_and(|unlock| *unlock != config.unlock))
}

enum Prepared {
    Configured(FolderLabel),
    New(FolderEntry),
}

/// The folder as it would be configured. Makes its directory where that was asked for.
fn prepare(config: &Config, folder: &NewFolder) -> Result<Prepared, ConfigError> {
    let unusable = |source: std::io::Error| ConfigError::Unfit {
        message: format!("\"{}\" cannot be used: {source}", folder.path.display()),
        hint: "create the directory above it, or correct the path".into(),
        code: match source.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => ErrorCode::Permission,
            _ => ErrorCode::BadFolder,
        },
    };
    let absolute = std::path::absolute(&folder.path).map_err(unusable)?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let known = config.folders.iter().find(|(_, known)| real(&known.path) == real(&absolute));
    if let Some((label, _)) = known {
        return match &folder.label {
            Some(wanted) if wanted != label => Err(ConfigError::Unfit {
                message: format!("\"{}\" is folder \"{label}\" already", absolute.display()),
                hint: "leave the label out, or remove the folder first".into(),
                code: ErrorCode::Exists,
            }),
            _ => Ok(Prepared::Configured(label.clone())),
        };
    }
    if folder.create && !absolute.exists() {
        std::fs::create_dir(&absolute).map_err(unusable)?;
    }
    config::check_directory(&absolute)?;
    let path = absolute.canonicalize().map_err(unusable)?;
    let label = match &folder.label {
        Some(label) => label.clone(),
        None => default_label(&path)?,
    };
    Ok(Prepared::New(FolderEntry { label, path, mode: FolderMode::Sync, ignore: Vec::new() }))
}

/// The directory's name.
fn default_label(path: &Path) -> Result<FolderLabel, ConfigError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| FolderLabel::new(name).ok()).ok_or_else(|| ConfigError::Unfit {
        message: format!("\"{}\" has no name that could be the folder's label", path.display()),
        hint: "give the folder a label".into(),
        code: ErrorCode::BadRequest,
    })
}
