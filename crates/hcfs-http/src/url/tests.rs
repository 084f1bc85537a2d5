use proptest::prelude::*;

use super::*;

fn base(text: &str) -> BaseUrl {
    BaseUrl::parse(text).unwrap()
}

#[test]
fn https_goes_anywhere_and_http_to_this_machine_only() {
    for good in [
        "https://files.example",
        "https://10.0.0.1:8443/x?y=z",
        "https://[2001:db8::1]/",
        "http://localhost:8080",
        "HTTP://LocalHost",
        "http://127.0.0.1:1",
        "http://127.9.8.7/",
        "http://[::1]:80/",
    ] {
        assert!(Url::parse(good).is_ok(), "{good}");
    }
    for (bad, host) in [
        ("http://files.example/", "files.example"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://128.0.0.1", "128.0.0.1"),
        ("http://localhost.example", "localhost.example"),
        ("http://localhost.", "localhost."),
        ("http://127.1", "127.1"),
        ("http://0.0.0.0", "0.0.0.0"),
        ("http://[::]", "[::]"),
        ("http://[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
    ] {
        assert_eq!(Url::parse(bad), Err(UrlError::PlainHttp(host.into())), "{bad}");
    }
}

#[test]
fn user_names_and_passwords_are_refused() {
    for bad in
        ["https://me@files.example", "https://me:pw@files.example/", "https://:pw@h", "http://localhost@evil.example"]
    {
        assert_eq!(Url::parse(bad), Err(UrlError::UserInfo), "{bad}");
    }
}

#[test]
fn malformed_addresses_are_told_apart() {
    for (bad, why) in [
        ("", UrlError::NoScheme),
        ("files.example", UrlError::NoScheme),
        ("localhost:8080", UrlError::NoScheme),
        ("ftp://files.example", UrlError::Scheme("ftp".into())),
        ("file:///etc/passwd", UrlError::Scheme("file".into())),
        ("https://", UrlError::NoHost),
        ("https:///x", UrlError::NoHost),
        ("https://:443", UrlError::NoHost),
        ("https://h:0", UrlError::Port),
        ("https://h:", UrlError::Port),
        ("https://h/#x", UrlError::Tail),
        ("https://h /", UrlError::Malformed),
        ("https://h\\@evil", UrlError::Malformed),
        ("https://hé", UrlError::Malformed),
        ("https://h/a\r\nb", UrlError::Malformed),
    ] {
        assert_eq!(Url::parse(bad), Err(why), "{bad:?}");
    }
    assert!(Url::parse("https://h:65536").is_err());
    assert_eq!(Url::parse(&format!("https://h/{}", "x".repeat(20_000))), Err(UrlError::TooLong));
}

#[test]
fn a_base_joins_encoded_segments() {
    for text in ["https://h/api", "https://h/api/", " https://H:443/api\n"] {
        let url = base(text).join(["a b", "c/d", "ü", "..x"]).unwrap();
        assert_eq!(url.to_secret_string(), "https://h/api/a%20b/c%2Fd/%C3%BC/..x", "{text:?}");
    }
    assert_eq!(base("https://h").join([]).unwrap().to_secret_string(), "https://h/");
    for bad in ["", ".", ".."] {
        assert_eq!(base("https://h").join(["x", bad]), Err(UrlError::Segment), "{bad:?}");
    }
    assert_eq!(BaseUrl::parse("https://h/?x"), Err(UrlError::Tail));
    for bad in ["https://h/a//b", "https://h/../b", "https://h/./b"] {
        assert_eq!(BaseUrl::parse(bad), Err(UrlError::Segment), "{bad}");
    }
}

#[test]
fn origins_compare_by_scheme_host_and_port() {
    let of = |text: &str| Url::parse(text).unwrap().origin().clone();
    assert_eq!(of("https://H/x"), of("https://h:443/y?z"));
    assert_eq!(of("http://localhost"), of("http://LOCALHOST:80"));
    assert_ne!(of("https://localhost"), of("http://localhost:443"));
    assert_ne!(of("https://h"), of("https://h:444"));
    assert_ne!(of("https://h"), of("https://x.h"));
    assert_eq!(of("https://h:443").to_string(), "https://h");
    assert_eq!(of("http://[::1]:8080").to_string(), "http://[::1]:8080");
}

#[test]
fn a_query_is_encoded_and_not_shown() {
    let url = Url::parse("https://h/x?token=t").unwrap().with_query([("a&b", "c=d e")]).unwrap();
    assert_eq!(url.query(), Some("token=t&a%26b=c%3Dd%20e"));
    assert_eq!(format!("{url} {url:?}"), "https://h/x?… https://h/x?…");
}

#[test]
fn redirect_targets_are_resolved() {
    let here = Url::parse("https://h:8443/a/b?q").unwrap();
    for (location, target) in [
        ("https://o/x#f", "https://o/x"),
        ("//o/x", "https://o/x"),
        ("/x?y=https://z", "https://h:8443/x?y=https://z"),
        ("x", "https://h:8443/a/x"),
        ("?z", "https://h:8443/a/b?z"),
        ("", "https://h:8443/a/b?q"),
    ] {
        assert_eq!(here.resolve(location).unwrap().to_secret_string(), target, "{location}");
    }
    assert_eq!(here.resolve("../x"), Err(UrlError::Segment));
    assert_eq!(here.resolve("http://o/x"), Err(UrlError::PlainHttp("o".into())));
    assert_eq!(here.resolve("https://u@o/x"), Err(UrlError::UserInfo));
}

proptest! {
    #[test]
    fn no_text_panics_or_escapes_the_rules(text in "(https?://)?[ -~]{0,40}") {
        if let Ok(url) = Url::parse(&text) {
            prop_assert!(url.origin().is_https() || is_loopback(url.origin().host()));
            prop_assert!(!text.split(['/', '?']).nth(2).unwrap().contains('@'));
            prop_assert_eq!(Url::parse(&url.to_secret_string()), Ok(url));
        }
    }

    #[test]
    fn a_segment_stays_one_segment(segment in "\\PC{1,20}") {
        prop_assume!(segment != "." && segment != "..");
        let url = base("https://h/p").join(["a", segment.as_str(), "b"]).unwrap();
        prop_assert_eq!(url.path().split('/').count(), 5);
        prop_assert_eq!(url.query(), None);
        prop_assert_eq!(url.origin().to_string(), "https://h");
    }
}
