//! The download services of the tests: each speaks its document's API exactly, its errors among it, and can be told to
//! be slow, to break off and to lie.
//!
//! All of them answer at one address, but for the host that signed addresses lead to, which is another. What a service
//! holds is put with [`Services::put`]; what goes wrong is said with [`Services::next`]; what was asked is in
//! [`Services::seen`].

mod body;
mod cid;
mod plain;
mod signed;
mod storage;
mod task;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

pub use body::Content;
#[allow(unused_imports, reason = "the tests and the benchmark each use their part")]
pub use cid::{raw_cid, raw_cid_of, tar_of};
pub use task::TaskState;

/// What the services ask for.
pub const CREDENTIAL: &str = "s3cr3t-Cr3dential-0f-the-tests";

/// A file a service holds.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its bytes.
    pub content: Content,
    /// Its name, as `Content-Disposition` and listings say it.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// The whole `Content-Disposition`, instead of the one made of `name`; empty for none.
    pub disposition: Option<String>,
    /// The validator; changed with every [`Services::put`].
    pub etag: Option<String>,
    /// Whether ranges are honoured.
    pub ranges: bool,
    /// Whether its length is announced.
    pub length: bool,
}

impl Item {
    /// A file that everything is said of.
    pub fn new(name: &str, content: impl Into<Content>) -> Self {
        Self {
            content: content.into(),
            name: name.to_owned(),
            kind: "application/octet-stream",
            disposition: None,
            etag: None,
            ranges: true,
            length: true,
        }
    }
}

/// What goes wrong with one answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Another answer: status, type, body.
    Answer(u16, &'static str, String),
    /// The body breaks off after so many bytes.
    Cut(u64),
    /// The body stops after so many bytes until [`Services::release`].
    Hold(u64),
    /// The `Range` of the request is not heeded.
    NoRange,
    /// The bytes are others than those asked for: they start so much later.
    OtherRange(u64),
    /// Other bytes of the same length.
    OtherBytes,
    /// A redirect.
    Redirect(String),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether it came to the host of signed addresses.
    pub at_downloads: bool,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What the services hold, do wrong and saw.
#[derive(Default)]
pub(crate) struct Held {
    items: BTreeMap<String, Item>,
    versions: u64,
    /// What goes wrong next, by the beginning of the request's path.
    faults: VecDeque<(String, Fault)>,
    seen: Vec<Seen>,
    /// Bytes of files that were sent.
    sent: u64,
    pub(crate) tasks: task::Tasks,
    pub(crate) signed: signed::Signed,
    pub(crate) locked: BTreeMap<String, u32>,
    pub(crate) denied: Vec<String>,
}

/// What every handler works with.
#[derive(Clone)]
pub(crate) struct Shop {
    held: Arc<Mutex<Held>>,
    released: watch::Sender<u64>,
    at_downloads: bool,
}

impl Shop {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// The fault of this request, if one was ordered for its path.
    pub(crate) fn fault(&self, path: &str) -> Option<Fault> {
        let mut held = self.held();
        let at = held.faults.iter().position(|(start, _)| path.starts_with(start.as_str()))?;
        held.faults.remove(at).map(|(_, fault)| fault)
    }

    pub(crate) fn item(&self, id: &str) -> Option<Item> {
        self.held().items.get(id).cloned()
    }
}

/// The running services. They end when this is dropped.
pub struct Services {
    /// Where they are.
    pub url: String,
    /// Where signed addresses lead.
    pub downloads: String,
    shop: Shop,
    _end: oneshot::Sender<()>,
}

impl Services {
    /// Starts all of them on a thread of their own.
    pub fn start() -> Self {
        let shop = Shop { held: Arc::default(), released: watch::Sender::new(0), at_downloads: false };
        let (end, ended) = oneshot::channel::<()>();
        let (told, addresses) = std::sync::mpsc::channel();
        let of = shop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let main = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let downloads = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
                of.held().signed.downloads = address(&downloads);
                told.send((address(&main), address(&downloads))).unwrap();
                let at_downloads = Shop { at_downloads: true, ..of.clone() };
                tokio::spawn(async move { axum::serve(main, routes(of)).await });
                tokio::spawn(async move { axum::serve(downloads, download_routes(at_downloads)).await });
                // An error is the end as well.
                let _ = ended.await;
            });
        });
        let (url, downloads) = addresses.recv().unwrap();
        Self { url, downloads, shop, _end: end }
    }

    /// Puts a file into the services under an id, with a validator of its own.
    pub fn put(&self, id: &str, mut item: Item) {
        let mut held = self.shop.held();
        held.versions += 1;
        if item.etag.is_none() {
            item.etag = Some(format!("\"v{}\"", held.versions));
        }
        held.items.insert(id.to_owned(), item);
    }

    /// Takes a file away.
    pub fn remove(&self, id: &str) {
        self.shop.held().items.remove(id);
    }

    /// What goes wrong with the next request whose path starts so. Several for one path happen in their order.
    pub fn next(&self, path: &str, fault: Fault) {
        self.shop.held().faults.push_back((path.to_owned(), fault));
    }

    /// Whether everything that was to go wrong has.
    pub fn all_faults_happened(&self) -> bool {
        self.shop.held().faults.is_empty()
    }

    /// Lets every body that is held go on.
    pub fn release(&self) {
        self.shop.released.send_modify(|count| *count += 1);
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shop.held().seen.clone()
    }

    /// Bytes of files sent since this was last asked.
    pub fn take_sent(&self) -> u64 {
        std::mem::take(&mut self.shop.held().sent)
    }

    /// Bytes of files sent so far.
    pub fn sent(&self) -> u64 {
        self.shop.held().sent
    }

    /// Forgets the requests so far.
    pub fn forget_seen(&self) {
        self.shop.held().seen.clear();
    }

    /// The next so many downloads of a file find it locked.
    pub fn lock(&self, id: &str, times: u32) {
        self.shop.held().locked.insert(id.to_owned(), times);
    }

    /// Access to a file is denied from now on.
    pub fn deny(&self, id: &str) {
        self.shop.held().denied.push(id.to_owned());
    }

    /// The download tasks of the media downloader.
    pub fn tasks(&self) -> Vec<(String, TaskState)> {
        self.shop.held().tasks.list()
    }

    /// From now on a task needs so many looks until it is completed; it then ends in `state`.
    pub fn task_takes(&self, looks: u32, state: TaskState) {
        self.shop.held().tasks.set_course(looks, state);
    }

    /// Signed addresses from now on hold for so many seconds; a negative number for addresses that never hold.
    pub fn signed_for(&self, seconds: i64) {
        self.shop.held().signed.lifetime = seconds;
    }

    /// What the service says of the size, instead of the truth.
    pub fn say_size(&self, size: Option<u64>) {
        self.shop.held().signed.said_size = size;
    }
}

fn routes(shop: Shop) -> Router {
    Router::new()
        .merge(cid::routes())
        .merge(storage::routes())
        .merge(signed::routes())
        .merge(task::routes())
        .merge(plain::routes())
        .layer(middleware::from_fn_with_state(shop.clone(), note))
        .with_state(shop)
}

fn download_routes(shop: Shop) -> Router {
    signed::download_routes().layer(middleware::from_fn_with_state(shop.clone(), note)).with_state(shop)
}

/// Notes the request, and gives another answer where one was ordered.
async fn note(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen {
        at_downloads: shop.at_downloads,
        method: request.method().clone(),
        target,
        headers: request.headers().clone(),
    };
    let path = request.uri().path().to_owned();
    shop.held().seen.push(seen);
    let answers = shop.held().faults.iter().position(|(start, fault)| {
        path.starts_with(start.as_str()) && matches!(fault, Fault::Answer(..) | Fault::Redirect(_))
    });
    // Only the first fault of a path is due.
    let first = shop.held().faults.iter().position(|(start, _)| path.starts_with(start.as_str()));
    if answers.is_some() && answers == first {
        match shop.fault(&path) {
            Some(Fault::Answer(status, kind, body)) => {
                return (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body).into_response();
            }
            Some(Fault::Redirect(to)) => return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            _ => {}
        }
    }
    next.run(request).await
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/json")], body.to_string())
        .into_response()
}
