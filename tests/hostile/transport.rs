//! Lies below the protocol: pages of proxies, redirects, answers that never end or never come.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::front::{Act, Reply, head, wire};
use crate::scene::Scene;

#[test]
fn a_page_in_place_of_an_answer_is_nothing() {
    let mut scene = Scene::new(&[("file", b"version 1"), ("other", b"stays")]);
    scene.publish(&[("file", b"version 2"), ("new", b"new")]);
    let before = scene.victim.tree();
    let pages = [
        Reply::page(),
        Reply { status: 404, ..Reply::page() },
        Reply { status: 503, ..Reply::page() },
        Reply::new(200, "application/json", ""),
        Reply::new(200, "application/json", "{}"),
        Reply::new(200, "application/json", r#"{"Success":{}}"#),
        Reply::new(404, "application/json", r#"{"error":"not_found"}"#),
        Reply::new(204, "application/json", ""),
    ];
    for page in pages {
        let how = format!("{} {}", page.status, String::from_utf8_lossy(&page.body));
        for only_downloads in [true, false] {
            let page = page.clone();
            scene.front.change(
                move |request, reply| {
                    if only_downloads && !request.is_download() { reply } else { page.clone() }
                },
            );
            let (code, said) = scene.sync();
            assert_ne!(code, Some(0), "{how}: {said}");
            scene.unharmed(&before);
        }
    }
    scene.agree();
}

#[test]
fn a_redirect_takes_the_token_nowhere() {
    let mut scene = Scene::new(&[("file", b"version 1")]);
    scene.publish(&[("file", b"version 2")]);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/", elsewhere.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in elsewhere.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).to_ascii_lowercase();
            count.fetch_add(1 + 1000 * usize::from(text.contains("authorization")), Ordering::SeqCst);
        }
    });
    let before = scene.victim.tree();
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        scene.front.change(move |request, reply| {
            if request.target == "/health" {
                return reply;
            }
            Reply { status, ..Reply::page() }.with("location", &target)
        });
        assert_ne!(scene.sync().0, Some(0), "{status}");
        scene.unharmed(&before);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the redirect was followed");
    scene.agree();
}

#[test]
fn answers_that_never_end_take_bounded_memory() {
    let mut scene = Scene::new(&[("file", b"version 1")]);
    scene.publish(&[("file", b"version 2")]);
    let before = scene.victim.tree();
    for (of, piece) in [("listing", br#"{"path_hash":[1],"#.repeat(4096)), ("download", vec![0; 65_536])] {
        let sent = scene.front.sent();
        scene.front.lie(move |request, reply| {
            let is_meant = if of == "listing" { request.is_listing() } else { request.is_download() };
            if !is_meant {
                return Act::Answer(reply);
            }
            // No length: it ends with the connection, which does not end.
            let mut first = head(&reply.with("x-size-bytes", "9"), None);
            first.extend_from_slice(if of == "listing" { br#"{"Success":{"files":["# } else { b"" });
            Act::Endless(first, piece.clone())
        });
        let (code, said) = scene.sync();
        assert_ne!(code, Some(0), "{of}: {said}");
        scene.unharmed(&before);
        let sent = scene.front.sent() - sent;
        assert!(sent < 400 << 20, "{} MiB of a {of} were taken", sent >> 20);
    }
    scene.agree();
}

#[test]
fn heads_that_never_end_take_bounded_memory() {
    let scene = Scene::new(&[("file", b"version 1")]);
    let before = scene.victim.tree();
    scene.front.lie(|request, reply| match request.is_listing() {
        true => Act::Endless(b"HTTP/1.1 200 answer\r\n".to_vec(), b"x-header: and one more\r\n".repeat(1000)),
        false => Act::Answer(reply),
    });
    let (code, said) = scene.sync();
    assert_ne!(code, Some(0), "{said}");
    scene.unharmed(&before);
    scene.agree();
}

/// A server that says nothing, or a byte now and then, must not take the daemon away from its user.
#[test]
fn a_server_that_stalls_keeps_nobody_from_asking() {
    let mut scene = Scene::new(&[("file", b"version 1")]);
    scene.publish(&[("file", b"version 2")]);
    let before = scene.victim.tree();
    for what in ["silence", "half a head", "half a body", "drops"] {
        scene.front.lie(move |request, reply| {
            let bytes = wire(&reply, false);
            match what {
                _ if request.target == "/health" => Act::Answer(reply),
                "silence" => Act::Stall(Vec::new()),
                "half a head" => Act::Stall(bytes[..30].to_vec()),
                "half a body" => Act::Stall(bytes[..bytes.len() - 3].to_vec()),
                _ => Act::Drip(bytes),
            }
        });
        let out = scene.victim.machine.run(&["sync", "--timeout", "2"]).unwrap();
        assert_eq!(out.status.code(), Some(3), "{what}");
        let begin = Instant::now();
        assert_eq!(scene.status()["label"], "docs");
        assert!(begin.elapsed() < Duration::from_secs(5), "{what}: the status took {:?}", begin.elapsed());
        scene.unharmed(&before);
    }
    scene.agree();
}
