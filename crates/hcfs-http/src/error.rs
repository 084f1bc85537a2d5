//! What can go wrong with one request, and whether the server may have seen it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;

use crate::url::{Origin, UrlError};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Whether a failed request may have reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Not a byte of it was sent: it can be sent again whatever it does.
    No,
    /// The server may have acted on it.
    Maybe,
}

/// Where making a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// The host name has no address.
    #[error("the host name cannot be resolved")]
    Dns,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// No way to the host.
    #[error("the host is unreachable")]
    Unreachable,
    /// The certificate is not trusted, out of date, or of another host.
    #[error("the server's certificate is not accepted")]
    Certificate,
    /// The TLS handshake failed for another reason.
    #[error("no encrypted connection could be made")]
    Tls,
    /// No connection within the deadline.
    #[error("the connection was not made in time")]
    Timeout,
    /// Anything else.
    #[error("the connection failed")]
    Other,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpErrorKind {
    /// No connection.
    #[error("{0}")]
    Connect(ConnectFailure),
    /// The request was sent; the answer did not begin within the deadline.
    #[error("the server did not answer within {} s", .0.as_secs_f32())]
    FirstByteTimeout(Duration),
    /// Bytes stopped moving, in either direction, for as long as the deadline.
    #[error("the transfer stood still for {} s", .0.as_secs_f32())]
    Stall(Duration),
    /// The deadline of the whole exchange passed.
    #[error("the exchange took longer than {} s", .0.as_secs_f32())]
    TotalTimeout(Duration),
    /// The connection ended before the answer was complete.
    #[error("the connection was cut")]
    Cut,
    /// The body is larger than the caller accepts, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The answer is not valid HTTP.
    #[error("the answer is not valid HTTP")]
    Protocol,
    /// The caller's own body could not be read or had another length than declared.
    #[error("the body to send could not be read")]
    RequestBody,
    /// A redirect leads to an address that is refused.
    #[error("a redirect is refused: {0}")]
    BadRedirect(UrlError),
    /// A redirect leads from https to plain http.
    #[error("a redirect to plain http is refused")]
    Downgrade,
    /// More than five redirects.
    #[error("there are too many redirects")]
    TooManyRedirects,
    /// The TLS set-up of this machine or configuration cannot be used.
    #[error("TLS cannot be set up")]
    Setup,
}

/// A request that brought no usable answer.
#[derive(Debug)]
pub struct HttpError {
    /// What went wrong.
    pub kind: HttpErrorKind,
    /// Whether the server may have seen the request.
    pub sent: Sent,
    origin: Option<Origin>,
    source: Option<BoxError>,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "request to {origin}: {}", self.kind),
            None => fmt::Display::fmt(&self.kind, f),
        }
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl HttpError {
    pub(crate) fn new(kind: HttpErrorKind, sent: Sent, origin: &Origin) -> Self {
        Self { kind, sent, origin: Some(origin.clone()), source: None }
    }

    pub(crate) fn setup(source: impl Into<BoxError>) -> Self {
        Self { kind: HttpErrorKind::Setup, sent: Sent::No, origin: None, source: Some(source.into()) }
    }

    pub(crate) fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The server the request was for.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// For [`HttpErrorKind::RequestBody`]: the error the caller's stream gave.
    pub fn body_error(&self) -> Option<&io::Error> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }

    /// Whether trying again later, unchanged, can help. Says nothing about whether it is safe: see [`Self::sent`].
    pub fn is_transient(&self) -> bool {
        use ConnectFailure::{Certificate, Tls};
        match &self.kind {
            HttpErrorKind::Connect(failure) => !matches!(failure, Certificate | Tls),
            HttpErrorKind::FirstByteTimeout(_)
            | HttpErrorKind::Stall(_)
            | HttpErrorKind::TotalTimeout(_)
            | HttpErrorKind::Cut => true,
            HttpErrorKind::TooLarge(_)
            | HttpErrorKind::Protocol
            | HttpErrorKind::RequestBody
            | HttpErrorKind::BadRedirect(_)
            | HttpErrorKind::Downgrade
            | HttpErrorKind::TooManyRedirects
            | HttpErrorKind::Setup => false,
        }
    }

    /// What a person can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match &self.kind {
            HttpErrorKind::Connect(failure) => Some(match failure {
                ConnectFailure::Dns => "check the server's name and that this machine is online",
                ConnectFailure::Refused => "check the address and port, and that the server is running",
                ConnectFailure::Unreachable | ConnectFailure::Timeout | ConnectFailure::Other => {
                    "check that this machine is online and may reach the server"
                }
                ConnectFailure::Certificate => {
                    "check the server's name and this machine's clock; for an authority of your own, add its certificate"
                }
                ConnectFailure::Tls => "check that the port speaks https",
            }),
            HttpErrorKind::Protocol => Some("check that the address is that of the service"),
            HttpErrorKind::BadRedirect(_) | HttpErrorKind::Downgrade | HttpErrorKind::TooManyRedirects => {
                Some("give the address the service redirects to")
            }
            HttpErrorKind::Setup => Some("install this machine's root certificates, or name a certificate file"),
            _ => None,
        }
    }

    /// Tells the errors of the connection pool apart.
    pub(crate) fn from_client(error: legacy::Error, origin: &Origin) -> Self {
        let (kind, sent) = if error.is_connect() {
            (HttpErrorKind::Connect(connect_failure(&error)), Sent::No)
        } else {
            match find::<hyper::Error>(&error) {
                // The connection closed before it took the request.
                Some(inner) if inner.is_canceled() => (HttpErrorKind::Cut, Sent::No),
                Some(inner) => (exchange_kind(inner), Sent::Maybe),
                None => (HttpErrorKind::Cut, Sent::Maybe),
            }
        };
        Self::new(kind, sent, origin).because(error)
    }

    /// An error while the body of an answer is read.
    pub(crate) fn from_body(error: hyper::Error, origin: &Origin) -> Self {
        Self::new(exchange_kind(&error), Sent::Maybe, origin).because(error)
    }
}

fn exchange_kind(error: &hyper::Error) -> HttpErrorKind {
    // A body that breaks its framing comes as an i/o error. A broken TLS record looks alike, but is the way's fault.
    let framing = find::<io::Error>(error)
        .is_some_and(|error| matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData));
    let broken = framing && find::<rustls::Error>(error).is_none();
    if error.is_parse() || broken { HttpErrorKind::Protocol } else { HttpErrorKind::Cut }
}

fn connect_failure(error: &legacy::Error) -> ConnectFailure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => ConnectFailure::Certificate,
            _ => ConnectFailure::Tls,
        };
    }
    if find::<rustls::pki_types::InvalidDnsNameError>(error).is_some() {
        return ConnectFailure::Dns;
    }
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = link {
        // The connector keeps its error type to itself; this text is how it names the stage.
        if current.to_string() == "dns error" {
            return ConnectFailure::Dns;
        }
        link = current.source();
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => ConnectFailure::Refused,
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown) => {
            ConnectFailure::Unreachable
        }
        Some(io::ErrorKind::TimedOut) => ConnectFailure::Timeout,
        _ => ConnectFailure::Other,
    }
}

/// The first error of type `T` in the chain. An `io::Error` hides what it wraps from `source`, so its inside is
/// searched too.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut link = Some(error);
    while let Some(current) = link {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        link = match inside {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}
