//! The configuration: what the file says, overridden by the environment.
//!
//! Invariants: a [`Config`] that exists is usable as it stands: every value was read, bounded and checked against the
//! others (labels are unique, folders do not lie inside one another, nor around the program's own files). Unknown keys
//! are errors, for a mistyped safety setting must not be silently the default. Secrets are never here, only the places
//! they come from.
//!
//! Deliberately absent: whether a directory exists or a server answers. That changes while the daemon runs, so it is
//! the state of a folder and not an error of the configuration.

mod edit;
mod edit_source;
mod error;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcfs_api::{FolderMode, Paths, Resolution};
use hcfs_model::{AccountAddress, FolderLabel};

pub use edit::{FolderEntry, add_folder, create, remove_folder, set_limits, set_unlock};
pub use edit_source::{add_source, read_spec, remove_source};
pub use error::ConfigError;
pub use source::{Service, SourceConfig};

use self::error::Wrong;
use self::section::{Section, Source};
use crate::secret::{SecretPlace, Unlock};

/// How variables of the environment are looked up; an argument, so that tests have their own.
pub type Environment = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// The longest configuration, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// More folders than one daemon has threads for.
const FOLDERS_MAX: usize = 64;
/// More sources than one person looks after.
const SOURCES_MAX: usize = 64;

/// What the daemon was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This device's name.
    pub device: String,
    /// Where the folders are kept.
    pub server: ServerConfig,
    /// What opens the recovery phrase.
    pub unlock: Unlock,
    /// The folders, by label.
    pub folders: BTreeMap<FolderLabel, FolderConfig>,
    /// The sources, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// What the daemon may use.
    pub limits: Limits,
    /// The page on loopback.
    pub page: PageConfig,
    /// The group whose members may read at the socket, by name or number. It takes effect when the daemon starts.
    pub readers: Option<String>,
}

/// The page on loopback. It takes effect when the daemon starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageConfig {
    /// Whether it listens from the start, instead of from the first `hcfs ui`.
    pub enabled: bool,
    /// Its port; 0 for one that is free.
    pub port: u16,
}

/// Where the folders are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its base address; absent: the embedded server.
    pub url: Option<String>,
    /// The account; absent: the one the recovery phrase makes.
    pub account: Option<AccountAddress>,
    /// Where the token comes from. Needed with an address; the embedded server makes its own.
    pub token: Option<SecretPlace>,
    /// Seconds between two looks at the server.
    pub poll_seconds: u64,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderConfig {
    /// The directory, absolute.
    pub path: PathBuf,
    /// gitignore patterns.
    pub ignore: Vec<String>,
    /// Which directions changes take.
    pub mode: FolderMode,
    /// What happens to a conflict nobody decided.
    pub conflicts: Resolution,
    /// Whether the server may see names.
    pub share_paths: bool,
    /// More deletions than this wait for the user.
    pub max_delete: MaxDelete,
    /// Days that replaced and deleted files stay in the trash.
    pub trash_days: u32,
    /// Bytes the trash keeps at most, whatever their age; `u64::MAX` for no limit.
    pub trash_size: u64,
}

impl FolderConfig {
    /// The published defaults for a directory.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            ignore: Vec::new(),
            mode: FolderMode::Sync,
            conflicts: Resolution::KeepBoth,
            share_paths: false,
            max_delete: MaxDelete { files: 25, percent: 25 },
            trash_days: 30,
            trash_size: TRASH_SIZE,
        }
    }
}

/// Deletions above the larger of the two wait for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxDelete {
    /// A number of files.
    pub files: u64,
    /// A part of all files in the folder, in percent.
    pub percent: u8,
}

/// What the daemon may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a second to the server; 0 for no limit.
    pub upload: u64,
    /// Bytes a second from the server; 0 for no limit.
    pub download: u64,
    /// Files in flight at once, in each folder.
    pub transfers: usize,
}

impl Config {
    /// Where the secrets lie that are sent to servers: the token, and the credentials of the sources.
    pub(crate) fn secret_places(&self) -> impl Iterator<Item = &SecretPlace> {
        let of_sources = self.sources.values().filter_map(|source| source.service.credential());
        self.server.token.iter().chain(of_sources)
    }

    /// What holds without a file: no folder, the embedded server, a password that is asked for.
    #[must_use]
    pub fn defaults() -> Self {
        Self {
            device: host_name(),
            server: ServerConfig { url: None, account: None, token: None, poll_seconds: 15 },
            unlock: Unlock::Prompt,
            folders: BTreeMap::new(),
            sources: BTreeMap::new(),
            limits: Limits { upload: 0, download: 0, transfers: 8 },
            page: PageConfig::default(),
            readers: None,
        }
    }

    /// Reads the file of `paths`, if there is one, then the environment.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing in it or in the environment that is wrong.
    pub fn load(paths: &Paths, env: &Environment) -> Result<Self, ConfigError> {
        let mut config = match read_text(&paths.config)? {
            Some(text) => Self::parse(&paths.config, &text, paths)?,
            None => Self::defaults(),
        };
        config.override_from(env)?;
        Ok(config)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first thing in it that is wrong, with its line and key.
    pub fn parse(file: &Path, text: &str, paths: &Paths) -> Result<Self, ConfigError> {
        let mut config = Self::defaults();
        let mut top = Source { file, text }.parse()?;
        if let Some(device) = top.text("device", value::device)? {
            config.device = device;
        }
        if let Some(server) = top.section("server")? {
            config.read_server(server)?;
        }
        if let Some(mut unlock) = top.section("unlock")? {
            let with = unlock.text("with", value::unlock)?;
            config.unlock = unlock.required("with", with, "use prompt, keyring, keyfile:/PATH or credential:NAME")?;
            unlock.finish()?;
        }
        if let Some(mut limits) = top.section("limits")? {
            config.limits.upload = limits.text("upload", value::rate)?.unwrap_or(config.limits.upload);
            config.limits.download = limits.text("download", value::rate)?.unwrap_or(config.limits.download);
            config.limits.transfers = limits.number("transfers", TRANSFERS)?.unwrap_or(config.limits.transfers);
            limits.finish()?;
        }
        if let Some(mut page) = top.section("page")? {
            config.page.enabled = page.flag("enabled")?.unwrap_or(config.page.enabled);
            config.page.port = page.number("port", PORT)?.unwrap_or(config.page.port);
            page.finish()?;
        }
        if let Some(mut socket) = top.section("socket")? {
            config.readers = socket.text("readers", value::group)?;
            socket.finish()?;
        }
        for folder in top.sections("folder")? {
            config.read_folder(folder, paths)?;
        }
        for source in top.sections("source")? {
            config.read_source(source)?;
        }
        top.finish()?;
        Ok(config)
    }

    /// Reads the place of a folder that is to be added.
    ///
    /// # Errors
    /// The path is not absolute.
    pub(crate) fn check_folder(path: &str) -> Result<PathBuf, ConfigError> {
        value::absolute(path).map_err(|Wrong { message, hint }| ConfigError::Unfit {
            message: format!("the folder's path {message}"),
            hint,
            code: hcfs_api::ErrorCode::BadRequest,
        })
    }

    fn read_server(&mut self, mut section: Section<'_>) -> Result<(), ConfigError> {
        self.server.url = section.text("url", value::url)?;
        self.server.account = section.text("account", value::account)?;
        self.server.token = section.text("token", value::token)?;
        if let Some(seconds) = section.number("poll_seconds", POLL)? {
            self.server.poll_seconds = seconds;
        }
        section.finish()
    }

    fn read_folder(&mut self, mut section: Section<'_>, paths: &Paths) -> Result<(), ConfigError> {
        let label = section.text("label", value::label)?;
        let label = section.required("label", label, "give the folder a name, the same on every device")?;
        let path = section.text("path", value::absolute)?;
        let path = section.required("path", path, "give the directory, starting with /")?;
        let mut folder = FolderConfig::at(path);
        folder.ignore = section.texts("ignore")?.unwrap_or_default();
        folder.mode = section.text("mode", value::mode)?.unwrap_or(folder.mode);
        folder.conflicts = section.text("conflicts", value::resolution)?.unwrap_or(folder.conflicts);
        folder.share_paths = section.flag("share_paths")?.unwrap_or(folder.share_paths);
        folder.trash_days = section.number("trash_days", TRASH_DAYS)?.unwrap_or(folder.trash_days);
        folder.trash_size = section.text("trash_size", value::size)?.unwrap_or(folder.trash_size);
        if let Some(mut most) = section.section("max_delete")? {
            folder.max_delete.files = most.number("files", 0..u64::MAX)?.unwrap_or(folder.max_delete.files);
            folder.max_delete.percent = most.number("percent", 0..101)?.unwrap_or(folder.max_delete.percent);
            most.finish()?;
        }
        self.check_new(&label, &folder.path, paths).map_err(|(key, wrong)| section.refuse(key, &wrong))?;
        section.finish()?;
        self.folders.insert(label, folder);
        Ok(())
    }

    fn read_source(&mut self, section: Section<'_>) -> Result<(), ConfigError> {
        let (name, source, section) = source::read(section)?;
        self.check_source(&name, &source).map_err(|(key, wrong)| section.refuse(key, &wrong))?;
        section.finish()?;
        self.sources.insert(name, source);
        Ok(())
    }

    /// Whether one more source fits beside those there are, and into a folder.
    fn check_source(&self, name: &str, source: &SourceConfig) -> Result<(), (&'static str, Wrong)> {
        if self.sources.contains_key(name) {
            let message = format!("is \"{name}\", which another source has already");
            return Err(("name", Wrong::new(message, "give every source a name of its own")));
        }
        if self.sources.len() >= SOURCES_MAX {
            return Err(("name", Wrong::new("is one source too many", format!("{SOURCES_MAX} sources are the limit"))));
        }
        match self.folders.get(&source.folder) {
            None => {
                let message = format!("names the folder \"{}\", which is not configured", source.folder);
                Err(("into", Wrong::new(message, "use the label of a [[folder]]")))
            }
            Some(folder) if folder.mode == FolderMode::ReceiveOnly => {
                let message = format!("names the folder \"{}\", which sends nothing", source.folder);
                Err(("into", Wrong::new(message, "use a folder whose mode is sync or send-only")))
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether one more folder fits beside those there are: the key that is wrong with it, and what.
    fn check_new(&self, label: &FolderLabel, path: &Path, paths: &Paths) -> Result<(), (&'static str, Wrong)> {
        if self.folders.contains_key(label) {
            let message = format!("is \"{label}\", which another folder has already");
            return Err(("label", Wrong::new(message, "give every folder a label of its own")));
        }
        if self.folders.len() >= FOLDERS_MAX {
            return Err((
                "label",
                Wrong::new("is one folder too many", format!("{FOLDERS_MAX} folders are the limit")),
            ));
        }
        for (other, folder) in &self.folders {
            if let Some(relation) = overlap(path, &folder.path) {
                let message = format!("is \"{}\", which {relation} folder \"{other}\"", path.display());
                return Err(("path", Wrong::new(message, "folders may not lie inside one another")));
            }
        }
        for (own, what) in [(&paths.state, "the program's state"), (&paths.server_data, "the embedded server's data")] {
            if let Some(relation) = overlap(path, own) {
                let message = format!("is \"{}\", which {relation} {what} at \"{}\"", path.display(), own.display());
                return Err((
                    "path",
                    Wrong::new(
                        message,
                        "choose another directory, or move the other with HCFS_STATE_DIR or HCFS_SERVER_DATA",
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Applies `HCFS_DEVICE`, `HCFS_SERVER_*`, `HCFS_UNLOCK_WITH`, `HCFS_PAGE_*`, `HCFS_SOCKET_READERS` and `HCFS_LIMITS_*`. An empty variable is no variable.
    fn override_from(&mut self, env: &Environment) -> Result<(), ConfigError> {
        let own = Overrides(env);
        own.set("HCFS_DEVICE", value::device, |device| self.device = device)?;
        own.set("HCFS_SERVER_URL", value::url, |url| self.server.url = Some(url))?;
        own.set("HCFS_SERVER_ACCOUNT", value::account, |account| self.server.account = Some(account))?;
        own.set("HCFS_SERVER_TOKEN", value::token, |token| self.server.token = Some(token))?;
        own.set("HCFS_SERVER_POLL_SECONDS", |text| within(text, &POLL), |seconds| self.server.poll_seconds = seconds)?;
        own.set("HCFS_UNLOCK_WITH", value::unlock, |unlock| self.unlock = unlock)?;
        own.set("HCFS_PAGE_ENABLED", flag, |enabled| self.page.enabled = enabled)?;
        own.set("HCFS_PAGE_PORT", |text| within(text, &PORT), |port| self.page.port = port)?;
        own.set("HCFS_SOCKET_READERS", value::group, |group| self.readers = Some(group))?;
        own.set("HCFS_LIMITS_UPLOAD", value::rate, |rate| self.limits.upload = rate)?;
        own.set("HCFS_LIMITS_DOWNLOAD", value::rate, |rate| self.limits.download = rate)?;
        own.set("HCFS_LIMITS_TRANSFERS", |text| within(text, &TRANSFERS), |transfers| self.limits.transfers = transfers)
    }
}

const TRANSFERS: std::ops::Range<u64> = 1..hcfs_api::Limits::TRANSFERS_MAX + 1;
const POLL: std::ops::Range<u64> = 1..86_401;
const PORT: std::ops::Range<u64> = 0..65_536;
const TRASH_DAYS: std::ops::Range<u64> = 0..36_501;
/// Bytes the trash keeps at most by default.
const TRASH_SIZE: u64 = 10 << 30;

struct Overrides<'e>(&'e Environment);

impl Overrides<'_> {
    fn set<T>(
        &self,
        variable: &'static str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
        set: impl FnOnce(T),
    ) -> Result<(), ConfigError> {
        let Some(text) = (self.0)(variable).filter(|text| !text.is_empty()) else { return Ok(()) };
        let not_text = || Wrong::new("is not valid UTF-8", "give it as text");
        let value = text.to_str().ok_or_else(not_text).and_then(read);
        value.map(set).map_err(|Wrong { message, hint }| ConfigError::Variable { variable, message, hint })
    }
}

fn flag(text: &str) -> Result<bool, Wrong> {
    text.parse().map_err(|_| Wrong::new(format!("is \"{text}\""), "give true or false"))
}

fn within<T: TryFrom<u64>>(text: &str, bounds: &std::ops::Range<u64>) -> Result<T, Wrong> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let message = format!("is \"{text}\", which is no number within bounds");
        Wrong::new(message, format!("give a number from {} to {}", bounds.start, bounds.end - 1))
    })
}

/// How `path` lies to `other`, where one holds the other: also through symbolic links, as far as the directories exist.
fn overlap(path: &Path, other: &Path) -> Option<&'static str> {
    let lies = |path: &Path, other: &Path| {
        if path == other {
            Some("is the same directory as")
        } else if path.starts_with(other) {
            Some("lies inside")
        } else if other.starts_with(path) {
            Some("holds")
        } else {
            None
        }
    };
    lies(path, other).or_else(|| lies(&resolved(path), &resolved(other)))
}

/// The path without symbolic links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            return match path.strip_prefix(above) {
                Ok(rest) => real.join(rest),
                Err(_) => real,
            };
        }
    }
    path.to_owned()
}

/// The text of the file; `None` where there is none.
fn read_text(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    let length = file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > FILE_MAX {
        let message = format!("the configuration is longer than {FILE_MAX} bytes");
        return Err(unreadable(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message)));
    }
    Ok(Some(text))
}

/// The machine's name without its domain, as far as it can stand in a file's name.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    let short: String = name
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(64)
        .collect();
    if short.is_empty() { "device".to_owned() } else { short }
}

/// Whether a folder can be kept at a path: a directory of which the system lets us see that it is one.
///
/// # Errors
/// What is there instead.
pub(crate) fn check_directory(path: &Path) -> Result<(), ConfigError> {
    use hcfs_api::ErrorCode;
    let unfit = |message: String, hint: &str, code| ConfigError::Unfit { message, hint: hint.to_owned(), code };
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(unfit(format!("\"{shown}\" is not a directory"), "name a directory", ErrorCode::BadFolder)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let hint = "allow this user to enter the directories above it";
            Err(unfit(format!("\"{shown}\" cannot be looked at: {error}"), hint, ErrorCode::Permission))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let hint = "create the directory, mount its file system, or correct the path";
            Err(unfit(format!("\"{shown}\" does not exist"), hint, ErrorCode::BadFolder))
        }
        Err(error) => {
            let hint = "see the system's log for the device";
            Err(unfit(format!("\"{shown}\" cannot be looked at: {error}"), hint, ErrorCode::BadFolder))
        }
    }
}
