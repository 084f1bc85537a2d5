//! What the page refuses, and what it must never do: each attack over a real connection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "tests may fail loudly"
)]

mod site;

use site::{Answer, Site};

/// The headers of a browser that follows a link or a form of the page itself.
const SAME_ORIGIN: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

fn is_alone(answer: &Answer) {
    assert!(!answer.body.contains("docs"), "says nothing of the folders: {}", answer.body);
}

#[tokio::test]
async fn a_person_gets_in_once_with_a_link_and_sees_the_folders() {
    let site = Site::start().await;
    let url = site.page.link().unwrap().url;
    let path = site.path_of(&url);
    let opened = site.get(&path, "").await;
    assert_eq!(opened.status, 200);
    let cookie = opened.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let base = site::between(&cookie, "Path=", ";").unwrap();
    assert!(base.len() > 32 && base.starts_with('/') && base.ends_with('/'), "{base}: no other port gets the cookie");
    assert!(!cookie.contains("Domain"));
    let session = site::Session { base, cookie: site::between(&cookie, "", ";").unwrap() };
    let page = site.view(&session, "").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("docs"), "{}", page.body);

    // Used up, for the one who used it and for everybody else.
    let again = site.get(&path, "").await;
    assert_eq!((again.status, again.header("set-cookie")), (403, None));
    is_alone(&again);
}

#[tokio::test]
async fn looking_ahead_uses_no_link_up() {
    let site = Site::start().await;
    let path = site.path_of(&site.page.link().unwrap().url);
    for (method, header) in [("HEAD", ""), ("GET", "Sec-Purpose: prefetch\r\n"), ("GET", "Purpose: prefetch\r\n")] {
        let answer = site.send(method, &path, header, "").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (204, None), "{method} {header}");
    }
    assert_eq!(site.get(&path, "").await.status, 200);
}

/// Moves the clock on; it goes on from there.
async fn later(by: std::time::Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_link_and_a_session_end_by_themselves() {
    let site = Site::start().await;
    let link = site.page.link().unwrap();
    let path = site.path_of(&link.url);
    later(link.lives).await;
    assert_eq!(site.get(&path, "").await.status, 403);
    let session = site.enter().await;
    assert_eq!(site.view(&session, "").await.status, 200);
    later(std::time::Duration::from_secs(30 * 60)).await;
    let closed = site.view(&session, "").await;
    assert_eq!(closed.status, 401);
    is_alone(&closed);
}

#[tokio::test]
async fn without_the_right_cookie_nothing_is_told() {
    let site = Site::start().await;
    let session = site.enter().await;
    let zeros = "0".repeat(64);
    for cookie in
        ["", "Cookie: hcfs=\r\n", "Cookie: hcfs=x\r\n", &format!("Cookie: hcfs={zeros}\r\n"), "Cookie: a=b; hcfs\r\n"]
    {
        for view in ["", "attention", "folder?folder=docs", "settings", "live?view=", "nothing"] {
            let answer = site.get(&format!("{}{view}", session.base), cookie).await;
            assert_eq!(answer.status, 401, "{view} {cookie}");
            is_alone(&answer);
        }
        let answer = site.post(&session.base, "act", cookie, "do=pause&folder=docs").await;
        assert_eq!(answer.status, 401, "{cookie}");
    }
    assert_eq!(site.changes(), [""; 0]);
}

#[tokio::test]
async fn another_host_is_refused_whatever_else_is_right() {
    let site = Site::start().await;
    let session = site.enter().await;
    let port = site.page.address().port();
    let own = format!("127.0.0.1:{port}");
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        &format!("127.0.0.1.evil.example:{port}"),
        &format!("evil.example@127.0.0.1:{port}"),
        "127.0.0.1",
        &format!("127.0.0.1:{}", port.wrapping_add(1)),
        &format!("[::1]:{port}"),
        &format!("0.0.0.0:{port}"),
        &format!("127.1:{port}"),
        &format!("2130706433:{port}"),
        &format!("LOCALHOST.:{port}"),
        "",
    ] {
        let head = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\n\r\n", session.base, session.cookie);
        let answer = site.raw(head.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{host}: {}", answer.status);
        is_alone(&answer);
    }
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    for head in [
        format!("GET {} HTTP/1.1\r\n{cookie}\r\n", session.base),
        format!("GET {} HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n{cookie}\r\n", session.base),
        format!("GET http://evil.example{} HTTP/1.1\r\nHost: {own}\r\n{cookie}\r\n", session.base),
        format!("GET {} HTTP/1.0\r\n{cookie}\r\n", session.base),
    ] {
        let answer = site.raw(head.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{head}: {}", answer.status);
        is_alone(&answer);
    }
    for host in [own, format!("localhost:{port}")] {
        let head = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n", session.base);
        assert_eq!(site.raw(head.as_bytes()).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn what_another_site_causes_is_refused() {
    let site = Site::start().await;
    let session = site.enter().await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let port = site.page.address().port();
    let token = site.token(&session).await;
    let form = format!("token={token}&do=pause&folder=docs");
    let wrong = [
        "".to_owned(),
        "Origin: null\r\n".to_owned(),
        "Origin: http://evil.example\r\n".to_owned(),
        format!("Origin: http://evil.example:{port}\r\nSec-Fetch-Site: same-origin\r\n"),
        format!("Origin: https://127.0.0.1:{port}\r\n"),
        "Origin: http://127.0.0.1\r\n".to_owned(),
        format!("Origin: http://127.0.0.1:{}\r\n", port.wrapping_add(1)),
        format!("Origin: http://127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n"),
        format!("Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\n"),
        // Another port of the same machine is the same site, and not the same origin.
        format!("Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-site\r\n"),
        "Origin: null\r\nSec-Fetch-Site: none\r\n".to_owned(),
    ];
    for headers in &wrong {
        let answer =
            site.send("POST", &format!("{}act", session.base), &format!("{cookie}{FORM}{headers}"), &form).await;
        assert_eq!(answer.status, 403, "{headers}");
    }
    assert_eq!(site.changes(), [""; 0]);
    // A frame, an image or a script of another site; only a link that a person follows is let through.
    for (headers, status) in [
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 200),
        ("Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 200),
    ] {
        let answer = site.get(&session.base, &format!("{cookie}{headers}")).await;
        assert_eq!(answer.status, status, "{headers}");
    }
    for headers in [format!("Origin: http://127.0.0.1:{port}\r\n"), format!("Origin: null\r\n{SAME_ORIGIN}")] {
        let answer =
            site.send("POST", &format!("{}act", session.base), &format!("{cookie}{FORM}{headers}"), &form).await;
        assert_eq!(answer.status, 303, "{headers}");
    }
    assert_eq!(site.changes(), ["POST /v1/folders/docs/pause"; 2]);
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn a_change_needs_the_sessions_own_token() {
    let site = Site::start().await;
    let (session, other) = (site.enter().await, site.enter().await);
    let (token, others) = (site.token(&session).await, site.token(&other).await);
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let zeros = "0".repeat(64);
    for wrong in [
        "",
        "token=",
        &format!("token={zeros}"),
        &format!("token={others}"),
        &format!("token={zeros}&token={token}"),
        &format!("Token={token}"),
    ] {
        let answer = site.post(&session.base, "act", &cookie, &format!("{wrong}&do=pause&folder=docs")).await;
        assert_eq!(answer.status, 403, "{wrong}");
    }
    // Not by another form of a body, and not by GET.
    let path = format!("{}act", session.base);
    let form = format!("token={token}&do=pause&folder=docs");
    let plain = format!("{cookie}{SAME_ORIGIN}Content-Type: text/plain\r\n");
    assert_eq!(site.send("POST", &path, &plain, &form).await.status, 415);
    assert_eq!(site.get(&format!("{path}?{form}"), &cookie).await.status, 404);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = site.send(method, &path, &format!("{cookie}{SAME_ORIGIN}{FORM}"), &form).await;
        assert_eq!(answer.status, 404, "{method}");
    }
    assert_eq!(site.changes(), [""; 0]);
    let answer = site.post(&session.base, "act", &cookie, &form).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(session.base.as_str())));
    assert_eq!(site.changes(), ["POST /v1/folders/docs/pause"]);
}

#[tokio::test]
async fn bodies_and_heads_have_bounds() {
    let site = Site::start().await;
    let session = site.enter().await;
    let token = site.token(&session).await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let long = format!("token={token}&do=pause&folder={}", "x".repeat(20_000));
    assert_eq!(site.post(&session.base, "act", &cookie, &long).await.status, 413);
    // It is refused by its length alone.
    let head = format!(
        "POST {}act HTTP/1.1\r\nHost: {}\r\n{cookie}{SAME_ORIGIN}{FORM}Content-Length: 1073741824\r\n\r\n",
        session.base,
        site.page.address()
    );
    assert_eq!(site.raw(head.as_bytes()).await.status, 413);
    let head =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", session.base, site.page.address(), "y".repeat(100_000));
    assert_eq!(site.raw(head.as_bytes()).await.status, 431);
    assert_eq!(site.changes(), [""; 0]);
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let site = Site::start().await;
    let session = site.enter().await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let base = session.base.trim_end_matches('/');
    for path in [
        "/",
        "/v1/status",
        &format!("{base}/v1/status"),
        &format!("{base}/../v1/status"),
        &format!("{base}/%2e%2e/v1/status"),
        &format!("{base}/..%2fv1%2fstatus"),
        &format!("{base}//"),
        &format!("{base}/folder"),
        &format!("{base}/folder/docs"),
        &format!("{base}/Cargo.toml"),
        &format!("{base}/style.css/x"),
        "/00000000000000000000000000000000/",
    ] {
        let answer = site.get(path, &cookie).await;
        assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.status);
        is_alone(&answer);
    }
    // A label is a parameter, and one segment of what the socket is asked.
    let asked = site.get(&format!("{base}/folder?folder=..%2F..%2Fpage"), &cookie).await;
    assert_eq!(asked.status, 404);
    assert!(site.asked().contains(&"GET /v1/folders/%2E.%2F..%2Fpage".to_owned()), "{:?}", site.asked());
    // A form leads back to a view, and to nothing else.
    let token = site.token(&session).await;
    for back in ["//evil.example", "http%3A%2F%2Fevil.example", "%0d%0aX%3A+y", "..%2Fx", "act"] {
        let form = format!("token={token}&do=pause&folder=docs&back={back}");
        let answer = site.post(&session.base, "act", &cookie, &form).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(session.base.as_str())), "{back}");
    }
}

#[tokio::test]
async fn every_answer_forbids_what_a_page_may_not() {
    let site = Site::start().await;
    let session = site.enter().await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    for (path, cookie, status) in [
        (session.base.clone(), cookie.as_str(), 200),
        (session.base.clone(), "", 401),
        (format!("{}style.css", session.base), "", 200),
        (format!("{}script.js", session.base), "", 200),
        (format!("{}open?once=x", session.base), "", 403),
        ("/x".to_owned(), "", 404),
    ] {
        let answer = site.get(&path, cookie).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for word in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(word), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn names_reach_the_document_as_text_alone() {
    let site = Site::with_label("<script>alert(1)</script>\"><b>docs").await;
    let session = site.enter().await;
    let page = site.view(&session, "").await;
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;b&gt;docs"), "{}", page.body);
    assert!(!page.body.contains("<script>alert"));
    // What is given as a parameter, too, and what the socket says of it.
    let page = site.view(&session, "folder?folder=%3Cscript%3Ealert(2)%3C/script%3E").await;
    assert!(!page.body.contains("<script>alert") && page.body.contains("&lt;script&gt;alert(2)"), "{}", page.body);
}

#[tokio::test]
async fn a_session_that_was_left_is_over() {
    let site = Site::start().await;
    let session = site.enter().await;
    let token = site.token(&session).await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let left = site.post(&session.base, "act", &cookie, &format!("token={token}&do=leave")).await;
    assert_eq!(left.status, 200);
    assert_eq!(site.view(&session, "").await.status, 401);
}

#[tokio::test]
async fn a_password_is_handed_on_and_shown_nowhere() {
    let site = Site::start().await;
    let session = site.enter().await;
    let token = site.token(&session).await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    let form = format!("token={token}&do=unlock&password=correct+h%C3%B6rse");
    assert_eq!(site.post(&session.base, "act", &cookie, &form).await.status, 303);
    assert_eq!(site.changes(), ["POST /v1/unlock {\"password\":\"correct hörse\"}"]);
    let after = site.view(&session, "").await;
    assert!(
        after.body.contains("Unlocked.") && !after.body.contains("hörse") && !after.body.contains("correct"),
        "{}",
        after.body
    );
    assert!(!site.view(&session, "").await.body.contains("Unlocked."), "said once");
}

#[tokio::test]
async fn the_stream_starts_with_every_part_and_goes_on_with_what_changed() {
    let site = Site::start().await;
    let session = site.enter().await;
    let mut stream = site.stream(&session, "").await;
    let first = stream.until("event: said").await;
    for id in ["\"badge\"", "\"headline\"", "\"folders\"", "\"throughput\""] {
        assert!(first.contains(id), "{id} in {first}");
    }
    site.change(|status| status.folders[0].counts.synced_files = 4711);
    let next = stream.until("4,711 files").await;
    assert!(next.contains("\"folders\"") && !next.contains("\"badge\""), "{next}");
    // A session that ends ends its stream.
    let token = site.token(&session).await;
    let cookie = format!("Cookie: {}\r\n", session.cookie);
    site.post(&session.base, "act", &cookie, &format!("token={token}&do=leave")).await;
    site.change(|status| status.folders[0].counts.synced_files = 4712);
    let last = stream.until("event: ended").await;
    assert!(!last.contains("4,712"), "{last}");
}
