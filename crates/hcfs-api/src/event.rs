//! The stream of `GET /v1/events`: server-sent events.

use serde::{Deserialize, Serialize};

use crate::{Folder, Source, Status, UnixMillis};

/// One line of a folder's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvent {
    /// The folder.
    pub folder: String,
    /// Counts up within the folder.
    pub id: u64,
    /// When.
    pub at: UnixMillis,
    /// What, in snake case: `uploaded`, `downloaded`, `renamed_here`, `renamed_there`, `deleted_here`,
    /// `deleted_there`, `adopted`, `conflict`, `resolved`, `held`, `problem`, `fetched`, `source`, `state`.
    pub kind: String,
    /// Which file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A sentence for a person.
    pub text: String,
}

/// Events that this reader will not get, because it was too slow or asked too late. A snapshot follows, or was just sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// An element of the stream. Its name is the `event` field, its content the `data` field as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// `snapshot`: everything as it is now. The first element of every stream.
    Snapshot(Box<Status>),
    /// `log`: something happened. Only these have an `id` of their own; `?since=` takes it.
    Log(LogEvent),
    /// `status`: one folder's status changed; at most a few times a second.
    Status(Box<Folder>),
    /// `source`: one source's status changed; at most a few times a second.
    Source(Box<Source>),
    /// `lost`: this reader missed events.
    Lost(Lost),
}

impl StreamEvent {
    /// The `event` field.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Log(_) => "log",
            Self::Status(_) => "status",
            Self::Source(_) => "source",
            Self::Lost(_) => "lost",
        }
    }

    /// The `data` field.
    ///
    /// # Errors
    /// None in practice: every type here has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Snapshot(status) => serde_json::to_string(status),
            Self::Log(event) => serde_json::to_string(event),
            Self::Status(folder) => serde_json::to_string(folder),
            Self::Source(source) => serde_json::to_string(source),
            Self::Lost(lost) => serde_json::to_string(lost),
        }
    }

    /// Reads an element; `None` for a name this version does not know.
    ///
    /// # Errors
    /// The data is not what the name promises.
    pub fn parse(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "snapshot" => Self::Snapshot(serde_json::from_str(data)?),
            "log" => Self::Log(serde_json::from_str(data)?),
            "status" => Self::Status(serde_json::from_str(data)?),
            "source" => Self::Source(serde_json::from_str(data)?),
            "lost" => Self::Lost(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}
