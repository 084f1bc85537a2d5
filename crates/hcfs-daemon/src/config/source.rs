//! `[[source]]`: what is brought from another service, from where, and where it is put.
//!
//! Each kind has its own keys; one of another kind is refused as any unknown key is.

use std::time::Duration;

use hcfs_api::SourceKind;
use hcfs_model::{FolderLabel, RelPath};
use hcfs_sources::{Items, Verify};

use super::error::{ConfigError, Wrong};
use super::section::Section;
use super::value;
use crate::secret::SecretPlace;

/// More items than a person lists by hand.
const ITEMS_MAX: usize = 10_000;
/// The longest item, in bytes.
const ITEM_MAX: usize = 4096;
/// How long a task may take unless it is said otherwise.
const TASK_DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// What is brought, and from where.
    pub service: Service,
    /// The folder it goes into.
    pub folder: FolderLabel,
    /// The directory in the folder; absent: its root.
    pub directory: Option<RelPath>,
    /// How often it is looked at; absent: when it is told to.
    pub every: Option<Duration>,
}

impl SourceConfig {
    /// Where it puts files, as the configuration says it.
    #[must_use]
    pub fn into_text(&self) -> String {
        match &self.directory {
            Some(directory) => format!("{}/{directory}", self.folder),
            None => self.folder.to_string(),
        }
    }
}

/// What is brought, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// A decentralised storage.
    Cid {
        /// Its address.
        base_url: String,
        /// Where the token is.
        credential: SecretPlace,
        /// The CIDs.
        items: Vec<String>,
        /// Whether content is held against its CID.
        verify: Verify,
    },
    /// A service of customer documents.
    StorageFile {
        /// Its address.
        base_url: String,
        /// Where the value of `Authorization` is.
        credential: SecretPlace,
        /// The customer.
        customer_id: Option<String>,
        /// The files.
        items: Items,
        /// What to ask for.
        accept: Option<String>,
    },
    /// An organisation's files.
    SignedUrl {
        /// Its address.
        base_url: String,
        /// Where the API key is.
        credential: SecretPlace,
        /// The organisation.
        organization: String,
        /// The files.
        items: Vec<String>,
    },
    /// A media downloader.
    DownloadTask {
        /// Its address.
        base_url: String,
        /// The addresses of the media.
        items: Vec<String>,
        /// The quality to ask for.
        quality: Option<String>,
        /// How long a task may take.
        deadline: Duration,
        /// Whether tasks are removed when their files are safe.
        cleanup: bool,
    },
    /// Plain addresses.
    Url {
        /// The addresses.
        items: Vec<String>,
    },
}

impl Service {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Cid { .. } => SourceKind::Cid,
            Self::StorageFile { .. } => SourceKind::StorageFile,
            Self::SignedUrl { .. } => SourceKind::SignedUrl,
            Self::DownloadTask { .. } => SourceKind::DownloadTask,
            Self::Url { .. } => SourceKind::Url,
        }
    }

    /// Where its credential is; the last two kinds have none.
    #[must_use]
    pub fn credential(&self) -> Option<&SecretPlace> {
        match self {
            Self::Cid { credential, .. }
            | Self::StorageFile { credential, .. }
            | Self::SignedUrl { credential, .. } => Some(credential),
            Self::DownloadTask { .. } | Self::Url { .. } => None,
        }
    }

    /// Reads the keys of a kind; the section still has to be finished.
    pub(super) fn read(section: &mut Section<'_>) -> Result<Self, ConfigError> {
        let kind = section.text("kind", kind)?;
        match section.required("kind", kind, KINDS)? {
            SourceKind::Cid => Ok(Self::Cid {
                base_url: base_url(section)?,
                credential: credential(section)?,
                items: items(section)?,
                verify: section.text("verify", verify)?.unwrap_or_default(),
            }),
            SourceKind::StorageFile => Ok(Self::StorageFile {
                base_url: base_url(section)?,
                credential: credential(section)?,
                customer_id: section.text("customer_id", word)?,
                items: items_or_all(section)?,
                accept: section.text("accept", word)?,
            }),
            SourceKind::SignedUrl => {
                let organization = section.text("organization", word)?;
                Ok(Self::SignedUrl {
                    base_url: base_url(section)?,
                    credential: credential(section)?,
                    organization: section.required("organization", organization, "give the organisation's id")?,
                    items: items(section)?,
                })
            }
            SourceKind::DownloadTask => Ok(Self::DownloadTask {
                base_url: base_url(section)?,
                items: items(section)?,
                quality: section.text("quality", word)?,
                deadline: section.text("deadline", value::span)?.unwrap_or(TASK_DEADLINE),
                cleanup: section.flag("cleanup")?.unwrap_or(false),
            }),
            SourceKind::Url => Ok(Self::Url { items: items(section)? }),
        }
    }
}

/// Reads one source, and its name.
pub(super) fn read(mut section: Section<'_>) -> Result<(String, SourceConfig, Section<'_>), ConfigError> {
    let name = section.text("name", value::source_name)?;
    let name = section.required("name", name, "give the source a short name")?;
    let into = section.text("into", into)?;
    let (folder, directory) =
        section.required("into", into, "say where it goes: a folder's label, or LABEL/DIRECTORY")?;
    let every = section.text("every", value::span)?;
    let service = Service::read(&mut section)?;
    Ok((name, SourceConfig { service, folder, directory, every }, section))
}

const KINDS: &str = "use cid, storage_file, signed_url, download_task or url";

fn kind(text: &str) -> Result<SourceKind, Wrong> {
    let found = SourceKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| Wrong::new(format!("is \"{text}\", which is no kind of source"), KINDS))
}

fn verify(text: &str) -> Result<Verify, Wrong> {
    match text {
        "required" => Ok(Verify::Required),
        "when-possible" => Ok(Verify::WhenPossible),
        "off" => Ok(Verify::Off),
        _ => Err(Wrong::new(format!("is \"{text}\""), "use required, when-possible or off")),
    }
}

fn base_url(section: &mut Section<'_>) -> Result<String, ConfigError> {
    let url = section.text("base_url", value::url)?;
    section.required("base_url", url, "give the service's address, as https://host")
}

fn credential(section: &mut Section<'_>) -> Result<SecretPlace, ConfigError> {
    let place = section.text("credential", value::token)?;
    section.required(
        "credential",
        place,
        "say where the credential is: file:/PATH, keyring:NAME, credential:NAME or env:NAME",
    )
}

fn items(section: &mut Section<'_>) -> Result<Vec<String>, ConfigError> {
    match item_list(section)? {
        Some(items) => Ok(items),
        None => Err(section.refuse("items", &Wrong::new("is missing", "list what to bring: items = [\"…\"]"))),
    }
}

fn items_or_all(section: &mut Section<'_>) -> Result<Items, ConfigError> {
    let all = section.flag("all")?.unwrap_or(false);
    match (item_list(section)?, all) {
        (Some(items), false) => Ok(Items::These(items)),
        (None, true) => Ok(Items::All),
        (Some(_), true) => Err(section.refuse("all", &Wrong::new("is set beside `items`", "give one of the two"))),
        (None, false) => {
            let hint = "list what to bring: items = [\"…\"]; or bring all that is listed: all = true";
            Err(section.refuse("items", &Wrong::new("is missing", hint)))
        }
    }
}

fn item_list(section: &mut Section<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(items) = section.texts("items")? else { return Ok(None) };
    let wrong = |message: &str| Err(section.refuse("items", &Wrong::new(message, "list ids of 1 to 4096 bytes")));
    if items.is_empty() {
        return wrong("is empty");
    }
    if items.len() > ITEMS_MAX {
        return wrong("has more than 10000 items");
    }
    if items.iter().any(|item| item.is_empty() || item.len() > ITEM_MAX || item.chars().any(char::is_control)) {
        return wrong("has an item that is empty, too long, or has a control character");
    }
    let mut sorted: Vec<&String> = items.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return wrong("has an item twice");
    }
    Ok(Some(items))
}

/// A parameter that is sent to a service.
fn word(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err(Wrong::new(
            "is empty, longer than 255 bytes, or has a control character",
            "give it as a short text",
        ));
    }
    Ok(text.to_owned())
}

/// A folder's label, or that and a directory in it.
fn into(text: &str) -> Result<(FolderLabel, Option<RelPath>), Wrong> {
    let (label, directory) = match text.split_once('/') {
        Some((label, directory)) => (label, Some(directory.trim_end_matches('/')).filter(|rest| !rest.is_empty())),
        None => (text, None),
    };
    let label = value::label(label)?;
    let wrong = |error| {
        Wrong::new(format!("names a directory that cannot be one: {error}"), "write it as LABEL/DIRECTORY, without ..")
    };
    Ok((label, directory.map(RelPath::new).transpose().map_err(wrong)?))
}

#[cfg(test)]
mod tests;
