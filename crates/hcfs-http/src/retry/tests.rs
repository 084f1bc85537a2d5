use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn after(value: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
    retry_after(&headers, NOW)
}

fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn seconds_are_read_and_clamped() {
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    assert_eq!(after(" 7 "), Some(Duration::from_secs(7)));
    assert_eq!(after("0"), Some(Duration::from_secs(1)));
    assert_eq!(after("121"), Some(Duration::from_secs(120)));
    assert_eq!(after("99999999999999999999999"), Some(Duration::from_secs(120)));
}

#[test]
fn dates_are_read_against_now() {
    assert_eq!(after(&http_date(1_700_000_009)), Some(Duration::from_secs(9)));
    assert_eq!(after(&http_date(1_600_000_000)), Some(Duration::from_secs(1)));
    assert_eq!(after(&http_date(1_800_000_000)), Some(Duration::from_secs(120)));
}

#[test]
fn the_servers_own_clock_is_preferred() {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_str(&http_date(1_000_000_030)).unwrap());
    headers.insert(DATE, HeaderValue::from_str(&http_date(1_000_000_000)).unwrap());
    assert_eq!(retry_after(&headers, NOW), Some(Duration::from_secs(30)));
}

#[test]
fn what_cannot_be_read_is_none() {
    for bad in ["", "soon", "-1", "+1", "1.5", "Tue, 99 Foo 2023"] {
        assert_eq!(after(bad), None, "{bad:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
}

#[test]
fn waits_double_up_to_the_cap() {
    let policy = RetryPolicy {
        attempts: 6,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(5),
        jitter: false,
        seed: Some(0),
    };
    let seconds: Vec<u64> = Backoff::new(policy).map(|wait| wait.as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 5, 5]);
    assert_eq!(Backoff::new(RetryPolicy::ONCE).count(), 0);
    assert_eq!(Backoff::new(RetryPolicy { attempts: 0, ..policy }).count(), 0);
}

#[test]
fn a_reset_starts_over() {
    let policy = RetryPolicy { attempts: 3, jitter: false, ..RetryPolicy::default() };
    let mut backoff = Backoff::new(policy);
    let first = backoff.next();
    assert!(backoff.next().is_some() && backoff.next().is_none());
    backoff.reset();
    assert_eq!(backoff.next(), first);
}

#[test]
fn jitter_spreads_over_the_whole_wait() {
    let policy = RetryPolicy {
        attempts: 1001,
        base: Duration::from_secs(8),
        cap: Duration::from_secs(8),
        jitter: true,
        seed: Some(1),
    };
    let mut octants = [0_u32; 8];
    for wait in Backoff::new(policy) {
        octants[usize::try_from(wait.as_secs().min(7)).unwrap()] += 1;
    }
    assert!(octants.iter().all(|count| (80..170).contains(count)), "{octants:?}");
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_waits(seed: u64, attempts in 0_u32..50, base: u64, cap: u64) {
        let policy = RetryPolicy {
            attempts,
            base: Duration::from_nanos(base),
            cap: Duration::from_nanos(cap),
            jitter: true,
            seed: Some(seed),
        };
        let waits: Vec<Duration> = Backoff::new(policy).collect();
        prop_assert_eq!(&waits, &Backoff::new(policy).collect::<Vec<_>>());
        prop_assert_eq!(waits.len(), attempts.saturating_sub(1) as usize);
        prop_assert!(waits.iter().all(|wait| *wait <= policy.cap));
    }
}
