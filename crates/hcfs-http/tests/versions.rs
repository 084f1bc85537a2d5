//! Downloads of bodies that change while they are fetched, and of those whose versions cannot be told apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use hcfs_http::{
    Download, DownloadError, DownloadOptions, Earlier, Event, HeaderMap, HeaderValue, HttpError, Outcome, Request,
    StatusCode, Verdict, Version, header,
};
use hcfs_model::UnixNanos;
use scripted::{Seen, Server, Step, answer, client, quick, send};

const OLD: &[u8] = b"the first version";
const NEW: &[u8] = b"a second and longer version";

fn options(attempts: u32) -> DownloadOptions {
    DownloadOptions { policy: quick(attempts), ..DownloadOptions::whole(UnixNanos(0)) }
}

fn start(server: &Server, options: DownloadOptions) -> Download {
    Download::new(client(), Request::get(server.url("/")), options)
}

async fn collect(mut download: Download) -> Result<Vec<u8>, DownloadError> {
    let mut bytes = Vec::new();
    while let Some(event) = download.next().await? {
        match event {
            Event::Start(leg) => bytes.resize(usize::try_from(leg.offset).unwrap(), b'?'),
            Event::Data(piece) => bytes.extend_from_slice(&piece),
            Event::Again => {}
        }
    }
    Ok(bytes)
}

fn whole(headers: &str, content: &[u8], keep: Option<usize>) -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", content.len());
    match keep {
        Some(keep) => vec![send(&head), Step::Send(content[..keep].to_vec()), Step::Cut],
        None => vec![send(&head), Step::Send(content.to_vec())],
    }
}

fn rest(headers: &str, content: &[u8], from: usize) -> Vec<Step> {
    let range = format!("{headers}Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
    vec![answer("206 Part", &range, &content[from..])]
}

fn asked(server: &Server) -> Vec<(Option<String>, Option<String>)> {
    let field = |seen: &Seen, name| seen.header(name).map(str::to_owned);
    server.seen().iter().map(|seen| (field(seen, "range"), field(seen, "if-range"))).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn a_range_is_asked_for_of_the_same_version() {
    let server = Server::start(|_, number| match number {
        0 => whole("ETag: \"1\"\r\n", OLD, Some(4)),
        _ => rest("ETag: \"1\"\r\n", OLD, 4),
    })
    .await;
    assert_eq!(collect(start(&server, options(3))).await.unwrap(), OLD);
    assert_eq!(asked(&server), [(None, None), (some("bytes=4-"), some("\"1\""))]);
}

#[tokio::test]
async fn a_body_that_changed_is_read_from_its_start() {
    let server = Server::start(|_, number| match number {
        0 => whole("ETag: \"1\"\r\n", OLD, Some(4)),
        _ => whole("ETag: \"2\"\r\n", NEW, None),
    })
    .await;
    let mut download = start(&server, options(3));
    let mut offsets = Vec::new();
    while let Some(event) = download.next().await.unwrap() {
        if let Event::Start(leg) = event {
            offsets.push((leg.offset, leg.total));
        }
    }
    assert_eq!(offsets, [(0, Some(OLD.len() as u64)), (0, Some(NEW.len() as u64))]);
    assert_eq!(download.version().etag, Some(HeaderValue::from_static("\"2\"")));
}

/// What comes of a cut first version when the second leg is answered like this, and the third with the new whole.
async fn begins_anew(second: fn() -> Vec<Step>) {
    let server = Server::start(move |_, number| match number {
        0 => whole("ETag: \"1\"\r\n", OLD, Some(4)),
        1 => second(),
        _ => whole("ETag: \"2\"\r\n", NEW, None),
    })
    .await;
    assert_eq!(collect(start(&server, options(3))).await.unwrap(), NEW);
    assert_eq!(asked(&server)[2], (None, None));

    let server = Server::start(move |_, _| second()).await;
    let earlier = Earlier { version: version("\"1\""), total: Some(OLD.len() as u64) };
    let options = DownloadOptions { from: 4, earlier: Some(earlier), may_restart: false, ..options(3) };
    assert!(collect(start(&server, options)).await.is_err(), "one that may not begin anew ends");
    assert_eq!(server.seen().len(), 1);
}

fn version(etag: &'static str) -> Version {
    Version::of(&HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(etag))]))
}

#[tokio::test]
async fn a_range_of_another_version_is_not_joined() {
    begins_anew(|| rest("ETag: \"2\"\r\n", NEW, 4)).await;
}

#[tokio::test]
async fn a_range_of_another_length_is_not_joined() {
    begins_anew(|| rest("", NEW, 4)).await;
}

#[tokio::test]
async fn a_body_that_became_shorter_is_read_anew() {
    begins_anew(|| vec![answer("416 No", "Content-Range: bytes */2\r\n", b"")]).await;
    // Cut to exactly what is there: the bytes are those of the old one all the same.
    begins_anew(|| vec![answer("416 No", "Content-Range: bytes */4\r\n", b"")]).await;
}

#[tokio::test]
async fn a_body_that_changes_for_ever_is_given_up() {
    let server = Server::start(|seen, number| match seen.header("range") {
        Some(_) => rest(&format!("ETag: \"{number}\"\r\n"), OLD, 4),
        None => whole(&format!("ETag: \"{number}\"\r\n"), OLD, Some(4)),
    })
    .await;
    let error = collect(start(&server, options(4))).await.unwrap_err();
    assert!(matches!(error, DownloadError::Changed | DownloadError::Http(HttpError { .. })), "{error:?}");
    assert!(server.seen().len() <= 8, "{}", server.seen().len());
}

#[tokio::test]
async fn untied_legs_are_joined_only_where_that_is_allowed() {
    let script = |seen: &Seen, number: usize| match (number, seen.header("range")) {
        (0, _) => vec![send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nthe \r\n"), Step::Cut],
        (_, Some(_)) => rest("", OLD, 4),
        (_, None) => whole("", OLD, None),
    };
    let server = Server::start(script).await;
    assert_eq!(collect(start(&server, options(3))).await.unwrap(), OLD);
    assert_eq!(asked(&server), [(None, None), (None, None)]);

    let server = Server::start(script).await;
    let options = DownloadOptions { join_untied: true, ..options(3) };
    assert_eq!(collect(start(&server, options)).await.unwrap(), OLD);
    assert_eq!(asked(&server), [(None, None), (some("bytes=4-"), None)]);
}

#[tokio::test]
async fn what_was_fetched_earlier_goes_on_if_it_is_the_same() {
    let server = Server::start(|_, _| rest("ETag: \"1\"\r\n", OLD, 4)).await;
    let earlier = Earlier { version: version("\"1\""), total: Some(OLD.len() as u64) };
    let options = |earlier| DownloadOptions { from: 4, earlier: Some(earlier), ..options(3) };
    assert_eq!(collect(start(&server, options(earlier.clone()))).await.unwrap()[4..], OLD[4..]);
    assert_eq!(asked(&server), [(some("bytes=4-"), some("\"1\""))]);

    let server = Server::start(|_, _| whole("ETag: \"2\"\r\n", NEW, None)).await;
    assert_eq!(collect(start(&server, options(earlier))).await.unwrap(), NEW);

    // All of it is here: nothing is asked.
    let all = Earlier { version: version("\"1\""), total: Some(4) };
    assert!(collect(start(&server, options(all))).await.unwrap().is_empty());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let server = Server::start(|_, _| whole("Content-Encoding: gzip\r\n", OLD, None)).await;
    let error = collect(start(&server, options(3))).await.unwrap_err();
    assert!(matches!(&error, DownloadError::Encoded(encoding) if encoding == "gzip"), "{error:?}");
    let server = Server::start(|_, _| whole("Content-Encoding: identity\r\n", OLD, None)).await;
    assert_eq!(collect(start(&server, options(3))).await.unwrap(), OLD);
}

#[tokio::test]
async fn the_caller_says_what_is_waited_out() {
    fn never(_: &Outcome, _: UnixNanos) -> Verdict {
        Verdict::Done
    }
    let server = Server::start(|_, _| vec![answer("503 Busy", "", b"")]).await;
    let error = collect(start(&server, options(3)).classify(never)).await.unwrap_err();
    assert!(matches!(error, DownloadError::Status(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_download_goes_on_at_another_address() {
    let server = Server::start(|seen, _| match seen.header("range") {
        None => whole("ETag: \"1\"\r\n", OLD, Some(4)),
        Some(_) if seen.head.starts_with("GET /old") => vec![answer("401 Expired", "", b"")],
        Some(_) => rest("ETag: \"1\"\r\n", OLD, 4),
    })
    .await;
    let mut download = Download::new(client(), Request::get(server.url("/old")), options(3));
    let mut bytes = Vec::new();
    loop {
        match download.next().await {
            Ok(Some(Event::Data(piece))) => bytes.extend_from_slice(&piece),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(DownloadError::Status(answer)) if answer.status == StatusCode::UNAUTHORIZED => {
                download.ask_instead(Request::get(server.url("/new")));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(bytes, OLD);
    assert_eq!(server.seen().len(), 3);
}
