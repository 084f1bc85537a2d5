//! Commands for files that come from other services.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hcfs_api::{SourceKind, SourceSpec};

use super::value::seconds;

/// `hcfs source …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SourceCommand {
    /// Bring files from one more service into a folder
    #[command(after_help = "Examples:\n  hcfs source add passports storage_file --base-url https://files.example \
                      --credential file:/home/me/.files-token --customer-id cust_12345 --item file_78901 --into \
                      documents/passports --every 1h\n  hcfs source add list url --item https://example.org/list.csv \
                      --into documents")]
    Add(Box<AddedSource>),
    /// List the sources
    #[command(after_help = "Example:\n  hcfs source list --json")]
    List,
    /// Show what a source brought, and what it could not bring
    #[command(after_help = "Example:\n  hcfs source show passports")]
    Show(NamedSource),
    /// Check address, credential and reachability; bring nothing
    #[command(after_help = "Example:\n  hcfs source test passports")]
    Test(NamedSource),
    /// Look for new files now and wait until they are here
    #[command(after_help = "Examples:\n  hcfs source run passports\n  hcfs source run passports --again file_78901")]
    Run(RanSource),
    /// End a run, and at the service what it began there
    #[command(after_help = "Example:\n  hcfs source cancel videos")]
    Cancel(NamedSource),
    /// Stop bringing files; those that were brought stay
    #[command(after_help = "Example:\n  hcfs source remove passports")]
    Remove(NamedSource),
}

/// A source by name.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NamedSource {
    /// The source
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `hcfs source run`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RanSource {
    /// The source
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Bring back an item that was deleted here; may be given more than once
    #[arg(long, value_name = "ITEM")]
    pub again: Vec<String>,
    /// Bring back everything that was deleted here
    #[arg(long)]
    pub again_all: bool,
    /// Give up waiting after so many seconds; the run goes on
    #[arg(long, value_name = "S", value_parser = seconds())]
    pub timeout: Option<u64>,
}

/// `hcfs source add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AddedSource {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Which service it is: cid, storage_file, signed_url, download_task or url
    #[arg(value_name = "KIND", value_parser = kind(), hide_possible_values = true)]
    pub kind: SourceKind,
    /// What to bring: a CID, an id or an address; may be given more than once
    #[arg(long = "item", value_name = "ITEM")]
    pub items: Vec<String>,
    /// Bring all that the service lists (storage_file)
    #[arg(long, conflicts_with = "items")]
    pub all: bool,
    /// Where to put it: a folder's label, or LABEL/DIRECTORY
    #[arg(long, value_name = "LABEL[/DIR]")]
    pub into: String,
    /// How often to look, as 15m, 1h or 1d; without it, only when told to
    #[arg(long, value_name = "SPAN")]
    pub every: Option<String>,
    /// What else the service needs.
    #[command(flatten)]
    pub service: ServiceOptions,
}

impl AddedSource {
    /// What is brought, and from where.
    #[must_use]
    pub fn spec(&self) -> SourceSpec {
        SourceSpec { all: self.all, ..self.service.spec(self.kind, self.items.clone()) }
    }
}

/// What a service needs; which of it depends on the kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "The service")]
pub struct ServiceOptions {
    /// The service's address (all kinds but url)
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Where the credential is: keyring:NAME, file:/PATH, credential:NAME or env:NAME; never the credential itself
    #[arg(long, value_name = "PLACE")]
    pub credential: Option<String>,
    /// The customer the files belong to (storage_file)
    #[arg(long, value_name = "ID")]
    pub customer_id: Option<String>,
    /// What to ask for, such as application/json for content in base64 (storage_file)
    #[arg(long, value_name = "TYPE")]
    pub accept: Option<String>,
    /// The organisation (signed_url)
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// The quality, such as 720p (download_task)
    #[arg(long, value_name = "QUALITY")]
    pub quality: Option<String>,
    /// How long a task may take, such as 6h (download_task)
    #[arg(long, value_name = "SPAN")]
    pub deadline: Option<String>,
    /// Remove the task from the service when the file is safe (download_task)
    #[arg(long)]
    pub cleanup: bool,
    /// Whether content must be what its CID says: required, when-possible or off (cid)
    #[arg(long, value_name = "HOW")]
    pub verify: Option<String>,
}

impl ServiceOptions {
    fn spec(&self, kind: SourceKind, items: Vec<String>) -> SourceSpec {
        let Self { base_url, credential, customer_id, accept, organization, quality, deadline, cleanup, verify } =
            self.clone();
        SourceSpec {
            kind,
            base_url,
            credential,
            items,
            all: false,
            customer_id,
            accept,
            organization,
            quality,
            deadline,
            cleanup,
            verify,
        }
    }
}

/// `hcfs fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FetchOptions {
    /// Which service: cid, storage_file, signed_url, download_task or url
    #[arg(value_name = "KIND", value_parser = kind(), hide_possible_values = true)]
    pub kind: SourceKind,
    /// What to bring: a CID, an id or an address
    #[arg(value_name = "ITEM")]
    pub item: String,
    /// Where to put it: a name, a directory, or - for stdout; by default its name, here
    #[arg(value_name = "TARGET")]
    pub target: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// What else the service needs.
    #[command(flatten)]
    pub service: ServiceOptions,
}

impl FetchOptions {
    /// What is brought, and from where.
    #[must_use]
    pub fn spec(&self) -> SourceSpec {
        self.service.spec(self.kind, vec![self.item.clone()])
    }
}

fn kind() -> impl TypedValueParser<Value = SourceKind> {
    PossibleValuesParser::new(SourceKind::ALL.map(SourceKind::as_str))
        .try_map(|text| serde_json::from_value::<SourceKind>(text.into()))
}
