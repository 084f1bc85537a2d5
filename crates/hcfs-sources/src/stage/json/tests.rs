use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

/// Feeds an object in pieces of `step` bytes.
fn read_by(text: &[u8], step: usize) -> Result<(Vec<u8>, JsonFile), JsonError> {
    let mut file = JsonFile::new();
    let mut bytes = Vec::new();
    for piece in text.chunks(step) {
        file.push(piece, &mut |more: &[u8]| {
            bytes.extend_from_slice(more);
            Ok(())
        })?;
    }
    file.finish().map(|()| (bytes, file))
}

fn read(text: &str) -> Result<Vec<u8>, String> {
    let whole = read_by(text.as_bytes(), usize::MAX).map(|(bytes, _)| bytes).map_err(|error| error.to_string());
    let single = read_by(text.as_bytes(), 1).map(|(bytes, _)| bytes).map_err(|error| error.to_string());
    // Where pieces end makes no difference, but for the place a broken group is noticed at.
    assert_eq!(whole.is_ok(), single.is_ok(), "{text}");
    whole
}

#[test]
fn the_documented_answer_is_a_file() {
    let text = r#"{
  "contentType": "application/pdf",
  "data": "JVBERi0xLjQK",
  "extensions": [{"a": ["]}", "\"", 1.5e+3, null]}, true]
}"#;
    let (bytes, file) = read_by(text.as_bytes(), 3).unwrap();
    assert_eq!(bytes, b"%PDF-1.4\n");
    assert_eq!(file.content_type(), Some("application/pdf"));
    assert_eq!(file.error(), None);
}

#[test]
fn escapes_order_and_blanks_make_no_difference() {
    for text in [
        r#"{"data":"+\/+/"}"#,
        r#" { "x" : { } , "data" : "\u002b\u002F+/" } "#,
        "{\"data\":\"+\\/\\r\\n+/\\n\",\"n\":-1}\n",
        r#"{"\u0064ata":"+/+/","data2":"!"}"#,
        r#"{"n":0,"t":true ,"data":"+/+/","z":null}"#,
    ] {
        assert_eq!(read(text), Ok(vec![0xfb, 0xff, 0xbf]), "{text}");
    }
    assert_eq!(read(r#"{"data":""}"#), Ok(vec![]));
}

#[test]
fn what_is_not_such_an_object_is_refused() {
    for (text, why) in [
        ("", "the object ends in the middle, after 0 bytes"),
        ("<html>", "byte 0 is not what JSON has there"),
        ("[]", "byte 0 is not what JSON has there"),
        ("{}", "the object has no field \"data\""),
        (r#"{"dat":"AAAA"}"#, "the object has no field \"data\""),
        (r#"{"data":"AAAA""#, "the object ends in the middle, after 14 bytes"),
        (r#"{"data":"AAAA"#, "the object ends in the middle, after 13 bytes"),
        (r#"{"data":null}"#, "byte 8: the field \"data\" is not a text"),
        (r#"{"data":["AAAA"]}"#, "byte 8: the field \"data\" is not a text"),
        (r#"{"data":"AAAA","data":"AAAA"}"#, "byte 22: the field \"data\" is there twice"),
        (r#"{"data":"AAAA"}x"#, "byte 15 is not what JSON has there"),
        (r#"{"data":"AAAA"}{"#, "byte 15 is not what JSON has there"),
        (r#"{"data":"AAAA",}"#, "byte 15 is not what JSON has there"),
        (r#"{,"data":"AAAA"}"#, "byte 1 is not what JSON has there"),
        (r#"{"a":@,"data":"AAAA"}"#, "byte 5 is not what JSON has there"),
        (r#"{"data":"\x41AAA"}"#, "byte 10 is not what JSON has there"),
        (r#"{"data":"\u00g1AAA"}"#, "byte 13 is not what JSON has there"),
        ("{\"a\":\"AA\nAA\",\"data\":\"\"}", "byte 8 is not what JSON has there"),
    ] {
        assert_eq!(read(text), Err(why.to_owned()), "{text}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(65), "]".repeat(65));
    assert!(read(&deep).unwrap_err().ends_with("values are nested too deep"));
}

#[test]
fn broken_base64_is_refused() {
    for text in [
        "A", "AA", "AAA", "AAA==", "AA=A", "AAAA=", "A===", "AA==AAAA", "AAA!", "AA AA", "-_-_", "AB==", "====", "é",
        "AA\nAA",
    ] {
        let error = read(&format!("{{\"data\":\"{text}\"}}")).unwrap_err();
        assert!(error.starts_with("the base64 is broken before byte"), "{text}: {error}");
    }
    // Padding that comes to lie at the end of a batch is found out as well.
    let text = format!("{{\"data\":\"{}AAA=AAAA\"}}", "A".repeat(16 * 1024 - 4));
    assert!(read(&text).unwrap_err().contains("characters after the padding"));
}

#[test]
fn an_error_in_place_of_a_file_is_seen() {
    let mut file = JsonFile::new();
    file.push(br#"{"error":"File is locked and cannot be downloaded"}"#, &mut |_: &[u8]| Ok(())).unwrap();
    assert!(matches!(file.finish(), Err(JsonError::NoData)));
    assert_eq!(file.error(), Some("File is locked and cannot be downloaded"));
}

#[test]
fn long_texts_are_not_kept() {
    let text = format!("{{\"{0}\":\"{0}\",\"error\":\"{0}\",\"data\":\"\"}}", "x".repeat(100_000));
    let (_, file) = read_by(text.as_bytes(), 777).unwrap();
    assert_eq!(file.error().map(str::len), Some(TEXT_MAX));
    assert!(file.key.capacity() < 1000 && file.text.capacity() < 10_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_comes_back(
        content in proptest::collection::vec(any::<u8>(), 0..40_000),
        step in 1_usize..9000,
        breaks in proptest::option::of(1_usize..80),
        slashes in any::<bool>(),
        before in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,12}", 0..4),
    ) {
        let mut text = STANDARD.encode(&content);
        if let Some(every) = breaks {
            let lines: Vec<&str> = text.as_bytes().chunks(every).map(|line| std::str::from_utf8(line).unwrap()).collect();
            text = lines.join("\\r\\n");
        }
        if slashes {
            text = text.replace('/', "\\/");
        }
        let mut before = before;
        before.remove("data");
        let fields: String = before.iter().map(|(key, value)| format!("{key:?}: {},", serde_json::to_string(value).unwrap())).collect();
        let object = format!("{{{fields} \"data\": \"{text}\"}}");
        let (bytes, _) = read_by(object.as_bytes(), step).unwrap();
        prop_assert!(bytes == content);
        // Cut anywhere it is no file.
        let cut = step % object.len();
        prop_assert!(read_by(&object.as_bytes()[..cut], step).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1_usize..64) {
        let object = [b"{\"data\":\"".as_slice(), &bytes].concat();
        let _ = (read_by(&bytes, step).is_ok(), read_by(&object, step).is_ok());
    }

    /// Whatever is taken for a file here is one to a whole parser too, with the same content.
    #[test]
    fn nothing_is_taken_that_json_does_not_have(text in r#"[{]("(data|a)":("[AB=]{0,8}"|[0-9]|null|\[\]|[{][}]),?){0,3}[}]"#) {
        if let Ok(bytes) = read(&text) {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(STANDARD.decode(value["data"].as_str().unwrap()).unwrap(), bytes);
        }
    }
}
