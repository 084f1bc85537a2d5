//! The exit codes of the program.

use crate::FolderState;

/// How the program ends; the numbers are public and scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong use of the program.
    Usage = 2,
    /// Problems, conflicts or holds are left, or the time ran out.
    NotIdle = 3,
    /// The daemon cannot be reached.
    NoDaemon = 4,
    /// The server refuses the token.
    Unauthorised = 5,
    /// The secret is missing or wrong.
    Locked = 6,
    /// Another instance holds the state, the socket or the folder.
    Held = 7,
    /// A permission is missing; a service manager must not restart.
    Permission = 77,
    /// The configuration is wrong; a service manager must not restart.
    Config = 78,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl ExitCode {
    /// All of them, by number.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotIdle,
        Self::NoDaemon,
        Self::Unauthorised,
        Self::Locked,
        Self::Held,
        Self::Permission,
        Self::Config,
        Self::Interrupted,
    ];

    /// What it means, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong use",
            Self::NotIdle => "not idle",
            Self::NoDaemon => "daemon not reachable",
            Self::Unauthorised => "not authorised",
            Self::Locked => "locked",
            Self::Held => "held by another instance",
            Self::Permission => "permission missing",
            Self::Config => "configuration wrong",
            Self::Interrupted => "interrupted",
        }
    }

    /// The number the process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// How a command that waited for folders to be idle ends, given the state each was left in: what the user must
    /// mend first comes first.
    #[must_use]
    pub fn of_states(states: impl IntoIterator<Item = FolderState>) -> Self {
        let severity = |code: &Self| match code {
            Self::Done => 0,
            Self::NotIdle => 1,
            Self::Unauthorised => 2,
            _ => 3,
        };
        states
            .into_iter()
            .map(|state| match state {
                FolderState::Idle => Self::Done,
                FolderState::Unauthorised => Self::Unauthorised,
                FolderState::Locked => Self::Locked,
                _ => Self::NotIdle,
            })
            .max_by_key(severity)
            .unwrap_or(Self::Done)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_published_ones() {
        let numbers = ExitCode::ALL.map(ExitCode::number);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 77, 78, 130]);
    }

    #[test]
    fn what_must_be_mended_first_decides() {
        use FolderState::{Attention, Idle, Locked, Offline, Unauthorised};
        for (states, code) in [
            (vec![], ExitCode::Done),
            (vec![Idle, Idle], ExitCode::Done),
            (vec![Idle, Attention], ExitCode::NotIdle),
            (vec![Offline, Unauthorised, Idle], ExitCode::Unauthorised),
            (vec![Locked, Unauthorised], ExitCode::Locked),
        ] {
            assert_eq!(ExitCode::of_states(states.clone()), code, "{states:?}");
        }
    }
}
