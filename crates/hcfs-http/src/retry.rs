//! Trying again: when, how often, and when not.
//!
//! Invariant: a request that is not marked idempotent goes out a second time only if no byte of it was sent, or the
//! server answered 429, which says that it did nothing.

use std::time::{Duration, SystemTime};

use hcfs_model::UnixNanos;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::body::Response;
use crate::client::Client;
use crate::error::{HttpError, Sent};
use crate::request::Request;

/// Bounds of what a server may ask us to wait (protocol §4).
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; zero counts as one.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with every further one.
    pub base: Duration,
    /// What the longest wait never exceeds.
    pub cap: Duration,
    /// Whether each wait is drawn evenly from zero to its longest, so that many clients do not come back at once.
    pub jitter: bool,
    /// Makes the drawing repeatable; from the system's randomness if absent.
    pub seed: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(500), cap: Duration::from_secs(30), jitter: true, seed: None }
    }
}

impl RetryPolicy {
    /// One attempt, no retry.
    pub const ONCE: Self =
        Self { attempts: 1, base: Duration::ZERO, cap: Duration::ZERO, jitter: false, seed: Some(0) };
}

/// The waits between the attempts of a [`RetryPolicy`]; ends when the attempts are used up.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: RetryPolicy,
    step: u32,
    random: u64,
}

impl Backoff {
    /// Starts before the first attempt.
    pub fn new(policy: RetryPolicy) -> Self {
        // Randomness spreads load here and keeps nothing secret, so its absence is no reason to fail.
        let seed = policy.seed.or_else(|| getrandom::u64().ok()).unwrap_or_default();
        Self { policy, step: 0, random: seed }
    }

    /// Starts over, after progress was made.
    pub fn reset(&mut self) {
        self.step = 0;
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.step.saturating_add(1) >= self.policy.attempts {
            return None;
        }
        let factor = 2_u32.saturating_pow(self.step);
        let longest = self.policy.base.saturating_mul(factor).min(self.policy.cap);
        self.step += 1;
        if !self.policy.jitter {
            return Some(longest);
        }
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(self.draw() % nanos.saturating_add(1)))
    }
}

/// How long the server asks to wait: `Retry-After` in seconds or as a date, brought into 1 to 120 s.
///
/// A date is measured against the answer's own `Date`, so a wrong clock here does no harm; against `now` without one.
/// None if the header is missing or unreadable.
pub fn retry_after(headers: &HeaderMap, now: UnixNanos) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let from = date(headers, &DATE).unwrap_or_else(|| system_time(now));
        until.duration_since(from).unwrap_or_default()
    };
    Some(wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// When an answer was made, by the clock of whoever made it; `None` where it does not say.
#[must_use]
pub fn answered_at(headers: &HeaderMap) -> Option<UnixNanos> {
    let since = date(headers, &DATE)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok().map(UnixNanos)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn system_time(now: UnixNanos) -> SystemTime {
    let since = Duration::from_nanos(now.0.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    if now.0 < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) }.unwrap_or(epoch)
}

/// What an attempt brought.
pub type Outcome = Result<Response, HttpError>;

/// What to do with an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the caller, good or bad.
    Done,
    /// Try again, if the request allows it, after the backoff's wait and at least this one.
    Retry(Option<Duration>),
}

/// The rule that suits most services: errors that may pass, 429, 500, 502, 503 and 504 are tried again, anything else
/// is handed over (protocol §4).
pub fn transient(outcome: &Outcome, now: UnixNanos) -> Verdict {
    match outcome {
        Err(error) if error.is_transient() => Verdict::Retry(None),
        Err(_) => Verdict::Done,
        Ok(response) => match response.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Verdict::Retry(retry_after(&response.headers, now)),
            _ => Verdict::Done,
        },
    }
}

/// Whether sending `request` again after `outcome` cannot do its work twice.
fn may_replay(request: &Request, outcome: &Outcome) -> bool {
    request.is_idempotent()
        || match outcome {
            Err(error) => error.sent == Sent::No,
            Ok(response) => response.status == StatusCode::TOO_MANY_REQUESTS,
        }
}

impl Client {
    /// Sends a request until `classify` is content, the attempts are used up, or another one would not be safe; then
    /// gives the last outcome. [`transient`] is the usual `classify`.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn send_with_retry(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        classify: impl Fn(&Outcome) -> Verdict,
    ) -> Outcome {
        let mut backoff = Backoff::new(*policy);
        loop {
            let outcome = self.send(request.clone()).await;
            let Verdict::Retry(at_least) = classify(&outcome) else { return outcome };
            if !may_replay(request, &outcome) {
                return outcome;
            }
            let Some(wait) = backoff.next() else { return outcome };
            let wait = wait.max(at_least.unwrap_or_default());
            match &outcome {
                Ok(response) => tracing::debug!(status = response.status.as_u16(), ?wait, "trying again"),
                Err(error) => tracing::debug!(%error, ?wait, "trying again"),
            }
            drop(outcome);
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests;
