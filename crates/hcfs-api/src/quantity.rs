//! Numbers, sizes and times as people read them: the same on the command line and on the page.

use crate::UnixMillis;

/// A number with commas between its thousands.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things: `1 file`, `2 files`.
#[must_use]
pub fn many(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", count(number)) }
}

/// A size in bytes, KiB, MiB, …: three digits at least, one behind the point.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut scale = 0;
    // In tenths, rounded: 1023.96 KiB is already 1.0 MiB.
    let tenths = |scale: usize| (u128::from(size) * 10 + (1 << (10 * (scale + 1) - 1))) >> (10 * (scale + 1));
    while tenths(scale) >= 10_240 && scale + 1 < UNITS.len() {
        scale += 1;
    }
    let tenths = tenths(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[scale])
}

/// A rate in bytes a second.
#[must_use]
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// How long: seconds, minutes, hours or days.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", count(seconds / 86_400)),
    }
}

/// How long ago; what a clock that was set back puts into the future was just now.
#[must_use]
pub fn ago(at: UnixMillis, now: UnixMillis) -> String {
    match u64::try_from(now.saturating_sub(at)).unwrap_or(0) / 1000 {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stay_short_at_every_border() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(size), text, "{size}");
        }
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([many(1, "file"), many(0, "file"), many(2000, "file")], ["1 file", "0 files", "2,000 files"]);
        assert_eq!(
            [59, 60, 3599, 3600, 172_799, 172_800].map(span),
            ["59 s", "1 min", "59 min", "1 h", "47 h", "2 days"]
        );
        assert_eq!([ago(0, 999), ago(0, 61_000), ago(5000, 0)], ["just now", "1 min ago", "just now"]);
    }
}
