//! The page on loopback.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hcfs_api::quantity::span;
use hcfs_api::{PageLink, routes};

use super::{Ended, ExitCode, Session};
use crate::args::UiOptions;
use crate::terminal::Browser;

impl Session<'_> {
    /// Prints a link to the page, and opens it where there is a desktop.
    pub(super) async fn ui(&mut self, options: &UiOptions) -> Ended {
        let link: PageLink = self.client.post(routes::PAGE).await?;
        if self.options.json {
            self.terminal.out_json(&link)?;
            return Ok(ExitCode::Done);
        }
        self.terminal.out(&format!("{}\n", link.url))?;
        let lives = u64::try_from(link.expires_at.saturating_sub(self.terminal.now())).unwrap_or(0) / 1000;
        let opened = match self.terminal.browser().filter(|_| !options.print) {
            None => String::new(),
            Some(browser) => match open(self.client.socket(), &link.url, &browser) {
                Ok(()) => "opened in the browser; ".to_owned(),
                Err(error) => format!("no browser opened it ({error}); "),
            },
        };
        if !self.options.quiet {
            self.terminal.err(&format!("{opened}the link works once, for {}\n", span(lives)));
        }
        Ok(ExitCode::Done)
    }
}

/// Hands a browser a file of ours that leads on to the link: every user of the machine sees the arguments of a program,
/// and whoever opens the link first is let in.
fn open(socket: &Path, url: &str, browser: &Browser) -> io::Result<()> {
    let directory = socket.parent().unwrap_or(Path::new("/"));
    let place: PathBuf = directory.join("page.html");
    let mut file = tempfile::Builder::new().prefix("page-").tempfile_in(directory)?;
    // The link is made of digits and letters.
    writeln!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">hcfs</a>")?;
    file.persist(&place).map_err(|error| error.error)?;
    browser(&place)
}
