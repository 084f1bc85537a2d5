//! What `hcfs doctor` finds, and the server asked on request.

use serde::{Deserialize, Serialize};

use crate::{ExitCode, SCHEMA, Trouble};

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, or may; but something about it should be known.
    Warn,
    /// It keeps the program from doing its work, or puts a secret at risk.
    Fail,
}

impl Verdict {
    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which check, in snake case.
    pub name: String,
    /// What it is about, where there are several: a folder's label or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do; empty where there is nothing.
    #[serde(default)]
    pub hint: String,
}

/// What `hcfs doctor --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// [`SCHEMA`].
    pub schema: u32,
    /// In the order in which one rests on the other.
    pub checks: Vec<Check>,
}

impl Checkup {
    /// What was found.
    #[must_use]
    pub fn of(checks: Vec<Check>) -> Self {
        Self { schema: SCHEMA, checks }
    }

    /// How many checks came out so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// How the program ends: a warning is no failure.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        if self.count(Verdict::Fail) == 0 { ExitCode::Done } else { ExitCode::Failed }
    }
}

/// The answer of `POST /v1/server/test`: the server, asked now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where it is.
    pub url: String,
    /// Whether an HCFS server answered there.
    pub reachable: bool,
    /// Whether it takes the token; absent where that did not come to light.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// How many seconds its clock is ahead of this machine's, negative where it is behind; absent where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_seconds: Option<i64>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}
