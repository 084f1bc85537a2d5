//! `download_task`: media that a downloader gets first, and gives then.
//!
//! Facts: `POST {base}/api/download {url, quality}` answers `{download_id}`; `GET {base}/api/downloads` lists the tasks
//! with `id, url, status, progress, filename, error_message, quality`; the states are `pending`, `downloading`,
//! `processing`, `completed`, `error` and `cancelled`. `GET {base}/api/download/{id}/file` gives the file, or 404 with
//! `detail` when the task is unknown, not completed, or its file is gone: which of them, the list tells.
//! `DELETE {base}/api/downloads/{id}` cancels, `DELETE {base}/api/downloads/{id}/remove` removes. No credential.
//!
//! Invariants: a task is written into the record before it is waited for, and looked for in the list before another is
//! started; a task that ended badly is left out of the record, so that the next run starts anew; every wait ends.

mod task;

use std::time::Duration;

use async_trait::async_trait;
use hcfs_http::{BaseUrl, Client, HeaderMap, Request, Response, StatusCode, UrlError, header, retry_after, transient};
use hcfs_model::UnixNanos;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::answer::{self, Complaint};
use crate::error::SourceError;
use crate::item;
use crate::kind::Kind;
use crate::resume::Resume;
use crate::settings::{DownloadTaskSettings, Tempo};
use crate::source::{Brought, Fetched, Item, Job, Progress, Source, Stage, Verified};
use crate::stage::{self, Accept, Errand, Form, Way};
use task::{State, Task};

/// See the module.
pub(crate) struct DownloadTaskSource {
    client: Client,
    tempo: Tempo,
    base: BaseUrl,
    items: Vec<Item>,
    quality: Option<String>,
    deadline: Duration,
    cleanup: bool,
}

#[derive(Serialize)]
struct Order<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
}

#[derive(Deserialize)]
struct Ordered {
    download_id: String,
}

impl DownloadTaskSource {
    pub(crate) fn open(settings: DownloadTaskSettings, client: Client, tempo: Tempo) -> Result<Self, SourceError> {
        let DownloadTaskSettings { base, items, quality, deadline, cleanup } = settings;
        let items = item::items(&items, item::check_address)?;
        Ok(Self { client, tempo, base, items, quality, deadline, cleanup })
    }

    fn request(&self, make: fn(hcfs_http::Url) -> Request, segments: &[&str]) -> Result<Request, SourceError> {
        let refused = |source: UrlError| SourceError::Address { what: "the service".to_owned(), source };
        self.base.join(["api"].into_iter().chain(segments.iter().copied())).map(make).map_err(refused)
    }

    async fn refusal(answer: Response, item: &str, now: UnixNanos) -> SourceError {
        answer::refusal(answer, None, item, now).await
    }

    /// All tasks of the service.
    async fn tasks(&self, item: &str, now: UnixNanos) -> Result<Vec<Task>, SourceError> {
        let request = self.request(Request::get, &["downloads"])?;
        let answer = answer::ask(&self.client, &self.tempo, &request, now).await?;
        if answer.status != StatusCode::OK {
            return Err(Self::refusal(answer, item, now).await);
        }
        answer::json(answer, "list of tasks", answer::LISTING_MAX).await
    }

    /// The task the record names, or one for the same medium that somebody started before.
    async fn find(&self, item: &str, resume: &Resume, now: UnixNanos) -> Result<Option<Task>, SourceError> {
        let tasks = self.tasks(item, now).await?;
        if let Some(task) = tasks.iter().find(|task| Some(&task.id) == resume.task.as_ref()) {
            return Ok(Some(task.clone()));
        }
        let asked = self.quality.as_deref();
        let same = |task: &&Task| {
            let quality = asked.is_none() || task.quality.is_none() || task.quality.as_deref() == asked;
            task.url.as_deref() == Some(item) && quality && task.state().is_alive()
        };
        // The one that is done, if one is; else the last started.
        let done = tasks.iter().filter(same).find(|task| task.state() == State::Completed);
        Ok(done.or_else(|| tasks.iter().rfind(same)).filter(|task| item::check_id(&task.id).is_ok()).cloned())
    }

    /// Starts a task.
    async fn start(&self, item: &str, now: UnixNanos) -> Result<String, SourceError> {
        let order = Order { url: item, quality: self.quality.as_deref() };
        let body = serde_json::to_vec(&order).unwrap_or_default();
        let json = hcfs_http::HeaderValue::from_static("application/json");
        let request = self.request(Request::post, &["download"])?.header(header::CONTENT_TYPE, json).body(body);
        let answer = answer::ask(&self.client, &self.tempo, &request, now).await?;
        if !answer.status.is_success() {
            return Err(match (answer.status, Complaint::read(answer, None).await) {
                (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, complaint) => {
                    SourceError::TaskFailed { item: item.to_owned(), message: complaint.message }
                }
                (status, complaint) => answer::error_of(status, None, complaint, item),
            });
        }
        let Ordered { download_id } = answer::json(answer, "answer to a new task", answer::COMPLAINT_MAX).await?;
        item::check_id(&download_id)
            .map_err(|rule| SourceError::BadAnswer { what: "answer to a new task", reason: rule.to_owned() })?;
        Ok(download_id)
    }

    /// Waits until the task is completed, and gives it.
    async fn wait(&self, item: &str, first: Option<Task>, job: &mut Job<'_>) -> Result<Task, SourceError> {
        let started = Instant::now();
        let (mut pause, mut looked, mut seen) = (self.tempo.poll, first, None);
        loop {
            let task = match looked.take() {
                Some(task) => task,
                None => self.look(item, job).await?,
            };
            match task.state() {
                State::Completed => return Ok(task),
                State::Error => {
                    job.part.resume.task = None;
                    let message = task.error_message.as_deref().and_then(|text| answer::message(text, None));
                    return Err(SourceError::TaskFailed { item: item.to_owned(), message });
                }
                State::Cancelled => {
                    job.part.resume.task = None;
                    return Err(SourceError::TaskCancelled { item: item.to_owned() });
                }
                State::Running => {}
            }
            let (status, percent) = (task.shown_status(), task.percent());
            let stage = Stage::Preparing { status: status.clone(), percent };
            job.watcher.progress(Progress { stage, bytes: 0, total: None });
            // Something moves: look again soon. Nothing does: leave it longer each time.
            let now = Some((status.clone(), percent));
            pause = if seen == now { (pause * 3 / 2).min(self.tempo.poll_longest) } else { self.tempo.poll };
            seen = now;
            let left = self.deadline.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(SourceError::TaskTooSlow { item: item.to_owned(), after: self.deadline, status });
            }
            tokio::select! {
                biased;
                () = job.cancel.cancelled() => return Err(SourceError::Cancelled { item: item.to_owned() }),
                () = tokio::time::sleep(pause.min(left)) => {}
            }
        }
    }

    /// The record's task as it is now.
    async fn look(&self, item: &str, job: &mut Job<'_>) -> Result<Task, SourceError> {
        let tasks = tokio::select! {
            biased;
            () = job.cancel.cancelled() => return Err(SourceError::Cancelled { item: item.to_owned() }),
            tasks = self.tasks(item, job.now) => tasks?,
        };
        let wanted = job.part.resume.task.clone();
        let found = tasks.into_iter().find(|task| Some(&task.id) == wanted.as_ref());
        found.ok_or_else(|| {
            job.part.resume.task = None;
            SourceError::TaskUnknown { item: item.to_owned() }
        })
    }

    /// The task to wait for: found, or started. It is in the record, and that is kept.
    async fn task(&self, item: &str, job: &mut Job<'_>) -> Result<Option<Task>, SourceError> {
        let found = self.find(item, &job.part.resume, job.now).await?;
        let id = match &found {
            Some(task) => task.id.clone(),
            None => self.start(item, job.now).await?,
        };
        let record = &mut job.part.resume;
        if record.task.as_ref() != Some(&id) {
            // Another task, another file: what is here of the old one does not go on.
            record.forget_content();
            record.task = Some(id);
        }
        let kept = job.watcher.keep(&job.part.resume).await;
        kept.map_err(|source| SourceError::NotKept { item: item.to_owned(), source })?;
        Ok(found)
    }

    async fn delete(&self, segments: &[&str], item: &str) -> Result<(), SourceError> {
        let request = self.request(Request::delete, segments)?.idempotent();
        let answer = answer::ask(&self.client, &self.tempo, &request, UnixNanos(0)).await?;
        // One that is gone need not be removed.
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(Self::refusal(answer, item, UnixNanos(0)).await)
    }
}

struct FileWay<'a> {
    source: &'a DownloadTaskSource,
    item: &'a str,
    task: &'a str,
    now: UnixNanos,
    page: String,
}

#[async_trait]
impl Way for FileWay<'_> {
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError> {
        if answer::is_page(head) && !head.contains_key(header::CONTENT_DISPOSITION) {
            answer::content_type(head).unwrap_or_default().clone_into(&mut self.page);
            return Ok(Accept::Page);
        }
        Ok(Accept::Take { form: Form::Plain, same: false })
    }

    fn page(&self, start: &[u8]) -> SourceError {
        let message = Complaint::of(start, None).message;
        SourceError::WrongContent { item: self.item.to_owned(), expected: "a file", got: self.page.clone(), message }
    }

    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError> {
        let (status, wait) = (answer.status, retry_after(&answer.headers, self.now));
        let complaint = Complaint::read(answer, None).await;
        if status != StatusCode::NOT_FOUND {
            return Err(answer::error_of(status, wait, complaint, self.item));
        }
        let item = self.item.to_owned();
        let tasks = self.source.tasks(self.item, self.now).await?;
        Err(match tasks.into_iter().find(|task| task.id == self.task) {
            None => SourceError::TaskUnknown { item },
            Some(task) if task.state() == State::Completed => SourceError::TaskFileGone { item },
            Some(task) => SourceError::TaskNotCompleted { item, status: task.shown_status() },
        })
    }
}

#[async_trait]
impl Source for DownloadTaskSource {
    fn kind(&self) -> Kind {
        Kind::DownloadTask
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        Ok(self.items.clone())
    }

    async fn fetch(&self, item: &Item, mut job: Job<'_>) -> Result<Fetched, SourceError> {
        item::check_address(&item.id).map_err(|rule| SourceError::BadItem { item: item::shown(&item.id), rule })?;
        if job.known.is_some() {
            // A medium is got once; to ask whether it has changed, it would have to be got again.
            return Ok(Fetched::NotModified);
        }
        let found = self.task(&item.id, &mut job).await?;
        let task = self.wait(&item.id, found, &mut job).await?;
        let mut way = FileWay { source: self, item: &item.id, task: &task.id, now: job.now, page: String::new() };
        let errand = Errand {
            client: &self.client,
            tempo: &self.tempo,
            item,
            request: self.request(Request::get, &["download", &task.id, "file"])?,
            join_untied: false,
            claim: None,
            classify: transient,
            listed: task.filename.clone(),
            stem: task.id.clone(),
        };
        let arrived = match stage::bring(errand, &mut way, &mut job).await {
            Ok(stage::Outcome::Same) => return Ok(Fetched::NotModified),
            Ok(stage::Outcome::All(arrived)) => *arrived,
            Err(error) => {
                if matches!(error, SourceError::TaskUnknown { .. } | SourceError::TaskFileGone { .. }) {
                    // The next run starts a new one.
                    job.part.resume.task = None;
                }
                return Err(error);
            }
        };
        let (size, hash) = stage::sum(&arrived.sink);
        let verified = Verified::No("the service gives nothing to verify its files by".to_owned());
        Ok(Fetched::Done(Brought { name: arrived.name, size, validators: arrived.validators, hash, verified }))
    }

    async fn finish(&self, item: &Item, resume: &Resume) -> Result<(), SourceError> {
        match &resume.task {
            Some(task) if self.cleanup => self.delete(&["downloads", task, "remove"], &item.id).await,
            _ => Ok(()),
        }
    }

    async fn abandon(&self, item: &Item, resume: &Resume) -> Result<(), SourceError> {
        match &resume.task {
            Some(task) => self.delete(&["downloads", task], &item.id).await,
            None => Ok(()),
        }
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        let tasks = self.tasks("the list of tasks", UnixNanos(0)).await?;
        let alive = tasks.iter().filter(|task| task.state() == State::Running).count();
        Ok(vec![
            format!("{} answers", self.base),
            "it needs no credential".to_owned(),
            format!("it has {} tasks, {alive} of them not yet done", tasks.len()),
        ])
    }
}
