//! Status, sync and wait.

use std::time::Duration;

use futures_util::future::try_join_all;
use hcfs_api::{ApiError, ErrorCode, ExitCode, Plan, SCHEMA, Status, SyncReply, routes};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Ended, Session, listed};
use crate::args::{StatusOptions, SyncOptions, WaitOptions};
use crate::client::events::Watched;
use crate::error::CliError;
use crate::progress::{LiveView, watch};
use crate::render;

/// Actions that are printed of a plan for a person.
const SHOWN: usize = Plan::DEFAULT_LIMIT;
/// How long beyond the time it was given the daemon may take to say that the time ran out.
const GRACE: Duration = Duration::from_secs(5);

impl Session<'_> {
    pub(super) async fn status(&mut self, options: &StatusOptions) -> Ended {
        if options.watch {
            return self.watch_status().await;
        }
        let status: Status = self.client.get(routes::STATUS).await?;
        self.print(&status, |terminal| render::status(&status, terminal.now(), terminal.look()))?;
        Ok(ExitCode::Done)
    }

    /// Shows the status until the daemon ends or the user interrupts it.
    async fn watch_status(&mut self) -> Ended {
        let mut watched = Watched::new(&self.client).await?;
        if self.options.json {
            loop {
                self.terminal.out_json(watched.status())?;
                watched.changed().await?;
            }
        }
        let mut view = LiveView::of_result(self.terminal);
        watch(&mut watched, &mut view, self.terminal, None, |_| false).await?;
        Ok(ExitCode::Done)
    }

    /// Waits until no folder is on its way any more.
    pub(super) async fn wait(&mut self, options: &WaitOptions) -> Ended {
        let mut watched = Watched::new(&self.client).await?;
        let within = options.timeout.map(Duration::from_secs);
        let ended = self.wait_for(&mut watched, within, |_| true).await?;
        let status = watched.status().clone();
        self.outcome(&status, ended)
    }

    /// Waits until none of the chosen folders works; false where the time ran out first.
    async fn wait_for(
        &mut self,
        watched: &mut Watched,
        within: Option<Duration>,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<bool, CliError> {
        let mut view = LiveView::new(self.terminal, self.options.quiet, self.options.json);
        watch(watched, &mut view, self.terminal, within, |status| {
            let mut working = status.folders.iter().filter(|folder| folder.state.is_working());
            !working.any(|folder| chosen(&folder.label))
        })
        .await
    }

    /// Starts a cycle in each chosen folder and waits until none of them works any more.
    pub(super) async fn sync(&mut self, options: &SyncOptions) -> Ended {
        let folders = self.chosen(&options.labels).await?;
        let labels: Vec<String> = folders.into_iter().map(|folder| folder.label).collect();
        let end = options.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let client = self.client.clone();
        let cycles = try_join_all(labels.iter().map(|label| {
            let client = &client;
            async move {
                let route = routes::sync(label, options.timeout);
                let asked = client.post::<SyncReply>(&route);
                match end {
                    None => asked.await.map(Some),
                    Some(end) => {
                        tokio::time::timeout_at(end + GRACE, asked).await.map_or(Ok(None), |reply| reply.map(Some))
                    }
                }
            }
        }));
        let replies = self.while_shown(cycles).await?;
        let mut ended = replies.iter().all(|reply| reply.as_ref().is_some_and(|reply| reply.ended));
        let mut watched = Watched::new(&self.client).await?;
        if ended {
            let within = end.map(|end| end.saturating_duration_since(Instant::now()));
            ended = self.wait_for(&mut watched, within, |label| labels.iter().any(|known| known == label)).await?;
        }
        let mut status = watched.status().clone();
        status.folders.retain(|folder| labels.contains(&folder.label));
        self.outcome(&status, ended)
    }

    /// Shows the status while something else is waited for.
    async fn while_shown<T>(&mut self, waited: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        let mut watched = Watched::new(&self.client).await?;
        let mut view = LiveView::new(self.terminal, self.options.quiet, self.options.json);
        let shown = watch(&mut watched, &mut view, self.terminal, None, |_| false);
        tokio::select! {
            biased;
            ended = waited => ended,
            broken = shown => Err(broken.err().unwrap_or_else(|| self.client.unreachable(None))),
        }
    }

    /// Prints how the folders were left, and what that means for the exit code.
    fn outcome(&mut self, status: &Status, ended: bool) -> Ended {
        let idle = Status::all_idle(&status.folders);
        if self.options.json {
            let folders = listed("folders", &status.folders)?;
            self.terminal.out_json(&merged(folders, json!({"idle": idle, "ended": ended})))?;
        } else if !self.options.quiet || !idle {
            let now = self.terminal.now();
            for folder in &status.folders {
                self.terminal.out(&format!("{}\n", render::phase(folder, now)))?;
            }
        }
        if ended {
            return Ok(match ExitCode::of_states(status.folders.iter().map(|folder| folder.state)) {
                ExitCode::Done if status.daemon.locked => ExitCode::Locked,
                code => code,
            });
        }
        let message = "the time ran out before the folders were in step";
        Err(ApiError::new(ErrorCode::Timeout, message, "the daemon goes on; see `hcfs status`").into())
    }

    pub(super) async fn dry_run(&mut self, options: &SyncOptions) -> Ended {
        let folders = self.chosen(&options.labels).await?;
        let limit = if self.options.json { Plan::MAX_LIMIT } else { SHOWN };
        let mut plans = Vec::new();
        for folder in &folders {
            let plan: Plan = self.client.get(&routes::plan(&folder.label, limit)).await?;
            if self.options.json {
                let plan = serde_json::to_value(&plan).map_err(|error| crate::client::odd(&error.to_string()))?;
                plans.push(merged(plan, json!({"folder": folder.label})));
            } else {
                let text = render::plan(&folder.label, &plan, self.terminal.look());
                self.terminal.out(&text)?;
            }
        }
        if self.options.json {
            self.terminal.out_json(&json!({"schema": SCHEMA, "plans": plans}))?;
        }
        Ok(ExitCode::Done)
    }
}

/// The fields of both objects.
fn merged(mut object: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
    object
}
