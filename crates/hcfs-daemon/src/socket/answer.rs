//! Requests read and answers written: JSON in, JSON out, every failure as an [`ApiError`].

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hcfs_api::{ApiError, Done, ErrorBody, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::DaemonError;

/// The largest JSON body of a request, in bytes.
pub(super) const BODY_MAX: usize = 64 * 1024;

/// A failure as an answer.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ApiError);

/// What a handler gives.
pub(super) type Answer<T = Response> = Result<T, Failure>;

impl Failure {
    pub(super) fn bad_request(message: impl Into<String>, hint: &str) -> Self {
        Self(ApiError::new(ErrorCode::BadRequest, message, hint))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        Self(error.to_api())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self.0 })).into_response()
    }
}

/// JSON, as a body of a request or of an answer.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(mut json) => {
                json.push(b'\n');
                let mut response = Response::new(Body::from(json));
                let kind = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            // The types of the socket all have a JSON form.
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| body_failure(&rejection))?;
        let value = serde_json::from_slice(&body).map_err(|error| {
            // Its own text may repeat what was sent, and that may be a password: only the place is told.
            let message = match error.classify() {
                serde_json::error::Category::Data => "the JSON of the request does not fit the route",
                _ => "the body of the request is not JSON",
            };
            let place = format!("{message} (line {}, column {})", error.line(), error.column());
            Failure::bad_request(place, "see the interface for the fields of this request")
        })?;
        Ok(Self(value))
    }
}

fn body_failure(rejection: &BytesRejection) -> Failure {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body of the request is longer than {BODY_MAX} bytes");
        return Failure(ApiError::new(ErrorCode::TooLarge, message, "send less"));
    }
    Failure::bad_request("the body of the request did not arrive", "send it again")
}

/// The parameters behind the `?`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Failure::bad_request(
                format!("the parameters of the request are wrong: {}", rejection.body_text()),
                "see the interface for the parameters of this route",
            )),
        }
    }
}

/// The answer of a request that was carried out and has nothing to tell.
pub(super) fn done() -> Answer {
    Ok(Json(Done::default()).into_response())
}
