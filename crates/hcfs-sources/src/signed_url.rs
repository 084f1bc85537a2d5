//! `signed_url`: an organisation's files, behind links that are signed for an hour.
//!
//! Facts: `GET {base}/v1/organizations/{org}/files/{file}/content` with `X-API-Key` answers `{file_id, filename,
//! mime_type, file_size, download_url}`; the link holds `token` and `expires`, and is fetched without any credential.
//! Its errors are 401 `TOKEN_INVALID` and 404 `FILE_NOT_FOUND`, in an envelope with a trace id.
//!
//! Invariants: the key is in no request but the one for the link, and leaves its origin never; the link is in no
//! record, message or log; a link that ran out is replaced and the download goes on.

use async_trait::async_trait;
use hcfs_http::{
    BaseUrl, Client, HeaderMap, HeaderName, Request, Response, StatusCode, Url, UrlError, retry_after, transient,
};
use hcfs_model::UnixNanos;
use serde::Deserialize;
use tokio::time::Instant;

use crate::answer::{self, Complaint};
use crate::credential::Credential;
use crate::error::SourceError;
use crate::item;
use crate::kind::Kind;
use crate::resume::Resume;
use crate::settings::{SignedUrlSettings, Tempo};
use crate::source::{Brought, Fetched, Item, Job, Source, Verified};
use crate::stage::{self, Accept, Errand, Form, Way};
use crate::validators::Validators;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How long before its end a link is replaced, in seconds.
const MARGIN: i64 = 60;
/// Links refused in a row before it is given up.
const REFUSED_MAX: u32 = 2;

/// See the module.
pub(crate) struct SignedUrlSource {
    client: Client,
    tempo: Tempo,
    base: BaseUrl,
    credential: Credential,
    organization: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    file_id: Option<String>,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    mime_type: Option<String>,
    #[serde(default)]
    file_size: Option<u64>,
    download_url: String,
    #[serde(default)]
    expires: Option<i64>,
}

/// Where a file is to be had for a while.
struct Link {
    url: Url,
    /// When it ends, in seconds since the epoch.
    expires: Option<i64>,
    name: Option<String>,
    mime_type: Option<String>,
    size: Option<u64>,
}

impl SignedUrlSource {
    pub(crate) fn open(settings: SignedUrlSettings, client: Client, tempo: Tempo) -> Result<Self, SourceError> {
        let SignedUrlSettings { base, credential, organization, items } = settings;
        item::check_id(&organization)
            .map_err(|rule| SourceError::BadItem { item: item::shown(&organization), rule })?;
        let items = item::items(&items, item::check_id)?;
        Ok(Self { client, tempo, base, credential, organization, items })
    }

    /// Asks for a link.
    async fn link(&self, item: &str, now: UnixNanos) -> Result<Link, SourceError> {
        let refused = |source| SourceError::Address { what: format!("\"{item}\""), source };
        let segments = ["v1", "organizations", &self.organization, "files", item, "content"];
        let url = self.base.join(segments).map_err(refused)?;
        let request = Request::get(url).follow_redirects().credential(API_KEY, self.credential.header(""));
        let answer = answer::ask(&self.client, &self.tempo, &request, now).await?;
        if answer.status != StatusCode::OK {
            return Err(answer::refusal(answer, Some(&self.credential), item, now).await);
        }
        let from = answer.url.clone();
        let content: Content = answer::json(answer, "download link", answer::COMPLAINT_MAX).await?;
        if content.file_id.as_deref().is_some_and(|id| id != item) {
            return Err(SourceError::BadAnswer { what: "download link", reason: "it is for another file".to_owned() });
        }
        let link = |source| SourceError::Address { what: format!("the download link of \"{item}\""), source };
        let url = from.resolve(&content.download_url).map_err(link)?;
        if from.origin().is_https() && !url.origin().is_https() {
            return Err(link(UrlError::PlainHttp(url.origin().host().into())));
        }
        let expires = content.expires.or_else(|| expires(&url));
        let Content { filename: name, mime_type, file_size: size, .. } = content;
        Ok(Link { url, expires, name, mime_type, size })
    }
}

/// When a link says that it ends.
fn expires(url: &Url) -> Option<i64> {
    url.query()?.split('&').find_map(|pair| pair.strip_prefix("expires="))?.parse().ok()
}

struct LinkWay<'a> {
    source: &'a SignedUrlSource,
    item: &'a str,
    link: Link,
    known: Option<&'a Validators>,
    now: UnixNanos,
    started: Instant,
    /// Links in a row that were refused.
    refused: u32,
    page: String,
}

impl LinkWay<'_> {
    fn now(&self) -> UnixNanos {
        let passed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        UnixNanos(self.now.0.saturating_add(passed))
    }

    /// Holds a size against the one that was announced with the link.
    fn check_size(&self, got: u64) -> Result<(), SourceError> {
        match self.link.size {
            Some(expected) if expected != got => {
                Err(SourceError::WrongSize { item: self.item.to_owned(), expected, got })
            }
            _ => Ok(()),
        }
    }

    async fn replace(&mut self) -> Result<Request, SourceError> {
        let now = self.now();
        self.link = self.source.link(self.item, now).await?;
        Ok(request(&self.link))
    }
}

/// The request for the file: nothing but the link.
fn request(link: &Link) -> Request {
    Request::get(link.url.clone()).follow_redirects()
}

#[async_trait]
impl Way for LinkWay<'_> {
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError> {
        self.refused = 0;
        let said = answer::content_type(head).unwrap_or("no type");
        let due = self.link.mime_type.as_deref().is_some_and(|due| due.eq_ignore_ascii_case(said));
        let named = head.contains_key(hcfs_http::header::CONTENT_DISPOSITION);
        if answer::is_page(head) && !due && !(named && self.link.mime_type.is_none()) {
            said.clone_into(&mut self.page);
            return Ok(Accept::Page);
        }
        if let Some(length) = stage::length(head) {
            self.check_size(length)?;
        }
        let same = self.known.is_some_and(|known| stage::is_known(head, known));
        Ok(Accept::Take { form: Form::Plain, same })
    }

    fn page(&self, start: &[u8]) -> SourceError {
        let message = Complaint::of(start, Some(&self.source.credential)).message;
        SourceError::WrongContent { item: self.item.to_owned(), expected: "a file", got: self.page.clone(), message }
    }

    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError> {
        let (status, wait) = (answer.status, retry_after(&answer.headers, self.now()));
        let complaint = Complaint::read(answer, Some(&self.source.credential)).await;
        let is_expired = status == StatusCode::UNAUTHORIZED || complaint.code.as_deref() == Some("TOKEN_INVALID");
        if !is_expired {
            return Err(answer::error_of(status, wait, complaint, self.item));
        }
        self.refused += 1;
        if self.refused >= REFUSED_MAX {
            let Complaint { message, trace, .. } = complaint;
            return Err(SourceError::LinkInvalid { item: self.item.to_owned(), message, trace });
        }
        self.replace().await
    }

    async fn renew(&mut self) -> Result<Option<Request>, SourceError> {
        let now = self.now().0 / 1_000_000_000;
        match self.link.expires {
            Some(expires) if now.saturating_add(MARGIN) >= expires => self.replace().await.map(Some),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Source for SignedUrlSource {
    fn kind(&self) -> Kind {
        Kind::SignedUrl
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        Ok(self.items.clone())
    }

    async fn fetch(&self, item: &Item, mut job: Job<'_>) -> Result<Fetched, SourceError> {
        item::check_id(&item.id).map_err(|rule| SourceError::BadItem { item: item::shown(&item.id), rule })?;
        let link = self.link(&item.id, job.now).await?;
        let errand = Errand {
            client: &self.client,
            tempo: &self.tempo,
            item,
            request: request(&link),
            join_untied: false,
            claim: None,
            classify: transient,
            listed: link.name.clone().or_else(|| item.name.clone()),
            stem: item.id.clone(),
        };
        let (item_id, known, now) = (item.id.as_str(), job.known, job.now);
        let (started, page) = (Instant::now(), String::new());
        let mut way = LinkWay { source: self, item: item_id, link, known, now, started, refused: 0, page };
        let arrived = match stage::bring(errand, &mut way, &mut job).await? {
            stage::Outcome::Same => return Ok(Fetched::NotModified),
            stage::Outcome::All(arrived) => *arrived,
        };
        let (size, hash) = stage::sum(&arrived.sink);
        way.check_size(size).inspect_err(|_| job.part.resume.forget_content())?;
        let verified = Verified::No("the service gives nothing to verify its files by".to_owned());
        Ok(Fetched::Done(Brought { name: arrived.name, size, validators: arrived.validators, hash, verified }))
    }

    async fn finish(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn abandon(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        let Some(first) = self.items.first() else {
            return Ok(vec!["there is no item to ask for, so nothing was asked".to_owned()]);
        };
        let link = self.link(&first.id, UnixNanos(0)).await?;
        let mut found = vec![format!("{} answers", self.base), "the key is accepted".to_owned()];
        found.push(match link.size {
            Some(size) => format!("\"{}\" is there, {size} bytes", first.id),
            None => format!("\"{}\" is there", first.id),
        });
        let answer = self.client.send(request(&link)).await?;
        if answer.status != StatusCode::OK {
            return Err(answer::refusal(answer, Some(&self.credential), &first.id, UnixNanos(0)).await);
        }
        found.push(format!("its link leads to {} and is accepted without the key", link.url.origin()));
        Ok(found)
    }
}
