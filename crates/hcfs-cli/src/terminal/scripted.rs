//! A terminal of a test: its streams are read, its clock and its answers are given.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use hcfs_api::UnixMillis;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::{Question, Shown, Terminal};

/// The other side of a scripted terminal.
#[derive(Clone, Default)]
pub(crate) struct Screen {
    out: Stream,
    err: Stream,
    now: Arc<AtomicI64>,
    answers: Arc<Mutex<VecDeque<String>>>,
    asked: Arc<Mutex<Vec<Question>>>,
}

#[derive(Clone, Default)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: Arc<Mutex<bool>>,
}

impl Stream {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock().unwrap())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *self.closed.lock().unwrap() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    pub(crate) fn take_out(&self) -> String {
        String::from_utf8(self.take_out_bytes()).unwrap()
    }

    pub(crate) fn take_out_bytes(&self) -> Vec<u8> {
        self.out.take()
    }

    pub(crate) fn take_err(&self) -> String {
        String::from_utf8(self.err.take()).unwrap()
    }

    pub(crate) fn set_now(&self, now: UnixMillis) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Nobody reads stdout any more.
    pub(crate) fn close_out(&self) {
        *self.out.closed.lock().unwrap() = true;
    }

    /// What the next question gets; `\x03` is the interrupting key.
    pub(crate) fn answer(&self, text: &str) {
        self.answers.lock().unwrap().push_back(text.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl Terminal {
    /// Streams that are no terminal, at 1970 in UTC; whoever is asked answers what was scripted.
    pub(crate) fn scripted() -> (Self, Screen) {
        let screen = Screen::default();
        let Screen { out, err, now, answers, asked } = screen.clone();
        let terminal = Self {
            out: Box::new(out),
            err: Box::new(err),
            out_shown: Shown::Nowhere,
            err_shown: Shown::Nowhere,
            color: false,
            ascii: false,
            asks: false,
            answering: Arc::new(move |question| {
                asked.lock().unwrap().push(question.clone());
                let answer = answers.lock().unwrap().pop_front();
                match answer {
                    Some(text) if text == "\x03" => Err(io::ErrorKind::Interrupted.into()),
                    Some(text) => Ok(Zeroizing::new(text)),
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }),
            now: Arc::new(move || now.load(Ordering::Relaxed)),
            zone: TimeZone::UTC,
            browser: None,
        };
        (terminal, screen)
    }

    /// The same on a desktop whose browser opens files so.
    pub(crate) fn browsing(mut self, browser: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.browser = Some(Arc::new(browser));
        self
    }

    /// The same under a locale without UTF-8.
    pub(crate) fn in_ascii(mut self) -> Self {
        self.ascii = true;
        self
    }

    /// The same with a person in front of it.
    pub(crate) fn asking(mut self) -> Self {
        self.asks = true;
        self
    }

    /// The same with a stdout that is so many columns wide, in color.
    pub(crate) fn columns(mut self, columns: usize) -> Self {
        self.out_shown = Shown::Columns(columns);
        self.color = true;
        self
    }
}
