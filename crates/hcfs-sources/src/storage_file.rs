//! `storage_file`: files of a service of customer documents.
//!
//! Facts: `GET {base}/v2/storage/file/{id}?customerId=` with the credential as it is in `Authorization` answers with
//! the bytes and a `Content-Disposition`; asked for `application/json`, with the bytes in base64 in an object. Errors
//! are `{error: text}`, told apart by the text; no statuses are given for them, so one that comes with 200 is
//! understood as well. `GET {base}/v2/storage/file?customerId=&meta.page=&meta.pageSize=` lists.
//!
//! Invariants: a page or a message is never taken for a file; a locked file is left alone for longer each time.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use hcfs_http::{
    BaseUrl, Client, HeaderMap, HeaderValue, Request, Response, StatusCode, header, retry_after, transient,
};
use hcfs_model::UnixNanos;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, Complaint};
use crate::credential::Credential;
use crate::error::SourceError;
use crate::item;
use crate::kind::Kind;
use crate::name;
use crate::resume::Resume;
use crate::settings::{Items, StorageFileSettings, Tempo};
use crate::source::{Brought, Fetched, Item, Job, Source, Verified};
use crate::stage::{self, Accept, Errand, Form, Way};
use crate::validators::Validators;

/// Items of a page of the listing.
const PAGE_SIZE: usize = 50;
/// The most items a listing may have.
const ITEMS_MAX: usize = 100_000;
/// How long a file is left alone the first time it is found locked; it doubles each time.
const LOCKED_FIRST: Duration = Duration::from_secs(60);
const LOCKED_LONGEST: Duration = Duration::from_secs(3600);
/// The type that makes the service send base64.
const JSON: &str = "application/json";

/// See the module.
pub(crate) struct StorageFileSource {
    client: Client,
    tempo: Tempo,
    base: BaseUrl,
    credential: Credential,
    customer: Option<String>,
    /// The files to bring; none for all.
    items: Option<Vec<Item>>,
    accept: HeaderValue,
    as_json: bool,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    #[serde(default)]
    name: Option<String>,
    // Whatever form a service gives these, they are hints.
    #[serde(default)]
    size: Value,
    #[serde(default)]
    updated_at: Value,
}

impl StorageFileSource {
    pub(crate) fn open(settings: StorageFileSettings, client: Client, tempo: Tempo) -> Result<Self, SourceError> {
        let StorageFileSettings { base, credential, customer_id, items, accept } = settings;
        let items = match items {
            Items::All => None,
            Items::These(ids) => Some(item::items(&ids, item::check_id)?),
        };
        let accept = accept.unwrap_or_else(|| "*/*".to_owned());
        let as_json = accept.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON));
        let accept = HeaderValue::from_str(&accept)
            .map_err(|_| SourceError::BadItem { item: item::shown(&accept), rule: "a type has no such character" })?;
        Ok(Self { client, tempo, base, credential, customer: customer_id, items, accept, as_json })
    }

    fn request(&self, id: Option<&str>, query: &[(&str, &str)]) -> Result<Request, SourceError> {
        let segments = ["v2", "storage", "file"].into_iter().chain(id);
        let customer = self.customer.as_deref().map(|customer| ("customerId", customer));
        let pairs = customer.into_iter().chain(query.iter().copied());
        let refused = |source| SourceError::Address { what: format!("\"{}\"", id.unwrap_or("the listing")), source };
        let url = self.base.join(segments).map_err(refused)?;
        let url = if customer.is_some() || !query.is_empty() { url.with_query(pairs).map_err(refused)? } else { url };
        let accept = if id.is_some() { self.accept.clone() } else { HeaderValue::from_static(JSON) };
        let request = Request::get(url).follow_redirects().header(header::ACCEPT, accept);
        Ok(request.credential(header::AUTHORIZATION, self.credential.header("")))
    }

    /// One page of the listing.
    async fn page(&self, number: usize, size: usize) -> Result<Vec<Row>, SourceError> {
        let (number, size) = (number.to_string(), size.to_string());
        let request = self.request(None, &[("meta.page", &number), ("meta.pageSize", &size)])?;
        let now = UnixNanos(0);
        let answer = answer::ask(&self.client, &self.tempo, &request, now).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(answer, "the listing", now).await);
        }
        let page: Value = answer::json(answer, "listing", answer::LISTING_MAX).await?;
        if let Some(text) = page.get("error").and_then(Value::as_str) {
            let complaint =
                Complaint { message: answer::message(text, Some(&self.credential)), ..Complaint::default() };
            return Err(error_of(StatusCode::OK, None, complaint, "the listing"));
        }
        let page: Page = serde_json::from_value(page).map_err(|_| SourceError::BadAnswer {
            what: "listing",
            reason: "it has no items, or one without an id".to_owned(),
        })?;
        Ok(page.items)
    }

    async fn refusal(&self, answer: Response, item: &str, now: UnixNanos) -> SourceError {
        let (status, wait) = (answer.status, retry_after(&answer.headers, now));
        error_of(status, wait, Complaint::read(answer, Some(&self.credential)).await, item)
    }

    /// What a message in place of a file means.
    fn message(&self, message: &str, item: &str) -> SourceError {
        let complaint = Complaint { message: answer::message(message, Some(&self.credential)), ..Complaint::default() };
        error_of(StatusCode::OK, None, complaint, item)
    }
}

/// The documented errors, by their texts; by the status for texts that are not documented.
fn error_of(status: StatusCode, wait: Option<Duration>, complaint: Complaint, item: &str) -> SourceError {
    let text = complaint.message.as_deref().unwrap_or_default().to_lowercase();
    let item_id = item.to_owned();
    let Complaint { message, trace, .. } = complaint.clone();
    if text.starts_with("file not found") {
        SourceError::NotFound { item: item_id, message: None, trace }
    } else if text.starts_with("access denied") {
        SourceError::Denied { item: item_id, message: None, trace }
    } else if text.starts_with("file is locked") || status == StatusCode::LOCKED {
        SourceError::Locked { item: item_id, retry_after: wait.unwrap_or(LOCKED_FIRST) }
    } else if text == "unauthorized" {
        SourceError::Unauthorized { message: None, trace }
    } else if status == StatusCode::OK {
        SourceError::WrongContent { item: item_id, expected: "a file", got: "a message".to_owned(), message }
    } else {
        answer::error_of(status, wait, complaint, item)
    }
}

struct FileWay<'a> {
    source: &'a StorageFileSource,
    item: &'a str,
    known: Option<&'a Validators>,
    now: UnixNanos,
    /// The type of what came in place of a file.
    page: String,
}

#[async_trait]
impl Way for FileWay<'_> {
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError> {
        let same = self.known.is_some_and(|known| stage::is_known(head, known));
        let said = answer::content_type(head).unwrap_or("no type").to_owned();
        if self.source.as_json {
            if answer::is_type(head, JSON) {
                return Ok(Accept::Take { form: Form::Json, same });
            }
            if !answer::is_page(head) {
                let (item, expected) = (self.item.to_owned(), "a file in JSON");
                return Err(SourceError::WrongContent { item, expected, got: said, message: None });
            }
        } else {
            // A file may be a page of its own; then the service says that it is a file.
            let is_file = head.contains_key(header::CONTENT_DISPOSITION) || head.contains_key("x-file-id");
            if is_file || !answer::is_page(head) {
                return Ok(Accept::Take { form: Form::Plain, same });
            }
        }
        self.page = said;
        Ok(Accept::Page)
    }

    fn page(&self, start: &[u8]) -> SourceError {
        let complaint = Complaint::of(start, Some(&self.source.credential));
        match error_of(StatusCode::OK, None, complaint, self.item) {
            SourceError::WrongContent { item, expected, message, .. } => {
                SourceError::WrongContent { item, expected, got: self.page.clone(), message }
            }
            documented => documented,
        }
    }

    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError> {
        Err(self.source.refusal(answer, self.item, self.now).await)
    }
}

#[async_trait]
impl Source for StorageFileSource {
    fn kind(&self) -> Kind {
        Kind::StorageFile
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        if let Some(items) = &self.items {
            return Ok(items.clone());
        }
        let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
        for number in 0.. {
            let rows = self.page(number, PAGE_SIZE).await?;
            let (before, is_last) = (items.len(), rows.len() < PAGE_SIZE);
            for row in rows {
                item::check_id(&row.id).map_err(|rule| SourceError::BadItem { item: item::shown(&row.id), rule })?;
                if seen.insert(row.id.clone()) {
                    let changed = row.updated_at.as_str().map(str::to_owned);
                    items.push(Item { id: row.id, name: row.name, size: row.size.as_u64(), changed });
                }
            }
            if items.len() > ITEMS_MAX {
                return Err(SourceError::TooManyItems(ITEMS_MAX));
            }
            // A service that does not page gives the same items again.
            if is_last || items.len() == before {
                break;
            }
        }
        Ok(items)
    }

    async fn fetch(&self, item: &Item, mut job: Job<'_>) -> Result<Fetched, SourceError> {
        item::check_id(&item.id).map_err(|rule| SourceError::BadItem { item: item::shown(&item.id), rule })?;
        let marked = |known: &&Validators| known.changed.is_some() && known.changed == item.changed;
        if job.known.filter(marked).is_some() {
            return Ok(Fetched::NotModified);
        }
        let mut way = FileWay { source: self, item: &item.id, known: job.known, now: job.now, page: String::new() };
        let errand = Errand {
            client: &self.client,
            tempo: &self.tempo,
            item,
            request: self.request(Some(&item.id), &[])?,
            join_untied: false,
            claim: None,
            classify: transient,
            listed: item.name.clone(),
            stem: item.id.clone(),
        };
        let arrived = match stage::bring(errand, &mut way, &mut job).await {
            Ok(stage::Outcome::Same) => return Ok(Fetched::NotModified),
            Ok(stage::Outcome::All(arrived)) => *arrived,
            Err(error) => return Err(self.explain(error, item, &mut job)),
        };
        let (size, hash) = stage::sum(&arrived.sink);
        let typed = arrived.decoder.json().and_then(|file| file.content_type());
        let name = match typed {
            // The answer's own type is that of the wrapping.
            Some(typed) if !arrived.named => name::fallback(item.name.as_deref().unwrap_or(&item.id), Some(typed)),
            _ => arrived.name,
        };
        let validators = Validators { size: Some(size), changed: item.changed.clone(), ..arrived.validators };
        let verified = Verified::No("the service gives nothing to verify its files by".to_owned());
        Ok(Fetched::Done(Brought { name, size, validators, hash, verified }))
    }

    async fn finish(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn abandon(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        let rows = self.page(0, 1).await?;
        let mut found = vec![format!("{} answers", self.base), "the credential is accepted".to_owned()];
        found.push(match rows.first() {
            Some(_) => "the listing has files".to_owned(),
            None => "the listing is empty".to_owned(),
        });
        let Some(first) = self.items.iter().flatten().next() else { return Ok(found) };
        let answer = self.client.send(self.request(Some(&first.id), &[])?).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(answer, &first.id, UnixNanos(0)).await);
        }
        found.push(format!("\"{}\" is there", first.id));
        Ok(found)
    }
}

impl StorageFileSource {
    /// Counts how often a file was found locked, and understands a message in the object that a file was due in.
    fn explain(&self, error: SourceError, item: &Item, job: &mut Job<'_>) -> SourceError {
        let error = match error {
            SourceError::WrongContent { message: Some(message), expected: "a file in JSON", .. } => {
                self.message(&message, &item.id)
            }
            error => error,
        };
        match error {
            SourceError::Locked { item, retry_after } => {
                let times = job.part.resume.locked;
                job.part.resume.locked = times.saturating_add(1);
                let grown = LOCKED_FIRST.saturating_mul(2_u32.saturating_pow(times)).min(LOCKED_LONGEST);
                SourceError::Locked { item, retry_after: retry_after.max(grown) }
            }
            error => error,
        }
    }
}
