//! A front before the real server that answers as it is told.
//!
//! One connection carries one exchange. The front takes the whole request, asks the server, and hands the answer to the
//! lie of the hour; an honest front passes it on. What a new lie replaces ends at once, also what never ends by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// What a client asked.
#[derive(Clone)]
pub(crate) struct Request {
    server: String,
    pub(crate) method: String,
    /// With its query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Whether it asks for the listing of the folder.
    pub(crate) fn is_listing(&self) -> bool {
        self.target.starts_with("/get_state/")
    }

    /// Whether it fetches a file.
    pub(crate) fn is_download(&self) -> bool {
        self.target.starts_with("/download/")
    }

    /// What the server answers to the same request for another file.
    pub(crate) fn of(&self, path: &str) -> Reply {
        let (folder, _) = self.target.rsplit_once('/').unwrap();
        ask(&Self { target: format!("{folder}/{}", id(path)), ..self.clone() }).unwrap()
    }

    /// Whether it fetches this file.
    pub(crate) fn fetches(&self, path: &str) -> bool {
        self.is_download() && self.target.ends_with(&id(path))
    }
}

/// The id of a path, as it stands in a URL.
pub(crate) fn id(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex().to_string()
}

/// What the server answered.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into() }
    }

    /// The page of a captive portal.
    pub(crate) fn page() -> Self {
        Self::new(200, "text/html", "<html><body>Welcome to the hotel. Please log in.</body></html>")
    }

    /// `not_found`, as the protocol has it.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "application/json", r#"{"Error":{"error":"not_found","message":"no such file"}}"#)
    }

    /// The same with another value of a header; with none where the value is empty.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// A listing that was changed by hand.
    pub(crate) fn listing(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut listing: Value = serde_json::from_slice(&self.body).unwrap();
        change(&mut listing["Success"]);
        Self { body: serde_json::to_vec(&listing).unwrap(), ..self }
    }

    /// A listing with one row changed.
    pub(crate) fn row(self, path: &str, change: impl FnOnce(&mut Value)) -> Self {
        self.listing(|listing| change(row(listing, path)))
    }
}

/// The row of a path.
pub(crate) fn row<'l>(listing: &'l mut Value, path: &str) -> &'l mut Value {
    let id = bytes(blake3::hash(path.as_bytes()).as_bytes());
    listing["files"].as_array_mut().unwrap().iter_mut().find(|row| row["path_hash"] == id).unwrap()
}

/// Bytes as the protocol writes them in JSON.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::from(bytes.to_vec())
}

/// What the front does with an answer.
pub(crate) enum Act {
    /// Sends it.
    Answer(Reply),
    /// Sends these bytes, and then nothing.
    Stall(Vec<u8>),
    /// Sends the first bytes, and then the others over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends the bytes one by one, some each second.
    Drip(Vec<u8>),
}

type Lie = Arc<dyn Fn(&Request, Reply) -> Act + Send + Sync>;

/// The front.
pub(crate) struct Front {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    lie: Mutex<Lie>,
    /// Grows with every lie; what an older one does ends.
    hour: AtomicU64,
    seen: Mutex<Vec<Request>>,
    sent: AtomicU64,
}

impl Front {
    /// An honest front of the server at a URL.
    pub(crate) fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            server: server.trim_start_matches("http://").to_owned(),
            lie: Mutex::new(Arc::new(|_, reply| Act::Answer(reply))),
            hour: AtomicU64::new(0),
            seen: Mutex::default(),
            sent: AtomicU64::new(0),
        });
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of);
                // A client that goes away is no matter of the front.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { url, shared }
    }

    /// Lies from now on.
    pub(crate) fn lie(&self, lie: impl Fn(&Request, Reply) -> Act + Send + Sync + 'static) {
        *self.shared.lie.lock().unwrap() = Arc::new(lie);
        self.shared.hour.fetch_add(1, Ordering::SeqCst);
    }

    /// Changes answers from now on.
    pub(crate) fn change(&self, change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) {
        self.lie(move |request, reply| Act::Answer(change(request, reply)));
    }

    /// Passes on what the server says.
    pub(crate) fn be_honest(&self) {
        self.change(|_, reply| reply);
    }

    /// What the server answers to the last request of some kind that came by, sent again.
    fn again(&self, kind: fn(&Request) -> bool) -> Request {
        self.shared.seen.lock().unwrap().iter().rev().find(|seen| kind(seen)).unwrap().clone()
    }

    /// The blob of a path as the server has it now.
    pub(crate) fn blob_of(&self, path: &str) -> Vec<u8> {
        let whole = Request { headers: self.token(), ..self.again(Request::is_download) };
        whole.of(path).body
    }

    /// The row of a path as the server lists it now.
    pub(crate) fn row_of(&self, path: &str) -> Value {
        let listing = ask(&self.again(Request::is_listing)).unwrap();
        let mut listing: Value = serde_json::from_slice(&listing.body).unwrap();
        row(&mut listing["Success"], path).clone()
    }

    fn token(&self) -> Vec<(String, String)> {
        self.again(Request::is_listing).headers.into_iter().filter(|(name, _)| name == "authorization").collect()
    }

    /// Bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let hour = self.hour.load(Ordering::SeqCst);
        let lie = Arc::clone(&self.lie.lock().unwrap());
        let mut reader = BufReader::new(client.try_clone()?);
        let (first, headers, body) = message(&mut reader, false)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let request = Request { server: self.server.clone(), method, target, headers, body };
        self.seen.lock().unwrap().push(request.clone());
        let reply = ask(&request)?;
        let is_head = request.method == "HEAD";
        match lie(&request, reply) {
            Act::Answer(reply) => self.send(&mut client, &wire(&reply, is_head)),
            Act::Stall(bytes) => {
                self.send(&mut client, &bytes)?;
                while self.is(hour) {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
                Ok(())
            }
            Act::Endless(first, piece) => {
                self.send(&mut client, &first)?;
                while self.is(hour) {
                    self.send(&mut client, &piece)?;
                }
                Ok(())
            }
            Act::Drip(bytes) => {
                for byte in bytes.chunks(1).take_while(|_| self.is(hour)) {
                    self.send(&mut client, byte)?;
                    std::thread::park_timeout(Duration::from_millis(200));
                }
                Ok(())
            }
        }
    }

    fn is(&self, hour: u64) -> bool {
        self.hour.load(Ordering::SeqCst) == hour
    }

    fn send(&self, client: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        client.write_all(bytes)?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// Asks the server, in the old version of HTTP, in which an answer is what comes until the connection closes. A tag
/// the client knows is left out: a front that lies about a listing has to be asked for it. So are the extensions the
/// lies do not speak.
fn ask(request: &Request) -> std::io::Result<Reply> {
    let mut server = TcpStream::connect(&request.server)?;
    let mut head = format!("{} {} HTTP/1.0\r\nhost: {}\r\n", request.method, request.target, request.server);
    for (name, value) in &request.headers {
        if !["host", "connection", "content-length", "transfer-encoding", "if-none-match"].contains(&name.as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
    server.write_all(head.as_bytes())?;
    server.write_all(&request.body)?;
    let (first, headers, body) = message(&mut BufReader::new(server), true)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(502);
    let mut reply = Reply { status, headers, body };
    if request.target == "/health" {
        let mut health: Value = serde_json::from_slice(&reply.body)?;
        health["Success"]["capabilities"] = Value::from(vec!["state-etag", "conditional-delete"]);
        reply.body = serde_json::to_vec(&health)?;
    }
    Ok(reply.with("etag", ""))
}

/// An answer as it goes over the wire.
pub(crate) fn wire(reply: &Reply, is_head: bool) -> Vec<u8> {
    let mut bytes = head(reply, Some(reply.body.len()));
    if !is_head {
        bytes.extend_from_slice(&reply.body);
    }
    bytes
}

/// The head of an answer, with a length or with none.
pub(crate) fn head(reply: &Reply, length: Option<usize>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} answer\r\nconnection: close\r\n", reply.status);
    for (name, value) in reply.headers.iter().filter(|(name, _)| !["content-length", "connection"].contains(&&**name)) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

type Message = (String, Vec<(String, String)>, Vec<u8>);

/// Reads a request, or an answer that may end with its connection.
fn message(reader: &mut impl BufRead, is_answer: bool) -> std::io::Result<Message> {
    let line = |reader: &mut dyn BufRead| -> std::io::Result<String> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut headers = Vec::new();
    loop {
        let text = line(reader)?;
        let Some((name, value)) = text.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if let Some(length) = value("content-length").and_then(|text| text.parse::<u64>().ok()) {
        reader.take(length).read_to_end(&mut body)?;
    } else if value("transfer-encoding").is_some() {
        loop {
            let length = u64::from_str_radix(&line(reader)?, 16).unwrap_or(0);
            reader.take(length).read_to_end(&mut body)?;
            line(reader)?;
            if length == 0 {
                break;
            }
        }
    } else if is_answer {
        reader.read_to_end(&mut body)?;
    }
    Ok((first, headers, body))
}
