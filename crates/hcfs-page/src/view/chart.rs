//! The throughput of the last ten minutes, as a drawing and in words.

use std::fmt::Write as _;

use hcfs_api::Rates;
use hcfs_api::quantity::rate;
use maud::{Markup, html};

use crate::throughput::{Moved, SLOT_SECONDS};

/// How far the drawing goes up and down from its middle, in its own units: what is sent stands above it, what is received
/// hangs below.
const REACH: u64 = 50;

pub(super) fn chart(moved: &[Moved], now: Rates) -> Markup {
    let up: Vec<u64> = moved.iter().map(|moved| moved.up).collect();
    let down: Vec<u64> = moved.iter().map(|moved| moved.down).collect();
    let peak = |slots: &[u64]| slots.iter().copied().max().unwrap_or(0);
    let (most_up, most_down) = (peak(&up), peak(&down));
    let most = most_up.max(most_down);
    // What goes on now is part of a slot that has not ended.
    let pace = |slot: u64, now: u64| slot.div_ceil(SLOT_SECONDS).max(now);
    let (top_up, top_down) = (pace(most_up, now.up), pace(most_down, now.down));
    let said = format!(
        "Throughput of the last ten minutes. To the server: at most {}. From the server: at most {}.",
        rate(top_up),
        rate(top_down)
    );
    html! {
        figure .chart {
            figcaption {
                span .key .up { "To the server " b { (rate(now.up)) } }
                span .key .down { "From the server " b { (rate(now.down)) } }
                span .top {
                    @if most > 0 { "peak " (rate(top_up.max(top_down))) } @else { "nothing moved" }
                }
            }
            svg role="img" aria-label=(said) viewBox=(format!("0 0 {} {}", moved.len(), 2 * REACH)) preserveAspectRatio="none" {
                path .up d=(area(&up, most.max(1), |far| REACH - far)) {}
                path .down d=(area(&down, most.max(1), |far| REACH + far)) {}
                path .middle d=(format!("M0 {REACH}H{}", moved.len())) {}
            }
            div .axis aria-hidden="true" { span { "10 min ago" } span { "5 min" } span { "now" } }
        }
    }
}

/// The area between the middle and steps of one unit's width; `at` says where a distance from the middle is.
fn area(slots: &[u64], most: u64, at: impl Fn(u64) -> u64) -> String {
    let mut path = format!("M0 {REACH}");
    let mut last = 0;
    for (slot, moved) in slots.iter().enumerate() {
        let share = u128::from(*moved) * u128::from(REACH) / u128::from(most);
        let far = u64::try_from(share).unwrap_or(REACH).min(REACH);
        // Something that moved can be seen, however little it was.
        let far = if *moved > 0 { far.max(2) } else { 0 };
        if far != last {
            // Writing into a String cannot fail.
            let _ = write!(path, "H{slot}V{}", at(far));
            last = far;
        }
    }
    let _ = write!(path, "H{}V{REACH}Z", slots.len());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(slots: &[u64], most: u64) -> String {
        area(slots, most, |far| REACH - far)
    }

    #[test]
    fn steps_rise_and_fall_and_little_is_not_nothing() {
        assert_eq!(up(&[0, 0, 10, 5, 5, 0], 10), "M0 50H2V0H3V25H5V50H6V50Z");
        assert_eq!(up(&[0, 1], 1000), "M0 50H1V48H2V50Z");
        assert_eq!(up(&[u64::MAX], u64::MAX), "M0 50H0V0H1V50Z");
        assert_eq!(up(&[], 1), "M0 50H0V50Z");
        assert_eq!(area(&[10, 5], 10, |far| REACH + far), "M0 50H0V100H1V75H2V50Z");
    }

    #[test]
    fn the_peak_is_not_below_what_goes_on_now() {
        let moved = [Moved { up: 100, down: 10 }];
        let drawn = |up| chart(&moved, Rates { up, ..Rates::default() }).into_string();
        assert!(drawn(0).contains("peak 20 B/s"), "{}", drawn(0));
        assert!(
            drawn(70).contains("peak 70 B/s") && drawn(70).contains("To the server: at most 70 B/s"),
            "{}",
            drawn(70)
        );
    }
}
