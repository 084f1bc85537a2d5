//! What a form of the page does: one request to the socket, then back to where the form stood.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hcfs_api::quantity::{bytes, many};
use hcfs_api::{
    ApiError, Done, Emptied, ErrorCode, Limits, Resolution, ResolveRequest, Restored, RunReply, RunSource, SCHEMA,
    SettleHoldRequest, UnlockRequest, routes,
};
use tokio::time::Instant;
use zeroize::{Zeroize as _, Zeroizing};

use crate::gate::{Notice, Session};
use crate::serve::{BODY_MAX, Site};
use crate::socket::Socket;
use crate::view::{View, alone};

/// How long a form may take to arrive.
const BODY: Duration = Duration::from_secs(10);

/// The fields of a form that carries its session's token: there is no other way to them.
pub(crate) struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
    session: Session,
}

impl FromRequest<Arc<Site>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let refused = |status, why| alone(status, "This request is not answered", why, None);
        let Some(session) = request.extensions().get::<Session>().cloned() else {
            return Err(refused(StatusCode::UNAUTHORIZED, "It has no session."));
        };
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"application/x-www-form-urlencoded"));
        if !is_form {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is no form of this page."));
        }
        let too_large = || refused(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than any form of this page.");
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > BODY_MAX) {
            return Err(too_large());
        }
        let body = match tokio::time::timeout(BODY, Bytes::from_request(request, site)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(too_large()),
            Err(_) => return Err(refused(StatusCode::REQUEST_TIMEOUT, "It did not arrive in time.")),
        };
        let fields: Vec<(String, Zeroizing<String>)> = form_urlencoded::parse(&body)
            .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
            .collect();
        let form = Self { fields, session };
        match form.text("token") {
            Ok(token) if form.session.is_token(token) => Ok(form),
            _ => Err(refused(StatusCode::FORBIDDEN, "It does not carry the token of this session's forms.")),
        }
    }
}

impl Form {
    fn text(&self, name: &str) -> Result<&str, ApiError> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| wrong(name))
    }

    fn number(&self, name: &str) -> Result<u64, ApiError> {
        self.text(name)?.trim().parse().map_err(|_| wrong(name))
    }
}

fn wrong(field: &str) -> ApiError {
    let message = format!("the form's field \"{field}\" is missing or wrong");
    ApiError::new(ErrorCode::BadRequest, message, "load the page again")
}

/// `POST act`: carries it out and goes back to the view the form names.
pub(crate) async fn act(State(site): State<Arc<Site>>, form: Form) -> Response {
    let back = form.text("back").ok().and_then(View::read).unwrap_or(View::Overview);
    let now = Instant::now();
    if form.text("do") == Ok("leave") {
        site.gate.leave(&form.session, now);
        return alone(StatusCode::OK, "The page is closed", "Run hcfs ui to open it again.", None);
    }
    let notice = match carry_out(&site.socket, &form).await {
        Ok(text) => Notice { good: true, text, hint: String::new() },
        Err(error) => Notice { good: false, text: error.message, hint: error.hint },
    };
    site.gate.say(&form.session, notice, Instant::now());
    let mut answer = StatusCode::SEE_OTHER.into_response();
    if let Ok(place) = HeaderValue::from_str(&site.at(&back.href())) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    answer
}

/// What was done, as a sentence.
async fn carry_out(socket: &Socket, form: &Form) -> Result<String, ApiError> {
    match form.text("do")? {
        "pause" => done(socket, &routes::pause(form.text("folder")?), "Paused.").await,
        "resume" => done(socket, &routes::resume(form.text("folder")?), "It goes on.").await,
        "look" => done(socket, &routes::scan(form.text("folder")?, false), "Looking at disk and server.").await,
        "resolve" => resolve(socket, form).await,
        "settle" => settle(socket, form).await,
        "restore" => {
            let back: Restored = socket.post(&routes::restore(form.text("folder")?, form.text("id")?)).await?;
            Ok(match back.beside {
                false => format!("Restored: {}", back.path),
                true => format!("Restored as {}, since its own name is taken", back.path),
            })
        }
        "empty-trash" => {
            let gone: Emptied = socket.delete(&routes::whole_trash(form.text("folder")?)).await?;
            Ok(format!("Removed for good: {}, {}.", many(gone.files, "file"), bytes(gone.bytes)))
        }
        "unlock" => unlock(socket, form).await,
        "lock" => done(socket, routes::LOCK, "Locked: no folder is kept in step.").await,
        "limits" => limits(socket, form).await,
        "run-source" => {
            let run = RunSource { timeout: Some(0), ..RunSource::default() };
            let _: RunReply = socket.post_json(&routes::run_source(form.text("source")?), &run).await?;
            Ok("The source runs.".to_owned())
        }
        "cancel-source" => done(socket, &routes::cancel_source(form.text("source")?), "The run was ended.").await,
        _ => Err(wrong("do")),
    }
}

async fn done(socket: &Socket, route: &str, text: &str) -> Result<String, ApiError> {
    let Done { .. } = socket.post(route).await?;
    Ok(text.to_owned())
}

async fn resolve(socket: &Socket, form: &Form) -> Result<String, ApiError> {
    let (resolution, text) = match form.text("resolution")? {
        "keep-local" => (Resolution::KeepLocal, "This device's version takes the name."),
        "accept-remote" => (Resolution::AcceptRemote, "The server's version takes the name."),
        "keep-both" => (Resolution::KeepBoth, "Both versions stay."),
        "skip" => (Resolution::Skip, "Neither version is touched."),
        _ => return Err(wrong("resolution")),
    };
    let route = routes::conflict(form.text("folder")?, form.number("id")?);
    let Done { .. } = socket.post_json(&route, &ResolveRequest { resolution }).await?;
    Ok(text.to_owned())
}

async fn settle(socket: &Socket, form: &Form) -> Result<String, ApiError> {
    let (accept, text) = match form.text("answer")? {
        "accept" => (true, "It is let happen."),
        "restore" => (false, "The files are brought back."),
        _ => return Err(wrong("answer")),
    };
    let route = routes::hold(form.text("folder")?, form.number("id")?);
    let Done { .. } = socket.post_json(&route, &SettleHoldRequest { accept }).await?;
    Ok(text.to_owned())
}

async fn unlock(socket: &Socket, form: &Form) -> Result<String, ApiError> {
    let password = form.text("password")?;
    if password.is_empty() {
        return Err(ApiError::new(ErrorCode::WrongPassword, "no password was given", "type it"));
    }
    let mut request = UnlockRequest { password: password.to_owned() };
    let unlocked: Result<Done, ApiError> = socket.post_json(routes::UNLOCK, &request).await;
    request.password.zeroize();
    unlocked.map(|_| "Unlocked.".to_owned())
}

async fn limits(socket: &Socket, form: &Form) -> Result<String, ApiError> {
    let rate = |name| form.number(name)?.checked_mul(1024).ok_or_else(|| wrong(name));
    let (upload, download) = (rate("upload")?, rate("download")?);
    let wanted = Limits { schema: SCHEMA, upload, download, transfers: form.number("transfers")? };
    let now: Limits = socket.post_json(routes::LIMITS, &wanted).await?;
    Ok(if now == wanted {
        "The limits hold from now on.".to_owned()
    } else {
        "The limits were written down; the daemon's environment overrides them.".to_owned()
    })
}
