//! Changing the configuration file without losing what a person wrote in it.
//!
//! A folder is added at the end and cut out by the place of its lines; every other byte stays. What comes out is read
//! again before it replaces the file, and must be what was asked for.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use hcfs_api::{ErrorCode, FolderMode, Paths};
use hcfs_model::{AccountAddress, FolderLabel};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Wrong};
use super::{Config, FolderConfig, Limits, read_text};
use crate::secret::{SecretPlace, Unlock};

/// A folder as it is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its label.
    pub label: FolderLabel,
    /// Its directory, absolute.
    pub path: std::path::PathBuf,
    /// Which directions changes take.
    pub mode: FolderMode,
    /// gitignore patterns.
    pub ignore: Vec<String>,
}

/// Writes a first configuration, with what was given and a comment on what may be set.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn create(
    paths: &Paths,
    device: &str,
    url: Option<&str>,
    account: Option<&AccountAddress>,
    token: Option<&SecretPlace>,
    unlock: &Unlock,
) -> Result<(), ConfigError> {
    let unwritable = |source| ConfigError::Unwritable { path: paths.config.clone(), source };
    if paths.config.exists() {
        return Err(unwritable(std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
    }
    let mut text = String::from("# What hcfs keeps in step on this machine.\n");
    let mut line = |key: &str, value: &str| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{key} = {}", quoted(value));
    };
    line("device", device);
    text.push_str("\n[server]\n");
    match url {
        Some(url) => text.push_str(&format!("url = {}\n", quoted(url))),
        None => text.push_str("# url = \"https://…\"   # absent: a server on this machine, inside the daemon\n"),
    }
    if let Some(account) = account {
        let _ = writeln!(text, "account = {}", quoted(account.as_str()));
    }
    if let Some(token) = token {
        let _ = writeln!(text, "token = {}", quoted(&token.to_string()));
    }
    let _ = writeln!(text, "\n[unlock]\nwith = {}", quoted(&unlock.to_string()));
    Config::parse(&paths.config, &text, paths)?;
    replace(&paths.config, &text).map_err(unwritable)
}

/// Adds a folder at the end of the file.
///
/// # Errors
/// The folder does not fit beside those there are, or the file cannot be read, understood or written.
pub fn add_folder(paths: &Paths, entry: &FolderEntry) -> Result<(), ConfigError> {
    let mut text = read_text(&paths.config)?.unwrap_or_default();
    let before = Config::parse(&paths.config, &text, paths)?;
    if let Err((_, Wrong { message, hint })) = before.check_new(&entry.label, &entry.path, paths) {
        let message = format!("the folder's place or label {message}");
        return Err(ConfigError::Unfit { message, hint, code: ErrorCode::Exists });
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let Some(path) = entry.path.to_str() else {
        let message = format!("\"{}\" is not valid UTF-8", entry.path.display());
        let hint = "rename the directory: the configuration is text".to_owned();
        return Err(ConfigError::Unfit { message, hint, code: ErrorCode::BadFolder });
    };
    let _ = write!(text, "\n[[folder]]\nlabel = {}\npath = {}\n", quoted(entry.label.as_str()), quoted(path));
    if !entry.ignore.is_empty() {
        let patterns: Vec<String> = entry.ignore.iter().map(|pattern| quoted(pattern)).collect();
        let _ = writeln!(text, "ignore = [{}]", patterns.join(", "));
    }
    match entry.mode {
        FolderMode::Sync => {}
        FolderMode::SendOnly => text.push_str("mode = \"send-only\"\n"),
        FolderMode::ReceiveOnly => text.push_str("mode = \"receive-only\"\n"),
    }
    let mut wanted = before;
    let folder =
        FolderConfig { ignore: entry.ignore.clone(), mode: entry.mode, ..FolderConfig::at(entry.path.clone()) };
    wanted.folders.insert(entry.label.clone(), folder);
    write_checked(paths, &text, &wanted)
}

/// Cuts a folder's section out of the file.
///
/// # Errors
/// No such folder, or the file cannot be read, understood or written.
pub fn remove_folder(paths: &Paths, label: &FolderLabel) -> Result<(), ConfigError> {
    let text = read_text(&paths.config)?.unwrap_or_default();
    let mut wanted = Config::parse(&paths.config, &text, paths)?;
    if let Some((source, _)) = wanted.sources.iter().find(|(_, source)| source.folder == *label) {
        return Err(ConfigError::Unfit {
            message: format!("the source \"{source}\" brings files into the folder \"{label}\""),
            hint: format!("remove it first: hcfs source remove {source}"),
            code: ErrorCode::BadRequest,
        });
    }
    let Some(lines) =
        wanted.folders.remove(label).and_then(|_| section_lines(&text, "folder", "label", label.as_str()))
    else {
        return Err(ConfigError::Unfit {
            message: format!("no folder \"{label}\" in the configuration"),
            hint: "see `hcfs folder list`".into(),
            code: ErrorCode::NoFolder,
        });
    };
    let (head, tail) = (&text[..lines.start], &text[lines.end..]);
    write_checked(paths, &format!("{head}{tail}"), &wanted)
}

/// Says what opens the recovery phrase from now on.
///
/// # Errors
/// The file cannot be read, understood or written.
pub fn set_unlock(paths: &Paths, unlock: &Unlock) -> Result<(), ConfigError> {
    let text = read_text(&paths.config)?.unwrap_or_default();
    let wanted = Config { unlock: unlock.clone(), ..Config::parse(&paths.config, &text, paths)? };
    let value = quoted(&unlock.to_string());
    let place = DeTable::parse(&text).ok().and_then(|top| {
        let with = top.get_ref().get("unlock")?.get_ref().get("with")?;
        Some(with.span())
    });
    let text = match place {
        Some(place) => format!("{}{value}{}", &text[..place.start], &text[place.end..]),
        None => format!("{text}\n[unlock]\nwith = {value}\n"),
    };
    write_checked(paths, &text, &wanted)
}

/// Says what the daemon may use from now on.
///
/// # Errors
/// The file cannot be read, understood or written.
pub fn set_limits(paths: &Paths, limits: Limits) -> Result<(), ConfigError> {
    let mut text = read_text(&paths.config)?.unwrap_or_default();
    let before = Config::parse(&paths.config, &text, paths)?;
    let values = [
        ("upload", quoted(&limits.upload.to_string()), limits.upload != before.limits.upload),
        ("download", quoted(&limits.download.to_string()), limits.download != before.limits.download),
        ("transfers", limits.transfers.to_string(), limits.transfers != before.limits.transfers),
    ];
    // Each new key lands above the one before.
    for (key, value, _) in values.iter().rev().filter(|(_, _, changes)| *changes) {
        text = with_limit(&text, key, value);
    }
    write_checked(paths, &text, &Config { limits, ..before })
}

/// The text with one key of `[limits]` set: in its place, under the section's header, or in a section at the end.
fn with_limit(text: &str, key: &str, value: &str) -> String {
    let top = DeTable::parse(text).ok();
    let section = top.as_ref().and_then(|top| top.get_ref().get("limits"));
    if let Some(place) = section.and_then(|section| Some(section.get_ref().get(key)?.span())) {
        return format!("{}{value}{}", &text[..place.start], &text[place.end..]);
    }
    match section {
        Some(section) => {
            let start = section.span().start;
            let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at + 1);
            let gap = if text[..line_end].ends_with('\n') { "" } else { "\n" };
            format!("{}{gap}{key} = {value}\n{}", &text[..line_end], &text[line_end..])
        }
        None => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{gap}\n[limits]\n{key} = {value}\n")
        }
    }
}

/// The bytes from the header of the `[[list]]` whose `key` is `name` to the end of the line its last value stands on.
/// Comments after that belong to what follows.
pub(super) fn section_lines(text: &str, list: &str, key: &str, name: &str) -> Option<Range<usize>> {
    let top = DeTable::parse(text).ok()?.into_inner();
    let sections = top.get(list)?.get_ref().as_array()?;
    let named = sections
        .iter()
        .find(|section| section.get_ref().get(key).and_then(|found| found.get_ref().as_str()) == Some(name))?;
    let start = text[..named.span().start].rfind('\n').map_or(0, |at| at + 1);
    let end = last_byte(named).max(named.span().end);
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    Some(start..end)
}

/// Where the last value in a table ends, however deep.
fn last_byte(value: &Spanned<DeValue<'_>>) -> usize {
    let inside = match value.get_ref() {
        DeValue::Table(table) => table.values().map(last_byte).max(),
        DeValue::Array(items) => items.iter().map(last_byte).max(),
        _ => None,
    };
    inside.unwrap_or(0).max(value.span().end)
}

/// Replaces the file, if the new text means what was wanted.
pub(super) fn write_checked(paths: &Paths, text: &str, wanted: &Config) -> Result<(), ConfigError> {
    match Config::parse(&paths.config, text, paths) {
        Ok(config) if config == *wanted => {}
        _ => return Err(ConfigError::NotEditable(paths.config.clone())),
    }
    replace(&paths.config, text).map_err(|source| ConfigError::Unwritable { path: paths.config.clone(), source })
}

/// Writes a new file beside the old one and puts it in its place in one step, with the old one's mode.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link is often a dotfiles repository: what it points at is what is kept.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mode = fs::metadata(path).map_or(0o600, |old| old.permissions().mode() & 0o777);
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let staged = Path::new(&staged);
    if let Err(error) = fs::remove_file(staged)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged)?;
    let placed = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(staged, path));
    if let Err(error) = placed {
        // The first error is the one to tell.
        let _ = fs::remove_file(staged);
        return Err(error);
    }
    fs::File::open(directory)?.sync_all()
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
