//! Addresses of servers, checked once.
//!
//! Invariants: a [`Url`] is https, or http to this machine; it has a host, no user name, no password and no fragment.
//! Its `Display` and `Debug` leave the query out, which may hold a signature.
//!
//! Deliberately absent: international host names (they must be given as punycode) and relative references outside of
//! redirects.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// The longest accepted address, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Why a text is not an address this client speaks to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text cannot be read as an address.
    #[error("the address is malformed")]
    Malformed,
    /// The text is longer than 16 KiB.
    #[error("the address is longer than 16 KiB")]
    TooLong,
    /// There is no `https://` in front.
    #[error("the address has no scheme")]
    NoScheme,
    /// The scheme is neither `https` nor `http`.
    #[error("the address has the scheme \"{0}\"")]
    Scheme(Box<str>),
    /// There is no host.
    #[error("the address has no host")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("the address has a bad port")]
    Port,
    /// A user name or password stands in front of the host.
    #[error("the address holds a user name or password")]
    UserInfo,
    /// Plain http to a host that is not this machine.
    #[error("plain http to \"{0}\" is refused")]
    PlainHttp(Box<str>),
    /// There is a fragment (`#…`), or a query in a base address.
    #[error("the address has a query or a fragment")]
    Tail,
    /// A path segment is empty, `.` or `..`.
    #[error("the address has an empty, \".\" or \"..\" path segment")]
    Segment,
}

impl UrlError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PlainHttp(_) => "use https; plain http is accepted for localhost, 127.0.0.1 and [::1] only",
            Self::UserInfo => "give the token in the configuration, never in the address",
            Self::NoScheme | Self::Scheme(_) => "begin the address with https://",
            _ => "give an address like https://files.example or https://files.example:8443/api",
        }
    }
}

/// Scheme, host and port: what a credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    https: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Whether connections to it are encrypted.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// An absolute address that may be spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    origin: Origin,
    uri: Uri,
}

impl Url {
    /// Reads an absolute address such as `https://host:port/path?query`.
    ///
    /// # Errors
    /// The first rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(UrlError::Malformed);
        }
        if text.contains('#') {
            return Err(UrlError::Tail);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(UrlError::NoScheme) };
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme(scheme.into()));
        }
        if rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) {
            return Err(UrlError::UserInfo);
        }
        if rest.is_empty() || rest.starts_with(['/', '?', ':']) {
            return Err(UrlError::NoHost);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let origin = origin_of(&uri)?;
        if !origin.https && !is_loopback(&origin.host) {
            return Err(UrlError::PlainHttp(origin.host));
        }
        Ok(Self { origin, uri })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The percent-encoded path, at least `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The encoded query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The whole address with its query. Not for logs: a query may hold a signature.
    pub fn to_secret_string(&self) -> String {
        self.uri.to_string()
    }

    /// Appends percent-encoded pairs to the query, in the order given.
    ///
    /// # Errors
    /// [`UrlError::TooLong`].
    pub fn with_query<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, UrlError> {
        let mut text = self.uri.to_string();
        let mut mark = if self.uri.query().is_some() { '&' } else { '?' };
        for (name, value) in pairs {
            text.push(mark);
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
            mark = '&';
        }
        Self::parse(&text)
    }

    /// Where a `Location` header points to, seen from here. A fragment is dropped.
    ///
    /// # Errors
    /// The first rule the target breaks; [`UrlError::Segment`] for a relative path with dot segments.
    pub fn resolve(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.split('#').next().unwrap_or_default();
        let path = location.split('?').next().unwrap_or_default();
        if path.contains("://") {
            return Self::parse(location);
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(UrlError::Segment);
        }
        let scheme = if self.origin.https { "https" } else { "http" };
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let origin = &self.origin;
        if location.starts_with('/') {
            return Self::parse(&format!("{origin}{location}"));
        }
        let here = self.uri.path();
        let kept = match location.chars().next() {
            None => return Ok(self.clone()),
            Some('?') => here,
            Some(_) => here.rsplit_once('/').map_or("", |(directory, _)| directory),
        };
        let slash = if location.starts_with('?') { "" } else { "/" };
        Self::parse(&format!("{origin}{kept}{slash}{location}"))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.uri.path())?;
        if self.uri.query().is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address of a service, under which its endpoints lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
}

impl BaseUrl {
    /// Reads an address such as `https://host` or `https://host/api/`; a slash at the end makes no difference.
    ///
    /// # Errors
    /// The first rule the text breaks; a query is refused, as are empty and dot segments of the path.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let url = Url::parse(text)?;
        if url.uri.query().is_some() {
            return Err(UrlError::Tail);
        }
        let path = url.path().trim_end_matches('/');
        if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(UrlError::Segment);
        }
        let url = Url::parse(&format!("{}{path}", url.origin))?;
        Ok(Self { url })
    }

    /// The endpoint made of `segments`, each percent-encoded as a whole (a slash inside one becomes `%2F`).
    ///
    /// # Errors
    /// [`UrlError::Segment`] if one is empty, `.` or `..`; [`UrlError::TooLong`].
    pub fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, UrlError> {
        let mut text = format!("{}{}", self.url.origin, self.url.path().trim_end_matches('/'));
        for segment in segments {
            if matches!(segment, "" | "." | "..") {
                return Err(UrlError::Segment);
            }
            text.push('/');
            encode(segment, &mut text);
        }
        Url::parse(&text)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.url.origin
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url.origin, self.url.path().trim_end_matches('/'))
    }
}

/// Whether `host` names this machine whatever a resolver says: `localhost`, 127.0.0.0/8 or `::1`.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn origin_of(uri: &Uri) -> Result<Origin, UrlError> {
    let authority = uri.authority().ok_or(UrlError::NoHost)?;
    let https = uri.scheme() == Some(&Scheme::HTTPS);
    let host = authority.host();
    if host.is_empty() || host == "[]" {
        return Err(UrlError::NoHost);
    }
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => {
            if https {
                443
            } else {
                80
            }
        }
        _ => authority.port_u16().filter(|port| *port != 0).ok_or(UrlError::Port)?,
    };
    Ok(Origin { https, host: host.to_ascii_lowercase().into(), port })
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encode(text: &str, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests;
