//! Moments as people read them; numbers, sizes and spans are [`hcfs_api::quantity`]'s.

use hcfs_api::UnixMillis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment on the clock of a time zone.
#[must_use]
pub fn moment(at: UnixMillis, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_stand_on_the_clock_of_the_zone() {
        assert_eq!(moment(1_700_000_000_000, &TimeZone::UTC), "2023-11-14 22:13:20");
        assert_eq!(moment(i64::MAX, &TimeZone::UTC), format!("@{}", i64::MAX));
    }
}
