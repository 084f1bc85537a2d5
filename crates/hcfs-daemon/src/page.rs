//! The page on loopback: when it listens, and who gets a link to it.

use axum::Extension;
use hcfs_api as api;
use hcfs_api::{ApiError, ErrorCode};
use hcfs_page::{Page, PageError, Socket, Throughput};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::socket::{Peer, Served, routes};

/// The page of one daemon. It listens from when it is first needed until the daemon ends; what it draws of the past is
/// noted from the daemon's start.
pub(crate) struct PageDoor {
    socket: Socket,
    throughput: Throughput,
    port: u16,
    stopping: CancellationToken,
    page: Mutex<Option<Page>>,
}

impl PageDoor {
    /// Over the routes of a socket that itself has no page.
    pub(crate) fn new(served: &Served) -> Self {
        // The page asks the socket's own routes, as a process of the same user would.
        let socket = Socket::new(routes(served.clone()).layer(Extension(Peer::Owner)), served.supervisor.watch());
        let stopping = served.stopping.clone();
        Self {
            throughput: Throughput::follow(socket.clone(), stopping.clone()),
            port: served.supervisor.config().page.port,
            page: Mutex::new(None),
            socket,
            stopping,
        }
    }

    /// Listens, if it does not yet.
    pub(crate) async fn open(&self) -> Result<(), ApiError> {
        self.with(|_| Ok(())).await
    }

    /// A way in, for who may speak at the socket.
    pub(crate) async fn link(&self, now: api::UnixMillis) -> Result<api::PageLink, ApiError> {
        let link = self.with(Page::link).await?;
        let lives = i64::try_from(link.lives.as_millis()).unwrap_or(i64::MAX);
        Ok(api::PageLink { schema: api::SCHEMA, url: link.url, expires_at: now.saturating_add(lives) })
    }

    async fn with<T>(&self, ask: impl FnOnce(&Page) -> Result<T, PageError>) -> Result<T, ApiError> {
        let mut page = self.page.lock().await;
        let page = match &mut *page {
            Some(page) => page,
            none => {
                let (socket, throughput) = (self.socket.clone(), self.throughput.clone());
                let opened = Page::listen(self.port, socket, throughput, self.stopping.clone()).await;
                let opened = opened.map_err(|error| told(&error))?;
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
