//! A task as the service lists it.

use serde::Deserialize;
use serde_json::Value;

use crate::answer;

/// One task.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) quality: Option<String>,
    #[serde(default)]
    pub(super) filename: Option<String>,
    #[serde(default)]
    pub(super) error_message: Option<String>,
    // A number; what else it may be is no reason to fail.
    #[serde(default)]
    progress: Value,
}

/// What a task's status means for the one who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Pending, downloading, processing, or a word nobody knows.
    Running,
    Completed,
    Error,
    Cancelled,
}

impl State {
    /// Whether a file is or may become of it.
    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Completed)
    }
}

impl Task {
    pub(super) fn state(&self) -> State {
        match self.status.as_str() {
            "completed" => State::Completed,
            "error" => State::Error,
            "cancelled" => State::Cancelled,
            _ => State::Running,
        }
    }

    /// The service's word, fit to be shown.
    pub(super) fn shown_status(&self) -> String {
        answer::message(&self.status, None).unwrap_or_else(|| "in no state".to_owned())
    }

    /// How far it is, 0 to 100.
    pub(super) fn percent(&self) -> Option<u8> {
        let percent = self.progress.as_f64().filter(|percent| percent.is_finite())?.clamp(0.0, 100.0);
        // The clamp leaves nothing to cut but the fraction.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 100")]
        Some(percent as u8)
    }
}
