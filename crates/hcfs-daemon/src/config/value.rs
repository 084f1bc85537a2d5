//! The values of the configuration, from their text; the same for the file and the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hcfs_api::{FolderMode, Resolution};
use hcfs_model::{AccountAddress, FolderLabel};

use super::error::Wrong;
use crate::name_service;
use crate::secret::{SecretPlace, Unlock};

/// The longest device name, in bytes: it becomes part of the names of conflict copies.
const DEVICE_MAX: usize = 64;

pub(super) fn device(text: &str) -> Result<String, Wrong> {
    let hint = "give a short name such as \"laptop-home\"";
    if text.is_empty() || text.trim() != text {
        return Err(Wrong::new("is empty, or starts or ends with a blank", hint));
    }
    if text.len() > DEVICE_MAX {
        return Err(Wrong::new(format!("is longer than {DEVICE_MAX} bytes"), hint));
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
        return Err(Wrong::new("has a control character or a slash, which names of files cannot hold", hint));
    }
    Ok(text.to_owned())
}

/// A server's base address. Whether it can be reached is found out later.
pub(super) fn url(text: &str) -> Result<String, Wrong> {
    let hint = "write it as https://host or https://host:port/path; plain http is for this machine alone";
    let wrong = |message: &str| Wrong::new(format!("is \"{text}\", {message}"), hint);
    let uri: http::Uri = text.parse().map_err(|_| wrong("which is not an address"))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(wrong("which does not start with https:// and a host"));
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("which names a user; the token is a setting of its own"));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(wrong("which has a ? or a #"));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err(wrong("which is not encrypted on its way")),
        _ => return Err(wrong("which is neither https nor http")),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn account(text: &str) -> Result<AccountAddress, Wrong> {
    AccountAddress::parse(text)
        .map_err(|error| Wrong::new(format!("is not an account: {error}"), "copy the whole address; it starts with 5"))
}

pub(super) fn token(text: &str) -> Result<SecretPlace, Wrong> {
    SecretPlace::parse(text).map_err(|message| {
        Wrong::new(message, "use file:/PATH, env:NAME, credential:NAME or keyring:NAME; never the token itself")
    })
}

pub(super) fn unlock(text: &str) -> Result<Unlock, Wrong> {
    Unlock::parse(text).map_err(|message| Wrong::new(message, "use prompt, keyring, keyfile:/PATH or credential:NAME"))
}

/// A group of this machine. Whether there is one of that name is found out when the socket is opened to it.
pub(super) fn group(text: &str) -> Result<String, Wrong> {
    if !name_service::is_name(text) {
        return Err(Wrong::new(format!("is \"{text}\", which is no group's name"), "give the name of one group"));
    }
    Ok(text.to_owned())
}

pub(super) fn label(text: &str) -> Result<FolderLabel, Wrong> {
    FolderLabel::new(text)
        .map_err(|error| Wrong::new(format!("is not a label: {error}"), "use the same name on every device"))
}

/// An absolute path without `..`, so that "inside one another" can be read off the texts.
pub(super) fn absolute(text: &str) -> Result<PathBuf, Wrong> {
    let path = Path::new(text);
    let hint = "give the path from the root, starting with / and without ..";
    if !path.is_absolute() {
        return Err(Wrong::new(format!("is \"{text}\", which is not an absolute path"), hint));
    }
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(Wrong::new(format!("is \"{text}\", which has a \"..\""), hint));
    }
    // Components drop doubled and trailing slashes.
    Ok(path.components().collect())
}

pub(super) fn mode(text: &str) -> Result<FolderMode, Wrong> {
    match text {
        "sync" => Ok(FolderMode::Sync),
        "send-only" => Ok(FolderMode::SendOnly),
        "receive-only" => Ok(FolderMode::ReceiveOnly),
        _ => Err(Wrong::new(format!("is \"{text}\", which is not a mode"), "use sync, send-only or receive-only")),
    }
}

pub(super) fn resolution(text: &str) -> Result<Resolution, Wrong> {
    match text {
        "keep-local" => Ok(Resolution::KeepLocal),
        "accept-remote" => Ok(Resolution::AcceptRemote),
        "keep-both" => Ok(Resolution::KeepBoth),
        "skip" => Ok(Resolution::Skip),
        _ => Err(Wrong::new(
            format!("is \"{text}\", which is not a resolution"),
            "use keep-both, keep-local, accept-remote or skip",
        )),
    }
}

/// A rate in bytes a second: `0`, `500000`, `10MB/s`, `1.5 MiB/s`.
pub(super) fn rate(text: &str) -> Result<u64, Wrong> {
    let bare = text.trim();
    amount(bare.strip_suffix("/s").unwrap_or(bare).trim_end()).ok_or_else(|| {
        Wrong::new(format!("is \"{text}\", which is not a rate"), "write it as 10MB/s or 512KiB/s; 0 is no limit")
    })
}

/// A size in bytes: `500000`, `10GB`, `1.5 GiB`. `0` is no limit.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    match amount(text.trim()) {
        Some(0) => Ok(u64::MAX),
        Some(bytes) => Ok(bytes),
        None => {
            Err(Wrong::new(format!("is \"{text}\", which is not a size"), "write it as 10GB or 512MiB; 0 is no limit"))
        }
    }
}

/// A number of bytes with or without a unit.
fn amount(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Nine digits of fraction are more than any unit here can show.
    if whole.is_empty() || number.ends_with('.') || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part = match fraction {
        "" => 0,
        digits => digits.parse::<u64>().ok()? * unit / 10_u64.pow(u32::try_from(digits.len()).ok()?),
    };
    whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part))
}

/// A span of time: `30s`, `15m`, `1h`, `7d`; at most a year.
pub(super) fn span(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new(format!("is \"{text}\", which is no time"), "write it as 30s, 15m, 1h or 7d");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if !(1..=366 * 86_400).contains(&seconds) {
        return Err(Wrong::new(format!("is \"{text}\", which is out of bounds"), "give from 1s to 366d"));
    }
    Ok(Duration::from_secs(seconds))
}

/// A source's name: it stands in routes, in the log and in names of files.
pub(super) fn source_name(text: &str) -> Result<String, Wrong> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let message = "is no name of 1 to 64 letters, digits, dots, dashes and underscores";
        return Err(Wrong::new(message, "give it a short name such as \"passports\""));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("10MB/s", 10_000_000),
            (" 10 MB/s ", 10_000_000),
            ("512KiB/s", 512 * 1024),
            ("1.5MiB/s", 3 * 512 * 1024),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MB/s",
            "-1",
            "10mb",
            "1.2.3MB",
            "1.",
            ".5MB",
            "99999999999999999999",
            "20000000000GB",
            "1.0000000001GB",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("10GB", 10_000_000_000), (" 1.5 GiB", 3 << 29), ("7", 7), ("0", u64::MAX)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "10GB/s", "-1", "ten"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, seconds) in [("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "h", "0s", "1.5h", "-1s", "1w", "1 h", "400d", "99999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn source_names() {
        for text in ["passports", "a.b-c_1", "Ämter"] {
            assert!(source_name(text).is_ok(), "{text}");
        }
        for text in ["", ".a", "-a", "a/b", "a b", "a\n", &"x".repeat(65)] {
            assert!(source_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls() {
        for (text, kept) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org:8443/hcfs/", "https://example.org:8443/hcfs"),
            ("http://127.0.0.1:7000", "http://127.0.0.1:7000"),
            ("http://[::1]:7000", "http://[::1]:7000"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(kept), "{text}");
        }
        for text in [
            "",
            "example.org",
            "http://example.org",
            "http://localhost.example.org",
            "ftp://a",
            "https://u:p@a",
            "https://a?b",
            "https://a b",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_lose_doubled_slashes_only() {
        assert_eq!(absolute("/a//b/").unwrap(), Path::new("/a/b"));
        for text in ["", "a", "~/a", "./a", "/a/../b"] {
            assert!(absolute(text).is_err(), "{text}");
        }
    }
}
