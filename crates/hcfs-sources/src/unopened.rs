//! A source whose service is not spoken to yet.

use async_trait::async_trait;

use crate::error::SourceError;
use crate::kind::Kind;
use crate::resume::Resume;
use crate::source::{Fetched, Item, Job, Source};

pub(crate) struct Unopened(pub(crate) Kind);

fn refuse<T>() -> Result<T, SourceError> {
    Err(SourceError::Status { status: 501, code: None, message: None, trace: None })
}

#[async_trait]
impl Source for Unopened {
    fn kind(&self) -> Kind {
        self.0
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        refuse()
    }

    async fn fetch(&self, _item: &Item, _job: Job<'_>) -> Result<Fetched, SourceError> {
        refuse()
    }

    async fn finish(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        refuse()
    }

    async fn abandon(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        refuse()
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        refuse()
    }
}
