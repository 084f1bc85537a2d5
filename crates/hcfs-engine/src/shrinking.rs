//! By how much the folder shrank in the last minutes.
//!
//! A large deletion may come in portions that each pass without a question: a slow one on disk, or one that another
//! device was allowed and carries out in batches. What counts is by how many files the folder became smaller, so files
//! that come and go make no difference.
//!
//! Kept in memory alone: after a restart it begins anew, and the limits hold for each portion.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long deletions count as one.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// How many synced files the folder had, and until when, as long as it never had more since; the largest first.
#[derive(Default)]
pub(crate) struct Shrinking {
    had: VecDeque<(Instant, u64)>,
    begins_anew: bool,
}

impl Shrinking {
    /// Takes note of how many synced files the folder has.
    pub(crate) fn see(&mut self, files: u64) {
        let now = Instant::now();
        if std::mem::take(&mut self.begins_anew) {
            self.had.clear();
        }
        if let Some((until, _)) = self.had.back_mut() {
            *until = now;
        }
        while self.had.back().is_some_and(|(_, fewer)| *fewer <= files) {
            self.had.pop_back();
        }
        self.had.push_back((now, files));
        while self.had.front().is_some_and(|(until, _)| now.duration_since(*until) > WINDOW) {
            self.had.pop_front();
        }
    }

    /// How many more files it had at the most.
    pub(crate) fn by(&self) -> u64 {
        let most = self.had.front().map_or(0, |(_, files)| *files);
        most.saturating_sub(self.had.back().map_or(0, |(_, files)| *files))
    }

    /// The folder becomes smaller because the user wants it so: what it had before does not count any more.
    pub(crate) fn begin_anew(&mut self) {
        self.begins_anew = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn portions_count_together_as_long_as_they_are_close() {
        let mut shrinking = Shrinking::default();
        shrinking.see(100);
        tokio::time::advance(WINDOW * 3).await;
        for (files, by) in [(90, 10), (70, 30), (75, 25), (60, 40)] {
            shrinking.see(files);
            assert_eq!(shrinking.by(), by, "{files} files");
            tokio::time::advance(WINDOW / 4).await;
        }
        // The first two portions are older than the window by now.
        tokio::time::advance(WINDOW / 3).await;
        shrinking.see(60);
        assert_eq!(shrinking.by(), 15);
        tokio::time::advance(WINDOW * 2).await;
        shrinking.see(60);
        assert_eq!(shrinking.by(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_come_and_go_make_no_difference() {
        let mut shrinking = Shrinking::default();
        for _ in 0..50 {
            shrinking.see(1);
            shrinking.see(0);
        }
        assert_eq!(shrinking.by(), 1);
        shrinking.see(7);
        assert_eq!(shrinking.by(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_user_wanted_does_not_count() {
        let mut shrinking = Shrinking::default();
        shrinking.see(100);
        shrinking.begin_anew();
        shrinking.see(10);
        assert_eq!(shrinking.by(), 0);
        shrinking.see(9);
        assert_eq!(shrinking.by(), 1);
    }
}
