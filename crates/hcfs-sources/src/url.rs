//! `url`: files at any address.
//!
//! Facts: a GET; `ETag` and `Last-Modified` say whether a file has changed; redirects are followed.
//!
//! Deliberately absent: credentials. An address that needs one is a service of its own.

use async_trait::async_trait;
use hcfs_http::{Client, HeaderMap, Request, Response, StatusCode, Url, transient};
use hcfs_model::UnixNanos;

use crate::answer;
use crate::error::SourceError;
use crate::item;
use crate::kind::Kind;
use crate::name;
use crate::resume::Resume;
use crate::settings::{Tempo, UrlSettings};
use crate::source::{Brought, Fetched, Item, Job, Source, Verified};
use crate::stage::{self, Accept, Errand, Form, Way};
use crate::validators::Validators;

/// See the module.
pub(crate) struct UrlSource {
    client: Client,
    tempo: Tempo,
    items: Vec<Item>,
}

impl UrlSource {
    pub(crate) fn open(settings: &UrlSettings, client: Client, tempo: Tempo) -> Result<Self, SourceError> {
        let items = item::items(&settings.items, item::check_address)?;
        items.iter().try_for_each(|item| address(&item.id).map(|_| ()))?;
        Ok(Self { client, tempo, items })
    }
}

fn address(text: &str) -> Result<Url, SourceError> {
    Url::parse(text).map_err(|source| SourceError::Address { what: format!("\"{}\"", item::public(text)), source })
}

struct UrlWay<'a> {
    item: &'a str,
    known: Option<&'a Validators>,
    now: UnixNanos,
}

#[async_trait]
impl Way for UrlWay<'_> {
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError> {
        let same = self.known.is_some_and(|known| stage::is_known(head, known));
        Ok(Accept::Take { form: Form::Plain, same })
    }

    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError> {
        Err(refusal(answer, self.item, self.now).await)
    }
}

/// Without a credential a 401 says that the address wants one.
async fn refusal(answer: Response, item: &str, now: UnixNanos) -> SourceError {
    match answer::refusal(answer, None, item, now).await {
        SourceError::Unauthorized { message, trace } => SourceError::Denied { item: item.to_owned(), message, trace },
        error => error,
    }
}

#[async_trait]
impl Source for UrlSource {
    fn kind(&self) -> Kind {
        Kind::Url
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        Ok(self.items.clone())
    }

    async fn fetch(&self, item: &Item, mut job: Job<'_>) -> Result<Fetched, SourceError> {
        let url = address(&item.id)?;
        // A query may hold a signature, and errors show what they name.
        let shown = Item::new(item::public(&item.id));
        let mut way = UrlWay { item: &shown.id, known: job.known, now: job.now };
        let errand = Errand {
            client: &self.client,
            tempo: &self.tempo,
            item: &shown,
            join_untied: false,
            claim: None,
            classify: transient,
            listed: item.name.clone(),
            stem: name::of_address(url.path()).unwrap_or_else(|| url.origin().host().to_owned()),
            request: Request::get(url).follow_redirects(),
        };
        let arrived = match stage::bring(errand, &mut way, &mut job).await? {
            stage::Outcome::Same => return Ok(Fetched::NotModified),
            stage::Outcome::All(arrived) => *arrived,
        };
        let (size, hash) = stage::sum(&arrived.sink);
        let verified = Verified::No("an address says nothing of the content".to_owned());
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
        let url = address(&first.id)?;
        let answer = self.client.send(Request::get(url.clone()).follow_redirects()).await?;
        let shown = item::public(&first.id);
        if answer.status != StatusCode::OK {
            return Err(refusal(answer, &shown, UnixNanos(0)).await);
        }
        let size = answer.body.content_length().map_or_else(String::new, |size| format!(", {size} bytes"));
        Ok(vec![format!("{} answers", url.origin()), format!("\"{shown}\" is there{size}")])
    }
}
