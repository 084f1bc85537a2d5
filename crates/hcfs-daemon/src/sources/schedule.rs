//! When a source runs by itself. Pure: the time and the chance are arguments.

use std::time::Duration;

use hcfs_model::UnixNanos;
use hcfs_state::sources::Run;

/// Sources of a machine do not all begin in the moment it starts: each waits for up to this long.
const SPREAD: Duration = Duration::from_secs(5);
/// The pause after the first failure that may pass by itself.
const PASSING: Duration = Duration::from_secs(30);
/// The pause after the first failure that somebody has to mend.
const LASTING: Duration = Duration::from_secs(15 * 60);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3600);

/// `at` and a span later.
pub(super) fn after(at: UnixNanos, span: Duration) -> UnixNanos {
    UnixNanos(at.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
}

/// The span from `now` to `at`; nothing if that is past.
pub(super) fn until(now: UnixNanos, at: UnixNanos) -> Duration {
    Duration::from_nanos(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0))
}

/// The pause after a failure that is the `failures`-th in a row. `chance` is 0 to 1: it shortens the pause by up to a
/// quarter, so that machines that failed together do not come back together.
pub(super) fn pause(failures: u32, passing: bool, at_least: Option<Duration>, chance: f64) -> Duration {
    let first = if passing { PASSING } else { LASTING };
    let grown = first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LONGEST);
    grown.mul_f64(1.0 - chance / 4.0).max(at_least.unwrap_or_default())
}

/// When a source that has just been started runs first, if by itself at all.
pub(super) fn first(run: Option<&Run>, every: Option<Duration>, now: UnixNanos, chance: f64) -> Option<UnixNanos> {
    let soon = after(now, SPREAD.mul_f64(chance));
    match run {
        // Never ran, or was interrupted.
        None | Some(Run { ended: None, .. }) => Some(soon),
        Some(run) => {
            let regular = every.map(|every| after(run.began, every));
            let next = [regular, run.again].into_iter().flatten().min()?;
            Some(next.max(soon))
        }
    }
}

/// When it runs after a run that ended.
pub(super) fn next(run: &Run, every: Option<Duration>, now: UnixNanos) -> Option<UnixNanos> {
    let regular = every.map(|every| after(run.began, every).max(now));
    [regular, run.again].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_000_000_000_000_000);

    fn run(ended: Option<UnixNanos>, again: Option<UnixNanos>) -> Run {
        Run { began: NOW, ended, brought: 0, unchanged: 0, failures: 0, failure: None, again }
    }

    fn in_seconds(seconds: u64) -> UnixNanos {
        after(NOW, Duration::from_secs(seconds))
    }

    #[test]
    fn pauses_grow_and_what_must_be_mended_waits_longer() {
        let seconds = |passing| -> Vec<u64> { (1..=9).map(|n| pause(n, passing, None, 0.0).as_secs()).collect() };
        assert_eq!(seconds(true), [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(seconds(false)[..4], [900, 1800, 3600, 3600]);
        assert_eq!(pause(1, true, None, 1.0), Duration::from_millis(22_500));
        assert_eq!(pause(1, true, Some(Duration::from_secs(100)), 1.0).as_secs(), 100);
    }

    #[test]
    fn a_new_or_interrupted_source_runs_soon_and_others_when_they_are_due() {
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(first(None, None, NOW, 0.0), Some(NOW));
        assert_eq!(first(None, None, NOW, 1.0), Some(in_seconds(5)));
        assert_eq!(first(Some(&run(None, None)), None, NOW, 0.0), Some(NOW));
        let ended = run(Some(NOW), None);
        assert_eq!(first(Some(&ended), None, in_seconds(60), 0.0), None, "it runs when it is told to");
        assert_eq!(first(Some(&ended), hour, in_seconds(60), 1.0), Some(in_seconds(3600)));
        assert_eq!(first(Some(&ended), hour, in_seconds(9000), 0.0), Some(in_seconds(9000)), "what was missed is due");
        let failed = run(Some(NOW), Some(in_seconds(30)));
        assert_eq!(first(Some(&failed), hour, in_seconds(1), 0.0), Some(in_seconds(30)));
    }

    #[test]
    fn the_next_run_is_the_regular_one_or_the_earlier_try() {
        let hour = Some(Duration::from_secs(3600));
        let now = in_seconds(10);
        assert_eq!(next(&run(Some(now), None), None, now), None);
        assert_eq!(next(&run(Some(now), None), hour, now), Some(in_seconds(3600)));
        assert_eq!(next(&run(Some(now), Some(in_seconds(40))), hour, now), Some(in_seconds(40)));
        let long = in_seconds(7200);
        assert_eq!(next(&run(Some(long), None), hour, long), Some(long), "a run longer than its period");
        assert_eq!(until(NOW, in_seconds(3)).as_secs(), 3);
        assert_eq!(until(in_seconds(3), NOW), Duration::ZERO);
    }
}
