//! Where the program prints and whom it asks.
//!
//! Results go to stdout, everything else to stderr. Deliberately absent: what is printed.

#[cfg(test)]
mod scripted;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hcfs_api::UnixMillis;
use jiff::tz::TimeZone;
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::render::Look;

/// What is asked of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// A yes or a no; only asked at a terminal.
    YesOrNo,
    /// A password, unseen at a terminal, the first line of stdin without one.
    Password(&'static str),
}

/// Answers a question; blocks.
pub(crate) type Answering = Arc<dyn Fn(&Question) -> io::Result<Zeroizing<String>> + Send + Sync>;

/// Opens a file in the user's browser.
pub(crate) type Browser = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// How wide a stream is that is shown to a person.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// The system knows, and it may change.
    Terminal,
    /// It is a file or a pipe: nothing is cut.
    Nowhere,
    /// As wide as this.
    #[cfg(test)]
    Columns(usize),
}

/// The streams of the process, and the clock and zone times are shown in.
pub struct Terminal {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    out_shown: Shown,
    err_shown: Shown,
    color: bool,
    /// Whether a terminal shows nothing but ASCII.
    ascii: bool,
    asks: bool,
    answering: Answering,
    now: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    zone: TimeZone,
    browser: Option<Browser>,
}

impl Terminal {
    /// The process's own streams. Colors are left out where `NO_COLOR` asks for it, and on terminals without any.
    #[must_use]
    pub fn system() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let shown = |terminal| if terminal { Shown::Terminal } else { Shown::Nowhere };
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            out_shown: shown(io::stdout().is_terminal()),
            err_shown: shown(io::stderr().is_terminal()),
            color: set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
            ascii: is_ascii(set),
            asks: io::stdin().is_terminal() && io::stderr().is_terminal(),
            answering: Arc::new(answer),
            now: Arc::new(now),
            zone: TimeZone::system(),
            browser: set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY")).map(|_| -> Browser { Arc::new(browse) }),
        }
    }

    /// What opens a file in the user's browser, where there is a desktop.
    pub(crate) fn browser(&self) -> Option<Browser> {
        self.browser.clone()
    }

    /// How wide stdout is and whether it may be colored; a stream that no person sees is neither cut nor colored.
    #[must_use]
    pub fn look(&self) -> Look {
        look(self.out_shown, || tcgetwinsize(io::stdout()), self.color)
    }

    /// The same for stderr.
    #[must_use]
    pub fn err_look(&self) -> Look {
        look(self.err_shown, || tcgetwinsize(io::stderr()), self.color)
    }

    pub(crate) fn err_color(&self) -> bool {
        self.err_look().color
    }

    /// Whether a person sees stderr: progress is drawn for nobody else.
    pub(crate) fn is_watched(&self) -> bool {
        !matches!(self.err_shown, Shown::Nowhere)
    }

    /// Whether there is a person to ask.
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.now)()
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Nobody reads it any more, or it cannot be written.
    pub fn out(&mut self, text: &str) -> Result<(), CliError> {
        // A file or a pipe gets the text as it is.
        let text = if self.ascii && !matches!(self.out_shown, Shown::Nowhere) { in_ascii(text) } else { text.into() };
        self.out_bytes(text.as_bytes())
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// Nobody reads them, or what the system refused.
    pub fn out_bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => CliError::Unread,
            _ => CliError::Stream { action: "write to stdout", source },
        })
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn out_json(&mut self, value: &impl serde::Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_vec(value).map_err(|error| {
            CliError::Api(hcfs_api::ApiError::new(hcfs_api::ErrorCode::Internal, format!("no JSON: {error}"), ""))
        })?;
        line.push(b'\n');
        self.out_bytes(&line)
    }

    /// Prints to stderr. Where even that fails nobody can be told.
    pub fn err(&mut self, text: &str) {
        let text = if self.ascii && self.is_watched() { in_ascii(text) } else { text.into() };
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Asks, without keeping the runtime from ending while nobody answers.
    pub(crate) async fn ask(&mut self, question: Question) -> io::Result<Zeroizing<String>> {
        let _restored = Modes::save();
        let (reply, answered) = oneshot::channel();
        let answering = self.answering.clone();
        // Not on the runtime's own threads: it waits for those when it ends, and a read of a terminal has no end.
        std::thread::Builder::new().name("question".into()).spawn(move || {
            // The one who asked may be gone.
            let _ = reply.send(answering(&question));
        })?;
        answered.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
    }
}

/// The modes of the terminal at stdin, put back at the end: a password is typed unseen, and whoever interrupts the
/// question would else be left at a terminal that shows nothing.
struct Modes(Option<Termios>);

impl Modes {
    fn save() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // A terminal that went away needs no modes.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
    }
}

fn look(shown: Shown, size: impl Fn() -> rustix::io::Result<Winsize>, color: bool) -> Look {
    match shown {
        Shown::Nowhere => Look { width: None, color: false },
        // A terminal that does not know its size says 0.
        Shown::Terminal => {
            Look { width: size().ok().map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0), color }
        }
        #[cfg(test)]
        Shown::Columns(columns) => Look { width: Some(columns), color },
    }
}

/// Whether the locale is one without UTF-8. Where none is set at all the terminal is taken for one of today.
fn is_ascii(set: impl Fn(&'static str) -> Option<std::ffi::OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// A text for a terminal that would show other characters as something else: they are spelled out.
fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            // Where something was cut.
            '…' => out.push('~'),
            char if char.is_ascii() => out.push(char),
            char => out.extend(char.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Does not wait: some browsers stay until they are closed.
fn browse(file: &Path) -> io::Result<()> {
    let mut command = Command::new("xdg-open");
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
}

fn answer(question: &Question) -> io::Result<Zeroizing<String>> {
    match question {
        Question::Password(prompt) if io::stdin().is_terminal() => {
            rpassword::prompt_password(prompt).map(Zeroizing::new)
        }
        Question::YesOrNo | Question::Password(_) => {
            // With its full room from the start: a text that grows leaves copies behind.
            let mut line = Zeroizing::new(String::with_capacity(LINE_MAX));
            let mut bounded = io::Read::take(io::stdin().lock(), LINE_MAX as u64);
            io::BufRead::read_line(&mut bounded, &mut line)?;
            let end = line.trim_end_matches(['\n', '\r']).len();
            line.truncate(end);
            Ok(line)
        }
    }
}

/// The longest answer, in bytes.
const LINE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_without_utf_8_is_one_that_says_so() {
        let is = |locale: &[(&'static str, &str)]| {
            is_ascii(|name| locale.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into()))
        };
        assert!(!is(&[]) && !is(&[("LANG", "de_DE.UTF-8")]) && !is(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(is(&[("LANG", "C")]) && is(&[("LC_ALL", "POSIX"), ("LANG", "de_DE.UTF-8")]));
        assert!(is(&[("LC_CTYPE", "de_DE.ISO-8859-1")]));
    }

    #[test]
    fn such_a_terminal_gets_ascii_and_a_pipe_what_there_is() {
        let (terminal, screen) = Terminal::scripted();
        let mut terminal = terminal.in_ascii();
        terminal.out("Übung…\n").unwrap();
        assert_eq!(screen.take_out(), "Übung…\n", "a pipe");
        let mut terminal = terminal.columns(80);
        terminal.out("Übung…\n").unwrap();
        assert_eq!(screen.take_out(), "\\u{dc}bung~\n");
        terminal.out("plain\n").unwrap();
        assert_eq!(screen.take_out(), "plain\n");
    }
}
