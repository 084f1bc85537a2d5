//! Errors as they cross the socket, and what each means for a status line and an exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ExitCode;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $exit:ident, $retry:literal;)*) => {
        /// The kind of an error; its text is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A code this version does not know: the daemon is newer.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ErrorCode {
            /// Every code this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* Self::Unknown => "unknown" }
            }

            /// The status of an HTTP answer that carries it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* Self::Unknown => 500 }
            }

            /// How a program that was stopped by it ends.
            #[must_use]
            pub fn exit(self) -> ExitCode {
                match self { $(Self::$name => ExitCode::$exit,)* Self::Unknown => ExitCode::Failed }
            }

            /// Whether the same request may succeed later without anyone mending anything.
            #[must_use]
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retry,)* Self::Unknown => false }
            }
        }
    };
}

error_codes! {
    /// A request the daemon does not understand.
    BadRequest = "bad_request", 400, Usage, false;
    /// Another user's process, a reader who would change something, or a web page.
    Forbidden = "forbidden", 403, Permission, false;
    /// No such route.
    NoRoute = "no_route", 404, Failed, false;
    /// No folder of that label.
    NoFolder = "no_folder", 404, Usage, false;
    /// No source of that name.
    NoSource = "no_source", 404, Usage, false;
    /// No such file, conflict or hold.
    NotFound = "not_found", 404, Failed, false;
    /// The object exists already.
    Exists = "exists", 409, Failed, false;
    /// The object changed meanwhile.
    Conflict = "conflict", 409, Failed, true;
    /// The keys are not open: a password is needed.
    Locked = "locked", 423, Locked, false;
    /// The password is wrong.
    WrongPassword = "wrong_password", 403, Locked, false;
    /// There is no account on this machine yet.
    NoIdentity = "no_identity", 409, Config, false;
    /// The server refuses the token.
    Unauthorised = "unauthorised", 401, Unauthorised, false;
    /// The account is over its quota.
    OverQuota = "over_quota", 402, Failed, false;
    /// The server cannot be reached.
    Offline = "offline", 503, Failed, true;
    /// Larger than is accepted.
    TooLarge = "too_large", 413, Failed, false;
    /// The range lies outside the file.
    BadRange = "bad_range", 416, Usage, false;
    /// What the server holds does not open, or is not what it promised.
    Damaged = "damaged", 502, Failed, false;
    /// A service that files are brought from failed.
    ServiceFailed = "service_failed", 502, Failed, true;
    /// The directory of a folder is missing, replaced or not a directory.
    BadFolder = "bad_folder", 422, Failed, false;
    /// Another process holds the state, the socket or the folder.
    Held = "held", 409, Held, false;
    /// A permission is missing.
    Permission = "permission", 403, Permission, false;
    /// The configuration is wrong.
    Config = "config", 422, Config, false;
    /// No space is left on this machine.
    DiskFull = "disk_full", 507, Failed, true;
    /// The operating system refused something else.
    Io = "io", 500, Failed, false;
    /// The time ran out.
    Timeout = "timeout", 504, NotIdle, true;
    /// The folder or the daemon has stopped or is stopping.
    Stopped = "stopped", 503, Failed, true;
    /// Too many connections or requests at once.
    Busy = "busy", 503, Failed, true;
    /// The user interrupted it.
    Interrupted = "interrupted", 503, Interrupted, false;
    /// A fault of the daemon itself.
    Internal = "internal", 500, Failed, false;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error: a kind for programs, a sentence and a hint for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The kind.
    pub code: ErrorCode,
    /// What is wrong: a lower-case fragment that names the object.
    pub message: String,
    /// What to do now; empty if there is nothing.
    #[serde(default)]
    pub hint: String,
    /// Whether the same request may succeed later without anyone mending anything.
    #[serde(default)]
    pub retryable: bool,
}

impl ApiError {
    /// An error of a kind; whether it is retryable follows from the kind.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into(), retryable: code.is_retryable() }
    }

    /// How a program that was stopped by it ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        self.code.exit()
    }
}

/// The body of an answer that is an error: `{"error": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_an_unknown_one_is_no_failure() {
        for &code in ErrorCode::ALL {
            let text = serde_json::to_string(&code).unwrap();
            assert_eq!(text, format!("\"{}\"", code.as_str()));
            assert_eq!(serde_json::from_str::<ErrorCode>(&text).unwrap(), code);
            assert!((400..600).contains(&code.status()), "{code}");
        }
        assert_eq!(serde_json::from_str::<ErrorCode>("\"from_the_future\"").unwrap(), ErrorCode::Unknown);
    }

    #[test]
    fn exit_codes_of_the_kinds_a_script_looks_for() {
        for (code, exit) in [
            (ErrorCode::BadRequest, 2),
            (ErrorCode::Timeout, 3),
            (ErrorCode::Unauthorised, 5),
            (ErrorCode::Locked, 6),
            (ErrorCode::WrongPassword, 6),
            (ErrorCode::Held, 7),
            (ErrorCode::Permission, 77),
            (ErrorCode::Config, 78),
            (ErrorCode::Interrupted, 130),
            (ErrorCode::Io, 1),
        ] {
            assert_eq!(code.exit().number(), exit, "{code}");
        }
    }
}
