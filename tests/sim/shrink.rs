//! Making a failing scenario small: steps are left out as long as it still fails.

use crate::run::run;
use crate::script::Scenario;

/// Runs of one shrink at most.
const RUNS: usize = 600;

/// The smallest scenario that was found to fail, with its violation.
pub(crate) fn shrink(scenario: &Scenario) -> (Scenario, String) {
    let mut best = scenario.clone();
    let mut why = run(&best, false).violation.unwrap_or_default();
    let mut runs = 0;
    let mut size = best.numbers().len().div_ceil(2);
    while size > 0 && runs < RUNS {
        let mut has_shrunk = false;
        let mut at = 0;
        while at < best.numbers().len() && runs < RUNS {
            let mut kept = best.numbers();
            kept.drain(at..(at + size).min(kept.len()));
            let smaller = best.only(kept);
            runs += 1;
            match run(&smaller, false).violation {
                Some(violation) => {
                    (best, why, has_shrunk) = (smaller, violation, true);
                }
                None => at += size,
            }
        }
        if !has_shrunk || size > 1 {
            size /= 2;
        }
    }
    (best, why)
}
