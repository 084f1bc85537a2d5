//! What a request must show before anything looks at it, and the headers of every answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::serve::Site;
use crate::view::alone;

/// The name of the session's cookie.
pub(crate) const COOKIE: &str = "hcfs";

/// Headers of every answer: nothing is loaded from elsewhere, framed, guessed, kept or told to others.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Answers only what was meant for this listener, and what no other site caused.
pub(crate) async fn admit(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut answer = match refusal(&site, &request) {
        Some(why) => alone(StatusCode::FORBIDDEN, "This request is not answered", why, None),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn refusal(site: &Site, request: &Request) -> Option<&'static str> {
    let headers = request.headers();
    let Some(host) = own_host(site, request) else {
        return Some("It names another host. Open the link as hcfs ui gives it.");
    };
    let fetch_site = only(headers, "sec-fetch-site");
    match fetch_site {
        Only::None | Only::One("same-origin" | "none") => {}
        // A person may follow a link to here; nothing else of another site may reach anything here.
        Only::One("cross-site" | "same-site")
            if request.method() == Method::GET
                && only(headers, "sec-fetch-mode") == Only::One("navigate")
                && only(headers, "sec-fetch-dest") == Only::One("document") => {}
        _ => return Some("Another site caused it."),
    }
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return None;
    }
    let same_origin = match only(headers, "origin") {
        Only::One(origin) if origin.strip_prefix("http://") == Some(host) => true,
        // What a page that tells no referrer sends; the browser's other word then decides.
        Only::None | Only::One("null") => fetch_site == Only::One("same-origin"),
        _ => false,
    };
    (!same_origin).then_some("It does not come from this page.")
}

/// The host a request names, where it is this listener.
fn own_host<'r>(site: &Site, request: &'r Request) -> Option<&'r str> {
    let Only::One(host) = only(request.headers(), "host") else { return None };
    let name = host.strip_suffix(&format!(":{}", site.port))?;
    let named_again = request.uri().authority().is_none_or(|authority| authority.as_str() == host);
    (matches!(name, "127.0.0.1" | "localhost") && named_again).then_some(host)
}

/// A header that may stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only<'h> {
    None,
    One(&'h str),
    Odd,
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Only<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Only::None,
        (Some(Ok(value)), None) => Only::One(value),
        _ => Only::Odd,
    }
}

/// Lets in who has a session, and hands it to the handler.
pub(crate) async fn session(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let by_a_person = request.uri().path() != site.at("live");
    let now = Instant::now();
    let cookies = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let found =
        values.find_map(|(name, value)| if name == COOKIE { site.gate.admit(value, by_a_person, now) } else { None });
    match found {
        Some(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        None => alone(
            StatusCode::UNAUTHORIZED,
            "This page is closed",
            "It ends after half an hour without use. Run hcfs ui to open it again.",
            None,
        ),
    }
}
