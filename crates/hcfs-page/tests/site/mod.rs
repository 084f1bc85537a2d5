//! A page over a socket that answers as it is told, and a client that writes what it likes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use hcfs_api::{
    ApiError, Counts, DaemonStatus, Done, ErrorBody, ErrorCode, Folder, FolderMode, FolderState, Rates, SCHEMA,
    ServerStatus, Status, Totals,
};
use hcfs_page::{Page, Socket, Throughput};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long an answer may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Site {
    pub page: Page,
    status: Arc<Mutex<Status>>,
    asked: Arc<Mutex<Vec<String>>>,
    changes: watch::Sender<u64>,
    _running: DropGuard,
}

/// A session as a browser keeps it.
pub struct Session {
    /// The path all of it lies below, with slashes on both ends.
    pub base: String,
    /// `name=value`.
    pub cookie: String,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0.to_owned())
}

fn status(label: &str) -> Status {
    let folder = Folder {
        label: label.into(),
        path: "/home/me/docs".into(),
        mode: FolderMode::Sync,
        state: FolderState::Idle,
        trouble: None,
        counts: Counts::default(),
        rates: Rates::default(),
        transfers: Vec::new(),
        last_cycle_at: None,
        cycles: 1,
    };
    let folders = vec![folder];
    Status {
        schema: SCHEMA,
        daemon: DaemonStatus {
            version: "1".into(),
            pid: 1,
            started_at: 0,
            uptime_seconds: 0,
            device: "laptop".into(),
            locked: false,
        },
        server: ServerStatus {
            url: None,
            embedded: true,
            reachable: Some(true),
            account: None,
            version: None,
            capabilities: Vec::new(),
        },
        idle: true,
        totals: Totals::of(&folders),
        folders,
        sources: Vec::new(),
        rates: Rates::default(),
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::with_label("docs").await
    }

    pub async fn with_label(label: &str) -> Self {
        let status = Arc::new(Mutex::new(status(label)));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (changes, watched) = watch::channel(0);
        let (shown, seen) = (status.clone(), asked.clone());
        let routes = Router::new().fallback(move |request: Request| answer(request, shown.clone(), seen.clone()));
        let stopping = CancellationToken::new();
        let socket = Socket::new(routes, watched);
        let throughput = Throughput::follow(socket.clone(), stopping.clone());
        let page = Page::listen(0, socket, throughput, stopping.clone()).await.unwrap();
        assert!(page.address().ip().is_loopback());
        Self { page, status, asked, changes, _running: stopping.drop_guard() }
    }

    /// Every request to the socket so far, without the looks at the status.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|line| !line.ends_with("/v1/status")).cloned().collect()
    }

    /// Every change the socket was told.
    pub fn changes(&self) -> Vec<String> {
        self.asked().into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }

    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap());
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn path_of(&self, url: &str) -> String {
        url.strip_prefix(&format!("http://{}", self.page.address())).unwrap().to_owned()
    }

    pub async fn enter(&self) -> Session {
        let opened = self.get(&self.path_of(&self.page.link().unwrap().url), "").await;
        let cookie = opened.header("set-cookie").unwrap();
        let session =
            Session { base: between(cookie, "Path=", ";").unwrap(), cookie: between(cookie, "", ";").unwrap() };
        assert!(opened.body.contains(&format!("0; url={}\"", session.base)), "{}", opened.body);
        session
    }

    /// The token of a session's forms.
    pub async fn token(&self, session: &Session) -> String {
        between(&self.view(session, "").await.body, "name=\"token\" value=\"", "\"").unwrap()
    }

    pub async fn view(&self, session: &Session, name: &str) -> Answer {
        self.get(&format!("{}{name}", session.base), &format!("Cookie: {}\r\n", session.cookie)).await
    }

    pub async fn get(&self, path: &str, headers: &str) -> Answer {
        self.send("GET", path, headers, "").await
    }

    /// A form, sent as a browser sends one of this page.
    pub async fn post(&self, base: &str, name: &str, headers: &str, form: &str) -> Answer {
        let headers = format!(
            "{headers}Origin: null\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        self.send("POST", &format!("{base}{name}"), &headers, form).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.page.address(),
            body.len()
        );
        self.raw(head.as_bytes()).await
    }

    /// Sends bytes as they are, and reads one answer.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let answered = tokio::time::timeout(DEADLINE, self.answered(bytes)).await;
        answered.unwrap_or_else(|_| panic!("no answer to {}", String::from_utf8_lossy(bytes)))
    }

    async fn answered(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.page.address()).await.unwrap();
        // The page may have answered and closed before all of it is sent.
        let _ = stream.write_all(bytes).await;
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let (head, body) = split(&text);
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let bodiless = head.starts_with("HTTP/1.1 204") || bytes.starts_with(b"HEAD");
            if !head.is_empty() && (bodiless || length.is_some_and(|length: usize| body.len() >= length)) {
                break;
            }
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend_from_slice(&piece[..read]),
            }
        }
        let (head, body) = split(&text);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer { status: status.unwrap_or_else(|| panic!("no answer: {head}")), head, body }
    }

    pub async fn stream(&self, session: &Session, view: &str) -> Stream {
        let mut stream = TcpStream::connect(self.page.address()).await.unwrap();
        let head = format!(
            "GET {}live?view={view} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            session.base,
            self.page.address(),
            session.cookie
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Stream(stream)
    }
}

fn split(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes);
    text.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap_or_default()
}

/// An open stream of events.
pub struct Stream(TcpStream);

impl Stream {
    /// What comes until a text has come.
    pub async fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let read = tokio::time::timeout(DEADLINE, async {
            let mut piece = [0; 4096];
            loop {
                let so_far = String::from_utf8_lossy(&seen).into_owned();
                // The whole event, not only its beginning.
                if so_far.split_once(text).is_some_and(|(_, rest)| rest.contains("\n\n")) {
                    return so_far;
                }
                let read = self.0.read(&mut piece).await.unwrap();
                assert!(read > 0, "the stream ended: {so_far}");
                seen.extend_from_slice(&piece[..read]);
            }
        });
        read.await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {text}"))
    }
}

async fn answer(request: Request, status: Arc<Mutex<Status>>, asked: Arc<Mutex<Vec<String>>>) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let line = format!("{} {} {body}", head.method, head.uri);
    asked.lock().unwrap().push(line.trim_end().to_owned());
    if head.method != Method::GET {
        return json(&Done::default());
    }
    match head.uri.path() {
        "/v1/status" => json(&*status.lock().unwrap()),
        other => {
            let message = format!("there is nothing at \"{other}\", as in <script>alert(2)</script>");
            let error = ApiError::new(ErrorCode::NoFolder, message, "see the list");
            let code = axum::http::StatusCode::from_u16(error.code.status()).unwrap();
            (code, json(&ErrorBody { error })).into_response()
        }
    }
}

fn json(value: &impl serde::Serialize) -> Response {
    Response::new(Body::from(serde_json::to_vec(value).unwrap()))
}
