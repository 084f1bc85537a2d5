//! `cid`: files of a decentralised storage, named by their content.
//!
//! Facts: `POST {base}/api/v1/get?arg={CID}` with a bearer token answers with the bytes, or, where the service hands a
//! node's own answer on, with a tar archive of one file named by the CID; 401 without or with a bad token; 500
//! `{error}`.
//!
//! Invariants: content that is not its CID's is never done; an archive is told from a file that happens to be one by
//! the CID itself.

pub(crate) mod follow;
mod hash;
pub(crate) mod id;
mod unixfs;
pub(crate) mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use hcfs_http::{
    BaseUrl, Client, HeaderMap, Outcome, Request, Response, StatusCode, Verdict, header, retry_after, transient,
};
use hcfs_model::UnixNanos;

use crate::answer::{self, Complaint};
use crate::credential::Credential;
use crate::error::SourceError;
use crate::item;
use crate::kind::Kind;
use crate::name;
use crate::resume::Resume;
use crate::settings::{CidSettings, Tempo, Verify};
use crate::source::{Brought, Fetched, Item, Job, Progress, Source, Stage, Verified};
use crate::stage::{self, Accept, Arrived, Errand, Form, IsWrapper, Way};
use id::{Claim, ContentId};
use settle::{Settled, settle};

mod settle;

/// The CID of no bytes at all: what a service is asked for when there is nothing else to ask for.
const EMPTY: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

/// See the module.
pub(crate) struct CidSource {
    client: Client,
    tempo: Tempo,
    base: BaseUrl,
    credential: Credential,
    items: Vec<Item>,
    verify: Verify,
}

impl CidSource {
    pub(crate) fn open(settings: CidSettings, client: Client, tempo: Tempo) -> Result<Self, SourceError> {
        let items = item::items(&settings.items, |id| ContentId::parse(id).map(|_| ()))?;
        let CidSettings { base, credential, verify, .. } = settings;
        Ok(Self { client, tempo, base, credential, items, verify })
    }

    fn request(&self, cid: &str) -> Result<Request, SourceError> {
        let refused = |source| SourceError::Address { what: format!("\"{cid}\""), source };
        let url =
            self.base.join(["api", "v1", "get"]).and_then(|url| url.with_query([("arg", cid)])).map_err(refused)?;
        // It changes nothing there, whatever its method.
        Ok(Request::post(url).idempotent().credential(header::AUTHORIZATION, self.credential.header("Bearer ")))
    }

    fn errand<'a>(&'a self, item: &'a Item, id: &ContentId) -> Result<Errand<'a>, SourceError> {
        Ok(Errand {
            client: &self.client,
            tempo: &self.tempo,
            item,
            request: self.request(&item.id)?,
            join_untied: self.verify != Verify::Off && !matches!(id.claim, Claim::Unknown(_)),
            claim: (self.verify != Verify::Off).then(|| id.clone()),
            classify,
            listed: item.name.clone(),
            stem: item.id.clone(),
        })
    }

    /// Holds what arrived against its CID.
    async fn judge(
        &self,
        item: &Item,
        id: ContentId,
        arrived: Arrived,
        way: &CidWay<'_>,
    ) -> Result<Brought, SourceError> {
        let plain = arrived.decoder.member().is_none();
        let (sink, claim) = (arrived.sink, (self.verify != Verify::Off).then_some(id));
        let settled = stage::blocking(move || settle(sink, plain, claim.as_ref())).await;
        let settled = settled.map_err(|source| SourceError::Part { item: item.id.clone(), source })?;
        let item_id = || item.id.clone();
        let (sink, unpacked, verified) = match settled {
            Settled::Right(sink, unpacked) => (sink, unpacked, Verified::Yes),
            Settled::Wrong => return Err(SourceError::Mismatch { item: item_id() }),
            Settled::NotOneFile(reason) => return Err(SourceError::Archive { item: item_id(), reason }),
            Settled::Unknown(_, _, reason) if self.verify == Verify::Required => {
                return Err(SourceError::Unverified { item: item_id(), reason });
            }
            Settled::Unknown(..) if way.page.is_some() => {
                return Err(SourceError::WrongContent {
                    item: item_id(),
                    expected: "a file",
                    got: way.page.clone().unwrap_or_default(),
                    message: None,
                });
            }
            Settled::Unknown(sink, unpacked, reason) => (sink, unpacked, Verified::No(reason)),
        };
        // The answer's type is that of the archive.
        let inner = match (plain, unpacked) {
            _ if arrived.named => None,
            (true, None) => None,
            (_, unpacked) => Some(unpacked.and_then(|name| name::safe_name(&name)).unwrap_or_else(item_id)),
        };
        let (size, hash) = stage::sum(&sink);
        let validators = crate::validators::Validators { size: Some(size), ..arrived.validators };
        Ok(Brought { name: inner.unwrap_or(arrived.name), size, validators, hash, verified })
    }
}

/// A 500 is this service's word for anything it could not do; asking again at once does not change it.
fn classify(outcome: &Outcome, now: UnixNanos) -> Verdict {
    match outcome {
        Ok(answer) if answer.status == StatusCode::INTERNAL_SERVER_ERROR => Verdict::Done,
        outcome => transient(outcome, now),
    }
}

struct CidWay<'a> {
    source: &'a CidSource,
    item: &'a str,
    is_wrapper: IsWrapper,
    now: UnixNanos,
    /// The type of an answer that may be a page in place of the file.
    page: Option<String>,
}

#[async_trait]
impl Way for CidWay<'_> {
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError> {
        let page = answer::content_type(head).filter(|_| answer::is_page(head) && name::file_name(head).is_none());
        self.page = page.map(str::to_owned);
        Ok(Accept::Take { form: Form::PerhapsPacked(Arc::clone(&self.is_wrapper)), same: false })
    }

    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError> {
        Err(self.source.refusal(answer, self.item, self.now).await)
    }
}

impl CidSource {
    async fn refusal(&self, answer: Response, item: &str, now: UnixNanos) -> SourceError {
        let (status, wait) = (answer.status, retry_after(&answer.headers, now));
        let complaint = Complaint::read(answer, Some(&self.credential)).await;
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                SourceError::ServiceFailed { item: item.to_owned(), message: complaint.message }
            }
            status => answer::error_of(status, wait, complaint, item),
        }
    }
}

#[async_trait]
impl Source for CidSource {
    fn kind(&self) -> Kind {
        Kind::Cid
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        Ok(self.items.clone())
    }

    async fn fetch(&self, item: &Item, mut job: Job<'_>) -> Result<Fetched, SourceError> {
        let id =
            ContentId::parse(&item.id).map_err(|rule| SourceError::BadItem { item: item::shown(&item.id), rule })?;
        if job.known.is_some() {
            // What a CID names never changes.
            return Ok(Fetched::NotModified);
        }
        if let (Claim::Unknown(reason), Verify::Required) = (&id.claim, self.verify) {
            return Err(SourceError::Unverified { item: item.id.clone(), reason: reason.clone() });
        }
        let multihash = id.multihash.clone();
        let is_wrapper: IsWrapper = Arc::new(move |name| {
            ContentId::parse(name.trim_start_matches("./")).is_ok_and(|other| other.multihash == multihash)
        });
        let mut way = CidWay { source: self, item: &item.id, is_wrapper, now: job.now, page: None };
        let errand = self.errand(item, &id)?;
        let arrived = match stage::bring(errand, &mut way, &mut job).await? {
            stage::Outcome::Same => return Ok(Fetched::NotModified),
            stage::Outcome::All(arrived) => *arrived,
        };
        job.watcher.progress(Progress {
            stage: Stage::Verifying,
            bytes: arrived.sink.len,
            total: Some(arrived.sink.len),
        });
        let brought = self.judge(item, id, arrived, &way).await;
        if brought.is_err() {
            job.part.resume.forget_content();
        }
        Ok(Fetched::Done(brought?))
    }

    async fn finish(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn abandon(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        let asked = self.items.first().map(|item| item.id.as_str());
        let request = self.request(asked.unwrap_or(EMPTY))?;
        let answer = self.client.send(request).await?;
        let mut found = vec![format!("{} answers", self.base)];
        match (answer.status, asked) {
            (StatusCode::OK | StatusCode::PARTIAL_CONTENT, Some(cid)) => {
                found.push("the token is accepted".to_owned());
                found.push(match answer.body.content_length() {
                    Some(size) => format!("\"{cid}\" is there, {size} bytes"),
                    None => format!("\"{cid}\" is there"),
                });
            }
            (StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR, None) => {
                found.push("the token is accepted".to_owned());
            }
            _ => return Err(self.refusal(answer, asked.unwrap_or(EMPTY), UnixNanos(0)).await),
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
