//! Sources: files from other services.

use hcfs_api::{
    AddSource, Done, ExitCode, Page, RunReply, RunSource, SCHEMA, Source, SourceDetail, SourceFile, SourceProblem,
    SourceTest, routes,
};
use serde_json::json;

use super::{Ended, Session, listed};
use crate::args::{AddedSource, RanSource, SourceCommand};
use crate::client::events::Watched;
use crate::progress::Lines;
use crate::render;

impl Session<'_> {
    pub(super) async fn source(&mut self, command: &SourceCommand) -> Ended {
        match command {
            SourceCommand::Add(added) => self.add_source(added).await,
            SourceCommand::List => {
                let page: Page<Source> = self.client.get(routes::SOURCES).await?;
                let now = self.terminal.now();
                let sources = page.items;
                self.print(&listed("sources", &sources)?, |terminal| render::sources(&sources, now, terminal.look()))?;
                Ok(ExitCode::Done)
            }
            SourceCommand::Show(named) => self.show_source(&named.name).await,
            SourceCommand::Test(named) => {
                let test: SourceTest = self.client.post(&routes::test_source(&named.name)).await?;
                self.print(&test, |_| test.found.iter().map(|line| format!("{}\n", render::plain(line))).collect())?;
                Ok(ExitCode::Done)
            }
            SourceCommand::Run(options) => self.run_source(options).await,
            SourceCommand::Cancel(named) => {
                self.client.post::<Done>(&routes::cancel_source(&named.name)).await?;
                self.done(&format!("{}: cancelled", named.name))
            }
            SourceCommand::Remove(named) => {
                let question = format!("Stop bringing files from {}? Those that were brought stay.", named.name);
                self.confirm("to remove a source", &question).await?;
                self.client.delete(&routes::source(&named.name)).await?;
                self.done(&format!("{}: brings nothing any more", named.name))
            }
        }
    }

    async fn add_source(&mut self, added: &AddedSource) -> Ended {
        let request = AddSource {
            name: added.name.clone(),
            spec: added.spec(),
            into: added.into.clone(),
            every: added.every.clone(),
        };
        self.client.post_json::<Done>(routes::SOURCES, &request).await?;
        self.done(&format!("{}: brings files into {}", added.name, added.into))
    }

    async fn show_source(&mut self, name: &str) -> Ended {
        let SourceDetail { source, .. } = self.client.get(&routes::source(name)).await?;
        let problems: Vec<SourceProblem> =
            self.client.pages(|after, limit| routes::source_problems(name, after, limit)).await?;
        let files: Vec<SourceFile> = self.client.pages(|after, limit| routes::source_files(name, after, limit)).await?;
        let now = self.terminal.now();
        let told = json!({"schema": SCHEMA, "source": source, "problems": problems, "files": files});
        self.print(&told, |terminal| render::source(&source, &problems, &files, now, terminal.look()))?;
        Ok(ExitCode::Done)
    }

    async fn run_source(&mut self, options: &RanSource) -> Ended {
        let request =
            RunSource { again: options.again.clone(), again_all: options.again_all, timeout: options.timeout };
        let client = self.client.clone();
        let route = routes::run_source(&options.name);
        let mut run = std::pin::pin!(client.post_json::<RunReply>(&route, &request));
        let reply = if self.options.quiet || !self.terminal.is_watched() {
            run.await?
        } else {
            let lines = Lines::drawn();
            let mut watched = Watched::new(&self.client).await?;
            loop {
                let shown = watched.status().sources.iter().find(|source| source.name == options.name);
                lines.show(
                    shown.map(|source| render::source_lines(source, self.terminal.err_look())).unwrap_or_default(),
                );
                tokio::select! {
                    reply = &mut run => break reply?,
                    changed = watched.changed() => changed?,
                }
            }
        };
        let exit = if reply.ended { reply.source.exit() } else { ExitCode::NotIdle };
        let problems: Vec<SourceProblem> = if reply.source.problems > 0 {
            let name = &options.name;
            self.client.pages(|after, limit| routes::source_problems(name, after, limit)).await?
        } else {
            Vec::new()
        };
        if self.options.quiet && !self.options.json && exit == ExitCode::Done {
            return Ok(exit);
        }
        let told = json!({"schema": SCHEMA, "ended": reply.ended, "source": reply.source, "problems": problems});
        self.print(&told, |terminal| render::ran(&reply, &problems, terminal.look()))?;
        Ok(exit)
    }
}
