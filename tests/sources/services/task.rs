//! The media downloader: a task is started, looked at until it is completed, and its file fetched.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::body::{Sending, send};
use super::{Shop, json};

/// The states of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    Pending,
    Downloading,
    Processing,
    Completed,
    Error,
    Cancelled,
}

impl TaskState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Downloading => "downloading",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

struct Task {
    url: String,
    quality: Value,
    looks: u32,
    state: TaskState,
}

/// The tasks, by id.
pub(crate) struct Tasks {
    all: BTreeMap<String, Task>,
    count: u64,
    /// How many looks a new task takes, and how it ends.
    course: (u32, TaskState),
    /// Tasks whose file is gone from the disk.
    pub(crate) without_file: bool,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { all: BTreeMap::new(), count: 0, course: (2, TaskState::Completed), without_file: false }
    }
}

impl Tasks {
    pub(crate) fn list(&self) -> Vec<(String, TaskState)> {
        self.all.iter().map(|(id, task)| (id.clone(), task.state)).collect()
    }

    pub(crate) fn set_course(&mut self, looks: u32, state: TaskState) {
        self.course = (looks, state);
        for task in self.all.values_mut() {
            task.looks = 0;
        }
    }
}

pub(super) fn routes() -> Router<Shop> {
    Router::new()
        .route("/api/download", post(start))
        .route("/api/downloads", get(list))
        .route("/api/downloads/{id}", delete(cancel))
        .route("/api/downloads/{id}/remove", delete(remove))
        .route("/api/download/{id}/file", get(file))
}

async fn start(State(shop): State<Shop>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(url) = asked["url"].as_str() else {
        return json(422, &json!({"detail": "url is required"}));
    };
    let mut held = shop.held();
    held.tasks.count += 1;
    let id = format!("550e8400-e29b-41d4-a716-{:012}", held.tasks.count);
    let task = Task { url: url.to_owned(), quality: asked["quality"].clone(), looks: 0, state: TaskState::Pending };
    held.tasks.all.insert(id.clone(), task);
    json(200, &json!({"download_id": id, "status": "pending"}))
}

async fn list(State(shop): State<Shop>) -> Response {
    let mut held = shop.held();
    let (looks, end) = held.tasks.course;
    let sizes: BTreeMap<String, (u64, String)> =
        held.items.iter().map(|(id, item)| (id.clone(), (item.content.len(), item.name.clone()))).collect();
    let list: Vec<Value> = held
        .tasks
        .all
        .iter_mut()
        .map(|(id, task)| {
            task.looks += 1;
            if !matches!(task.state, TaskState::Cancelled) {
                task.state = match task.looks {
                    seen if seen > looks => end,
                    seen if seen == looks && looks > 1 => TaskState::Processing,
                    _ => TaskState::Downloading,
                };
            }
            let (size, name) = sizes.get(&task.url).cloned().unwrap_or((0, "video".to_owned()));
            let progress = match task.state {
                TaskState::Completed => 100.0,
                _ => f64::from(task.looks.min(looks)) * 100.0 / f64::from(looks + 1),
            };
            json!({
                "id": id, "url": task.url, "quality": task.quality, "status": task.state.as_str(),
                "progress": progress, "filesize": size, "filename": name,
                "error_message": (task.state == TaskState::Error).then_some("Video unavailable: private video")
            })
        })
        .collect();
    json(200, &Value::Array(list))
}

async fn cancel(State(shop): State<Shop>, Path(id): Path<String>) -> Response {
    match shop.held().tasks.all.get_mut(&id) {
        Some(task) => {
            task.state = TaskState::Cancelled;
            json(200, &json!({"message": "cancelled"}))
        }
        None => json(404, &json!({"detail": "Descarga no encontrada"})),
    }
}

async fn remove(State(shop): State<Shop>, Path(id): Path<String>) -> Response {
    match shop.held().tasks.all.remove(&id) {
        Some(_) => json(200, &json!({"message": "removed"})),
        None => json(404, &json!({"detail": "Descarga no encontrada"})),
    }
}

async fn file(State(shop): State<Shop>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let url = {
        let held = shop.held();
        match held.tasks.all.get(&id).filter(|task| task.state == TaskState::Completed) {
            Some(task) => task.url.clone(),
            None => return json(404, &json!({"detail": "Descarga no disponible o no completada"})),
        }
    };
    if shop.held().tasks.without_file {
        return json(404, &json!({"detail": "Archivo físico no encontrado"}));
    }
    let Some(item) = shop.item(&url) else {
        return json(404, &json!({"detail": "Archivo físico no encontrado"}));
    };
    let path = format!("/api/download/{id}/file");
    send(&shop, &item, &Sending { headers: &headers, path: &path, ranges: true })
}
