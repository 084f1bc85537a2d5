//! The daemon as the page sees it: the routes of the local socket, asked in this process.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hcfs_api::{ApiError, ErrorBody, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// The largest answer that is taken, in bytes: a page of a list is far smaller.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How long an answer may take: a folder that moves large files answers between two of them.
const WITHIN: Duration = Duration::from_secs(10);

/// The daemon's routes, and what tells of a change.
#[derive(Clone)]
pub struct Socket {
    routes: Router,
    changes: watch::Receiver<u64>,
}

impl Socket {
    /// Over the routes of [`hcfs_api::routes`]; `changes` counts up whenever the status does.
    #[must_use]
    pub fn new(routes: Router, changes: watch::Receiver<u64>) -> Self {
        Self { routes, changes }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        let request = head(Method::GET, route, Body::empty())?;
        match tokio::time::timeout(WITHIN, self.ask(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::new(ErrorCode::Busy, "the folder is busy", "load the page again in a moment")),
        }
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        self.ask(head(Method::POST, route, Body::empty())?).await
    }

    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| odd("a request has no JSON form"))?;
        let mut request = head(Method::POST, route, Body::from(body))?;
        let kind = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.ask(request).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        self.ask(head(Method::DELETE, route, Body::empty())?).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, ApiError> {
        let answer = match self.routes.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER_MAX).await.map_err(|_| odd("an answer does not end"))?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|_| odd("an answer is not understood"));
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => Err(error),
            Err(_) => Err(odd("an answer says nothing")),
        }
    }
}

fn head(method: Method, route: &str, body: Body) -> Result<Request<Body>, ApiError> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = route.parse().map_err(|_| odd("a route has no form"))?;
    Ok(request)
}

fn odd(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Internal, message, "the daemon's log says more")
}
