//! The page on loopback: when it listens, and who gets a link to it.

use axum::Extension;
use hcfs_api as api;
use hcfs_api::{ApiError, ErrorCode};
use hcfs_page::{Page, PageError, Socket};
use tokio::sync::Mutex;

use crate::socket::{Peer, Served, routes};

/// The page of one daemon. It listens from when it is first needed until the daemon ends.
#[derive(Default)]
pub(crate) struct PageDoor(Mutex<Option<Page>>);

impl PageDoor {
    /// Listens, if it does not yet.
    pub(crate) async fn open(&self, served: &Served) -> Result<(), ApiError> {
        self.with(served, |_| Ok(())).await
    }

    /// A way in, for who may speak at the socket.
    pub(crate) async fn link(&self, served: &Served) -> Result<api::PageLink, ApiError> {
        let link = self.with(served, Page::link).await?;
        let now = served.supervisor.now();
        let lives = i64::try_from(link.lives.as_millis()).unwrap_or(i64::MAX);
        Ok(api::PageLink { schema: api::SCHEMA, url: link.url, expires_at: now.saturating_add(lives) })
    }

    async fn with<T>(&self, served: &Served, ask: impl FnOnce(&Page) -> Result<T, PageError>) -> Result<T, ApiError> {
        let mut page = self.0.lock().await;
        let page = match &mut *page {
            Some(page) => page,
            none => {
                // The page asks the socket's own routes, as a process of the same user would.
                let peer = Peer { uid: rustix::process::geteuid().as_raw() };
                // With a door of its own, which nobody opens: this one holds the page, and the page holds the routes.
                let own = Served { page: Default::default(), ..served.clone() };
                let socket = Socket::new(routes(own).layer(Extension(peer)), served.supervisor.watch());
                let port = served.supervisor.config().page.port;
                let opened = Page::listen(port, socket, served.stopping.clone()).await.map_err(|error| told(&error))?;
                tracing::info!("the page listens at {}", opened.address());
                none.insert(opened)
            }
        };
        ask(page).map_err(|error| told(&error))
    }
}

fn told(error: &PageError) -> ApiError {
    let code = match error {
        PageError::Port { .. } => ErrorCode::Config,
        PageError::Random(_) => ErrorCode::Io,
    };
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    ApiError::new(code, message, error.hint())
}
