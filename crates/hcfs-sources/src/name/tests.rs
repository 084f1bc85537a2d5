use proptest::prelude::*;

use super::*;

#[test]
fn what_could_leave_the_folder_is_left_out() {
    for (text, name) in [
        ("report.pdf", Some("report.pdf")),
        ("../../etc/passwd", Some("passwd")),
        ("C:\\Users\\x\\report.pdf", Some("report.pdf")),
        ("/absolute", Some("absolute")),
        ("directory/", Some("directory")),
        ("a\nb\0c\u{7f}\u{85}.txt", Some("abc.txt")),
        ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
        (".bashrc", Some("_bashrc")),
        (".hcfs", Some("_hcfs")),
        ("..hidden.txt", Some("_hidden.txt")),
        ("  name .txt. . ", Some("name .txt")),
        ("NUL", Some("_NUL")),
        ("com1.txt", Some("_com1.txt")),
        ("com10.txt", Some("com10.txt")),
        ("console.log", Some("console.log")),
        ("e\u{301}.txt", Some("\u{e9}.txt")),
        ("", None),
        (".", None),
        ("..", None),
        ("../..", None),
        ("///", None),
        ("\u{200b}\n", None),
    ] {
        assert_eq!(safe_name(text).as_deref(), name, "{text:?}");
    }
}

#[test]
fn long_names_keep_their_extension() {
    let name = safe_name(&format!("{}.pdf", "\u{20ac}".repeat(200))).unwrap();
    assert!(name.len() <= NAME_MAX && name.ends_with("\u{20ac}.pdf"), "{name}");
    assert_eq!(safe_name(&format!("a.{}", "b".repeat(400))).unwrap().len(), NAME_MAX);
}

#[test]
fn an_item_without_a_name_gets_one() {
    assert_eq!(fallback("file_78901", Some("application/pdf")), "file_78901.pdf");
    assert_eq!(fallback("file_78901", Some("Image/JPEG; q=1")), "file_78901.jpg");
    assert_eq!(fallback("file_78901", Some("application/x-unheard-of")), "file_78901");
    assert_eq!(fallback("photo.png", Some("image/jpeg")), "photo.png");
    assert!(fallback("..", None).starts_with("file-"));
}

#[test]
fn an_address_names_its_file() {
    for (path, name) in [
        ("/a/report%20one.pdf", Some("report one.pdf")),
        ("/a/100%", Some("100%")),
        ("/a/..%2f..%2fetc%2fpasswd", Some("passwd")),
        ("/a/", None),
        ("/", None),
        ("/%2e%2e", None),
    ] {
        assert_eq!(of_address(path).as_deref(), name, "{path}");
    }
}

#[test]
fn two_items_with_one_name_are_told_apart() {
    let taken = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(distinct("scan.pdf", "a", &taken(&["other.pdf"])), "scan.pdf");
    let a = distinct("scan.pdf", "a", &taken(&["scan.pdf"]));
    assert_eq!(a, distinct("scan.pdf", "a", &taken(&["SCAN.PDF", "other"])));
    assert!(a.starts_with("scan (") && a.ends_with(").pdf"), "{a}");
    assert_ne!(a, distinct("scan.pdf", "b", &taken(&["scan.pdf"])));
    let again = distinct("scan.pdf", "a", &taken(&["scan.pdf", &a]));
    assert!(again != a && again.len() > a.len(), "{again}");
}

proptest! {
    #[test]
    fn every_name_is_one_safe_component(text in "(\\PC|[./\\\\ \\x00-\\x1f]){0,300}", id in "\\PC{0,8}") {
        let Some(name) = safe_name(&text) else { return Ok(()) };
        let check = |name: &str| {
            let path = RelPath::new(name).unwrap();
            path.name() == name
                && path.as_str() == name
                && name.len() <= NAME_MAX
                && !name.starts_with('.')
                && !name.chars().any(char::is_control)
        };
        prop_assert!(check(&name), "{name:?}");
        // What is safe stays as it is.
        prop_assert_eq!(safe_name(&name), Some(name.clone()));
        let other = distinct(&name, &id, &BTreeSet::from([name.clone()]));
        prop_assert!(check(&other) && other.to_lowercase() != name.to_lowercase(), "{other:?}");
    }
}
