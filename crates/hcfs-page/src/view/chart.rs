//! The throughput of the last ten minutes, as a drawing and in words.

use std::fmt::Write as _;

use hcfs_api::Rates;
use hcfs_api::quantity::rate;
use maud::{Markup, html};

use crate::throughput::{Moved, SLOT_SECONDS};

/// The drawing's height, in its own units.
const HEIGHT: u64 = 100;

pub(super) fn chart(moved: &[Moved], now: Rates) -> Markup {
    let up: Vec<u64> = moved.iter().map(|moved| moved.up).collect();
    let down: Vec<u64> = moved.iter().map(|moved| moved.down).collect();
    let peak = |slots: &[u64]| slots.iter().copied().max().unwrap_or(0);
    let (most_up, most_down) = (peak(&up), peak(&down));
    let most = most_up.max(most_down);
    let pace = |slot: u64| rate(slot.div_ceil(SLOT_SECONDS));
    let said = format!(
        "Throughput of the last ten minutes. To the server: at most {}. From the server: at most {}.",
        pace(most_up),
        pace(most_down)
    );
    html! {
        figure .chart {
            figcaption {
                span .key .up { "To the server " b { (rate(now.up)) } }
                span .key .down { "From the server " b { (rate(now.down)) } }
                span .top {
                    @if most > 0 { "peak " (pace(most)) } @else { "nothing moved" }
                }
            }
            svg role="img" aria-label=(said) viewBox=(format!("0 0 {} {HEIGHT}", moved.len())) preserveAspectRatio="none" {
                path .down d=(area(&down, most.max(1))) {}
                path .up d=(area(&up, most.max(1))) {}
            }
            div .axis aria-hidden="true" { span { "10 min ago" } span { "5 min" } span { "now" } }
        }
    }
}

/// The area under steps of one unit's width.
fn area(slots: &[u64], most: u64) -> String {
    let mut path = format!("M0 {HEIGHT}");
    let mut last = HEIGHT;
    for (at, moved) in slots.iter().enumerate() {
        let share = u128::from(*moved) * u128::from(HEIGHT) / u128::from(most);
        let y = HEIGHT - u64::try_from(share).unwrap_or(HEIGHT).min(HEIGHT);
        // Something that moved can be seen, however little it was.
        let y = if *moved > 0 { y.min(HEIGHT - 2) } else { y };
        if y != last {
            // Writing into a String cannot fail.
            let _ = write!(path, "H{at}V{y}");
            last = y;
        }
    }
    let _ = write!(path, "H{}V{HEIGHT}Z", slots.len());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_rise_and_fall_and_little_is_not_nothing() {
        assert_eq!(area(&[0, 0, 10, 5, 5, 0], 10), "M0 100H2V0H3V50H5V100H6V100Z");
        assert_eq!(area(&[0, 1], 1000), "M0 100H1V98H2V100Z");
        assert_eq!(area(&[u64::MAX], u64::MAX), "M0 100H0V0H1V100Z");
        assert_eq!(area(&[], 1), "M0 100H0V100Z");
    }
}
