//! Following redirects without carrying secrets away.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE, USER_AGENT,
};
use http::{Method, StatusCode};

use crate::body::Response;
use crate::client::Client;
use crate::error::{HttpError, HttpErrorKind, Sent};
use crate::request::{Body, Request};
use crate::url::{Url, UrlError};

const MAX_REDIRECTS: usize = 5;

/// Headers that may go to another origin. A list of what may, since a credential can have any name.
const HARMLESS: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
    USER_AGENT,
];

pub(crate) async fn follow(client: &Client, mut request: Request) -> Result<Response, HttpError> {
    for _ in 0..=MAX_REDIRECTS {
        let response = client.exchange(&request).await?;
        match target(&request, &response)? {
            Some(url) => request = aimed_at(request, url),
            None => return Ok(response),
        }
    }
    Err(HttpError::new(HttpErrorKind::TooManyRedirects, Sent::Maybe, request.url.origin()))
}

fn target(request: &Request, response: &Response) -> Result<Option<Url>, HttpError> {
    let redirects = matches!(
        response.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    // Any other method would have to be sent again, or changed; that is the caller's to decide.
    let safe = request.method == Method::GET || request.method == Method::HEAD;
    let Some(location) = response.headers.get(LOCATION).filter(|_| redirects && safe) else { return Ok(None) };
    let origin = request.url.origin();
    let refused = |kind| HttpError::new(kind, Sent::Maybe, origin);
    let location = location.to_str().map_err(|_| refused(HttpErrorKind::BadRedirect(UrlError::Malformed)))?;
    let url = request.url.resolve(location).map_err(|error| refused(HttpErrorKind::BadRedirect(error)))?;
    if origin.is_https() && !url.origin().is_https() {
        return Err(refused(HttpErrorKind::Downgrade));
    }
    Ok(Some(url))
}

fn aimed_at(mut request: Request, url: Url) -> Request {
    if request.url.origin() != url.origin() {
        let kept = HARMLESS.into_iter().filter_map(|name| request.headers.remove(&name).map(|value| (name, value)));
        request.headers = kept.collect();
        request.body = Body::Empty;
    }
    request.url = url;
    request
}
