//! Downloads over several legs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod scripted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hcfs_http::{
    Deadlines, Download, DownloadError, DownloadOptions, Event, HttpErrorKind, Leg, RangeError, Request, StatusCode,
};
use hcfs_model::UnixNanos;
use proptest::prelude::*;
use scripted::{SHORT, Seen, Server, Step, answer, client, deadlines, quick, send};

fn options(attempts: u32) -> DownloadOptions {
    DownloadOptions { policy: quick(attempts), join_untied: true, ..DownloadOptions::whole(UnixNanos(0)) }
}

fn start(server: &Server, options: DownloadOptions) -> Download {
    Download::new(client(), Request::get(server.url("/")), options)
}

/// Puts the bytes where they belong; what lies behind the start of a leg is forgotten.
async fn collect(mut download: Download) -> Result<(Vec<u8>, Vec<Leg>), DownloadError> {
    let (mut bytes, mut legs) = (Vec::new(), Vec::new());
    let mut from = None;
    while let Some(event) = download.next().await? {
        match event {
            Event::Start(leg) => {
                let from = *from.get_or_insert(leg.offset);
                bytes.truncate(usize::try_from(leg.offset.saturating_sub(from)).unwrap());
                legs.push(leg);
            }
            Event::Data(piece) => bytes.extend_from_slice(&piece),
            Event::Again => {}
        }
        if let Some(from) = from {
            assert_eq!(from + bytes.len() as u64, download.position());
        }
    }
    Ok((bytes, legs))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect()
}

/// The asked range, end included.
fn range(seen: &Seen) -> Option<(usize, Option<usize>)> {
    let (first, last) = seen.header("range")?.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    Some((first.parse().unwrap(), (!last.is_empty()).then(|| last.parse().unwrap())))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// A right answer, of which only `keep` bytes of body are sent before the connection is cut.
fn serve(content: &[u8], seen: &Seen, framing: Framing, keep: Option<usize>) -> Vec<Step> {
    let (status, from, to) = match range(seen) {
        Some((first, _)) if first >= content.len() => {
            let head = format!("Content-Range: bytes */{}\r\n", content.len());
            return vec![answer("416 No Such Range", &head, b"")];
        }
        Some((first, last)) => ("206 Part", first, last.map_or(content.len(), |last| content.len().min(last + 1))),
        None => ("200 OK", 0, content.len()),
    };
    let mut head = format!("HTTP/1.1 {status}\r\n");
    if status.starts_with("206") {
        head += &format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, content.len());
    }
    let body = &content[from..to];
    let sent = &body[..keep.unwrap_or(body.len()).min(body.len())];
    let mut steps = Vec::new();
    match framing {
        Framing::Length => head += &format!("Content-Length: {}\r\n\r\n", body.len()),
        Framing::Chunked => head += "Transfer-Encoding: chunked\r\n\r\n",
        Framing::UntilClose => head += "Connection: close\r\n\r\n",
    }
    steps.push(send(&head));
    match framing {
        Framing::Chunked => {
            for chunk in sent.chunks(1000) {
                steps.push(send(&format!("{:x}\r\n", chunk.len())));
                steps.push(Step::Send(chunk.to_vec()));
                steps.push(send("\r\n"));
            }
            if keep.is_none() {
                steps.push(send("0\r\n\r\n"));
            }
        }
        Framing::Length | Framing::UntilClose => steps.push(Step::Send(sent.to_vec())),
    }
    if keep.is_some() || framing == Framing::UntilClose {
        steps.push(Step::Cut);
    }
    steps
}

async fn cutting(content: Vec<u8>, framing: Framing, cuts: Vec<usize>) -> Server {
    Server::start(move |seen, number| serve(&content, seen, framing, cuts.get(number).copied())).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_anywhere_leave_the_bytes_as_they_are(
        len in 0_usize..6000,
        from in 0_usize..200,
        to in proptest::option::of(1_usize..6000),
        frame in 1_u64..700,
        framing in prop_oneof![Just(Framing::Length), Just(Framing::Chunked), Just(Framing::UntilClose)],
        known in any::<bool>(),
        cuts in proptest::collection::vec(0_usize..2500, 0..6),
    ) {
        let content = pattern(len);
        let from = from.min(len.saturating_sub(1));
        let end = to.map_or(len, |to| len.min(to.max(from + 1)));
        let options = DownloadOptions {
            from: from as u64,
            to: to.map(|to| to.max(from + 1) as u64),
            // Without it, a body that ends with the connection cannot be told from one that was cut.
            total: (known || framing == Framing::UntilClose).then_some(len as u64),
            ..options(100)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (bytes, legs) = runtime.block_on(async {
            let server = cutting(content.clone(), framing, cuts).await;
            let download = start(&server, options).align(move |offset| offset / frame * frame);
            collect(download).await.unwrap()
        });
        prop_assert_eq!(&bytes, &content[from..end]);
        prop_assert!(legs.iter().skip(1).all(|leg| leg.offset % frame == 0 || leg.offset == from as u64));
    }
}

#[tokio::test]
async fn the_whole_in_one_leg_asks_for_no_range() {
    let server = cutting(pattern(5000), Framing::Length, vec![]).await;
    let (bytes, legs) = collect(start(&server, options(1))).await.unwrap();
    assert_eq!(bytes, pattern(5000));
    assert_eq!(legs, [Leg { number: 0, offset: 0, total: Some(5000) }]);
    assert_eq!(server.seen()[0].header("range"), None);
}

#[tokio::test]
async fn a_leg_resumes_where_the_caller_says() {
    let server = cutting(pattern(5000), Framing::Length, vec![1700, 900]).await;
    let download = start(&server, options(3)).align(|offset| offset / 500 * 500);
    let (bytes, legs) = collect(download).await.unwrap();
    assert_eq!(bytes, pattern(5000));
    assert_eq!(legs.iter().map(|leg| leg.offset).collect::<Vec<_>>(), [0, 1500, 2000]);
    let ranges: Vec<_> = server.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=1500-".to_owned()), Some("bytes=2000-".to_owned())]);
}

#[tokio::test]
async fn a_part_is_asked_for_exactly() {
    let server = cutting(pattern(5000), Framing::Length, vec![100]).await;
    let options = DownloadOptions { from: 1000, to: Some(2000), may_restart: false, ..options(3) };
    let (bytes, _) = collect(start(&server, options)).await.unwrap();
    assert_eq!(bytes, pattern(5000)[1000..2000]);
    let ranges: Vec<_> = server.seen().iter().map(|seen| range(seen).unwrap()).collect();
    assert_eq!(ranges, [(1000, Some(1999)), (1100, Some(1999))]);
}

#[tokio::test]
async fn a_stall_is_resumed_as_a_cut_is() {
    let content = pattern(3000);
    let server = Server::start(move |seen, number| {
        let mut steps = serve(&content, seen, Framing::Length, (number < 2).then_some(700));
        if number < 2 {
            steps.pop();
            steps.push(Step::Silence);
        }
        steps
    })
    .await;
    let request = Request::get(server.url("/")).deadlines(Deadlines { stall: SHORT, ..deadlines() });
    let (bytes, legs) = collect(Download::new(client(), request, options(2))).await.unwrap();
    assert_eq!(bytes, pattern(3000));
    assert_eq!(legs.len(), 3);
}

#[tokio::test]
async fn progress_renews_the_attempts() {
    let server = cutting(pattern(20), Framing::Length, vec![1; 19]).await;
    let (bytes, legs) = collect(start(&server, options(2))).await.unwrap();
    assert_eq!(bytes, pattern(20));
    assert_eq!(legs.len(), 20);
}

#[tokio::test]
async fn legs_that_bring_nothing_new_are_bounded() {
    let server = cutting(pattern(2000), Framing::Length, vec![0; 1000]).await;
    let error = collect(start(&server, options(4))).await.unwrap_err();
    assert!(matches!(error, DownloadError::Http(error) if error.kind == HttpErrorKind::Cut));
    assert_eq!(server.seen().len(), 4);

    // Bytes that never complete a frame are nothing new either.
    let server = cutting(pattern(2000), Framing::Length, vec![50; 1000]).await;
    let download = start(&server, options(4)).align(|offset| offset / 100 * 100);
    assert!(matches!(collect(download).await, Err(DownloadError::Http(_))));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start_again() {
    let content = pattern(3000);
    let server = Server::start(move |seen, number| {
        let whole = Seen { head: seen.head.replace("range", "x-range").replace("Range", "x-range"), body: Vec::new() };
        serve(&content, &whole, Framing::Length, (number < 2).then_some(1000 * (number + 1)))
    })
    .await;
    let (bytes, legs) = collect(start(&server, options(5))).await.unwrap();
    assert_eq!(bytes, pattern(3000));
    assert_eq!(legs.iter().map(|leg| leg.offset).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(range(&server.seen()[1]), Some((1000, None)));

    let options = DownloadOptions { from: 1000, may_restart: false, ..options(5) };
    assert!(matches!(collect(start(&server, options)).await, Err(DownloadError::RangeIgnored)));
}

#[tokio::test]
async fn starting_over_for_ever_is_bounded() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let server = Server::start(move |_, number| {
        count.fetch_add(1, Ordering::Relaxed);
        vec![send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), Step::Send(vec![0; number + 1]), Step::Cut]
    })
    .await;
    assert!(matches!(collect(start(&server, options(4))).await, Err(DownloadError::Http(_))));
    // The first leg brings something new; those that begin again do not, however far they come.
    assert_eq!(served.load(Ordering::Relaxed), 1 + 4);
}

/// Cuts the first leg at 1000 of 3000 bytes, then answers with `range` and `len` bytes.
async fn second_leg(range: &'static str, len: usize) -> DownloadError {
    let server = Server::start(move |seen, number| match number {
        0 => serve(&pattern(3000), seen, Framing::Length, Some(1000)),
        _ => vec![answer("206 Part", &format!("Content-Range: {range}\r\n"), &vec![0; len])],
    })
    .await;
    let error = collect(start(&server, options(5))).await.unwrap_err();
    assert_eq!(server.seen().len(), 2, "such an answer is not asked for again");
    error
}

#[tokio::test]
async fn another_range_than_asked_is_refused() {
    for (range, len) in [
        ("bytes 999-2999/3000", 2001),
        ("bytes 1001-2999/3000", 1999),
        ("bytes 1000-2998/3000", 1999),
        ("bytes 1000-2999/3000", 1999),
        ("bytes 1000-2998/*", 1999),
        ("bytes 0-2999/3000", 3000),
        ("bytes 0-1999/3000", 2000),
        ("bytes */3000", 0),
    ] {
        let error = second_leg(range, len).await;
        assert!(
            matches!(error, DownloadError::WrongRange { from: 1000, to: None, source: None }),
            "{range} {len} {error:?}"
        );
    }
    let error = second_leg("bytes x-y/z", 2000).await;
    assert!(matches!(error, DownloadError::WrongRange { source: Some(RangeError::Malformed), .. }), "{error:?}");
}

#[tokio::test]
async fn a_changed_length_is_refused() {
    let server = cutting(pattern(3000), Framing::Length, vec![]).await;
    let expected = DownloadOptions { total: Some(2999), ..options(5) };
    let error = collect(start(&server, expected)).await.unwrap_err();
    assert!(matches!(error, DownloadError::TotalChanged { was: 2999, is: 3000 }), "{error:?}");

    let server = cutting(pattern(3000), Framing::Chunked, vec![]).await;
    let expected = DownloadOptions { total: Some(2999), ..options(5) };
    let error = collect(start(&server, expected)).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLong(2999)), "{error:?}");
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let server = Server::start(|_, _| vec![answer("206 Part", "Content-Range: bytes 0-9/3000\r\n", &[0; 10])]).await;
    assert!(matches!(collect(start(&server, options(5))).await, Err(DownloadError::WrongRange { .. })));
}

#[tokio::test]
async fn a_body_cut_after_its_last_byte_is_whole() {
    let server = cutting(pattern(3000), Framing::Chunked, vec![3000]).await;
    let (bytes, legs) = collect(start(&server, options(2))).await.unwrap();
    assert_eq!(bytes, pattern(3000));
    assert_eq!(legs.len(), 1);
    assert_eq!(range(&server.seen()[1]), Some((3000, None)));
}

#[tokio::test]
async fn every_leg_shows_the_head_of_its_answer() {
    let content = pattern(3000);
    let server = Server::start(move |seen, number| {
        let mut steps = serve(&content, seen, Framing::Length, (number == 0).then_some(1000));
        insert(&mut steps, &format!("X-Revision: {number}\r\n"));
        steps
    })
    .await;
    let mut download = start(&server, options(5));
    assert!(download.head().is_none());
    let mut seen = Vec::new();
    while let Some(event) = download.next().await.unwrap() {
        if let Event::Start(leg) = event {
            let (headers, url) = download.head().unwrap();
            assert_eq!(*url, server.url("/"));
            seen.push((leg.offset, headers["x-revision"].to_str().unwrap().to_owned()));
        }
    }
    assert_eq!(seen, [(0, "0".to_owned()), (1000, "1".to_owned())]);
}

/// Puts lines into the head of an answer.
fn insert(steps: &mut [Step], lines: &str) {
    if let Step::Send(head) = &mut steps[0] {
        let at = head.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        head.splice(at..at, lines.bytes());
    }
}

#[tokio::test]
async fn statuses_that_pass_are_waited_out_and_others_given() {
    let server = Server::start(|seen, number| match number {
        0 => serve(&pattern(3000), seen, Framing::Length, Some(1000)),
        1 => vec![answer("502 Bad", "", b"")],
        2 => vec![Step::Cut],
        3 => serve(&pattern(3000), seen, Framing::Length, Some(500)),
        _ => vec![answer("404 Gone", "", b"not here")],
    })
    .await;
    let mut download = start(&server, options(3));
    let error = loop {
        match download.next().await {
            Ok(event) => assert!(event.is_some()),
            Err(error) => break error,
        }
    };
    let DownloadError::Status(response) = error else { panic!("{error:?}") };
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    assert_eq!(response.body.collect_bounded(100).await.unwrap(), "not here");
    assert_eq!(download.position(), 1500);
}

#[tokio::test]
async fn a_dropped_call_loses_no_byte() {
    let server = cutting(pattern(9000), Framing::Chunked, vec![100, 200, 5000]).await;
    let mut download = start(&server, options(50));
    let mut bytes = Vec::new();
    loop {
        // Each call is given up as often as it is not ready at once.
        let event = tokio::select! {
            biased;
            event = download.next() => event.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(2)) => continue,
        };
        match event {
            Some(Event::Start(leg)) => bytes.truncate(usize::try_from(leg.offset).unwrap()),
            Some(Event::Data(piece)) => bytes.extend_from_slice(&piece),
            Some(Event::Again) => {}
            None => break,
        }
    }
    assert_eq!(bytes, pattern(9000));
}
