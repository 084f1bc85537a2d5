//! The shapes of requests and answers, and what is refused of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, Revision, RevisionId, SaltedHash};
use hcfs_wire::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn ints(byte: u8, count: usize) -> Value {
    Value::from(vec![byte; count])
}

fn row(id: u8) -> Value {
    json!({
        "path_hash": ints(id, 32), "salted_hash": ints(2, 32), "size_bytes": 1_048_576, "revision_seq": 3,
        "revision_id": ints(4, 32), "encrypted_path": ints(5, 60), "file_name": null, "relative_path": null,
        "arion_hash": "Qm", "chunk_hashes": ["Qa", "Qb"], "created_at": 1_713_139_200, "updated_at": 1_713_139_201
    })
}

fn page(files: &[Value]) -> Vec<u8> {
    let body = json!({"Success": {
        "ss58_address": ALICE, "folder_hash": "37a8eec1ce19687d", "files": files,
        "total_count": 142, "has_more": true, "offset": 0, "limit": 25
    }});
    serde_json::to_vec(&body).unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        ss58_address: AccountAddress::parse(ALICE).unwrap(),
        folder_hash: FolderHash::from_hex("37a8eec1ce19687d").unwrap(),
        ciphertext_hash: CiphertextHash([1; 32]),
        size_bytes: 5,
        timestamp: 1_713_139_200,
        signature: [7; 64],
        signing_key: [8; 32],
        path_hash: FileId([2; 32]),
        salted_hash: SaltedHash([3; 32]),
        revision_seq: 2,
        base_revision_id: Some(RevisionId([4; 32])),
        encrypted_path: vec![9; 60],
        file_name: None,
        relative_path: None,
        source: Some(UploadSource::Desktop),
    }
}

#[test]
fn a_page_is_read_and_one_bad_row_hides_no_other() {
    let mut no_size = row(7);
    no_size.as_object_mut().unwrap().remove("size_bytes");
    let mut long_path = row(8);
    long_path["encrypted_path"] = ints(1, limits::MAX_ENCRYPTED_PATH + 1);
    let body = page(&[row(1), no_size, json!("nothing"), long_path, row(6)]);
    let page: GetState<Row<RemoteFileEntry>> = read_answer(200, &body, limits::MAX_PAGE_BODY).unwrap();
    assert_eq!((page.total_count, page.has_more), (142, true));
    let Row::Read(first) = &page.files[0] else { panic!("{:?}", page.files[0]) };
    assert_eq!(first.entry().revision, Revision { seq: 3, id: RevisionId([4; 32]) });
    assert_eq!((first.file_id(), first.encrypted_path.len()), (FileId([1; 32]), 60));
    let broken: Vec<_> = page.files[1..4]
        .iter()
        .map(|row| match row {
            Row::Broken(broken) => broken.file_id,
            Row::Read(read) => panic!("{read:?}"),
        })
        .collect();
    assert_eq!(broken, [Some(FileId([7; 32])), None, Some(FileId([8; 32]))]);
    assert!(matches!(&page.files[4], Row::Read(last) if last.file_id() == FileId([6; 32])));
}

#[test]
fn what_is_written_is_read_again() {
    let body = page(&[row(1), row(2)]);
    let read: GetState = read_answer(200, &body, limits::MAX_PAGE_BODY).unwrap();
    let written = serde_json::to_value(Envelope::Success(&read)).unwrap();
    assert_eq!(written, serde_json::from_slice::<Value>(&body).unwrap());
}

#[test]
fn lists_are_bounded() {
    let hashes: Vec<Value> = (0..=limits::MAX_PAGE_ROWS).map(|_| json!(1)).collect();
    let failure =
        read_answer::<GetState<Row<RemoteFileEntry>>>(200, &page(&hashes), limits::MAX_PAGE_BODY).unwrap_err();
    assert_eq!(failure.fault, Fault::Foreign);
    assert!(failure.message.contains("at most 5000 entries"), "{}", failure.message);
}

#[test]
fn bodies_are_bounded() {
    let body = page(&[row(1)]);
    assert!(matches!(
        parse_json::<Value>(&body, body.len() - 1),
        Err(ParseError::TooLong { length, limit }) if length == body.len() && limit == length - 1
    ));
    assert!(parse_json::<Value>(&body, body.len()).is_ok());
    assert!(parse_json::<Value>(b"{} {}", 100).is_err(), "trailing bytes");
}

#[test]
fn an_envelope_has_exactly_one_variant() {
    let read = |text: &str| parse_json::<Envelope<SessionDeleted>>(text.as_bytes(), 1000);
    assert_eq!(
        read(r#"{"Success":{"deleted":true,"more":1},"trace":7}"#).unwrap(),
        Envelope::Success(SessionDeleted { deleted: true })
    );
    for text in [
        "{}",
        r#"{"success":{"deleted":true}}"#,
        r#"{"Success":{"deleted":true},"Error":{"error":"not_found","message":""}}"#,
        r#"{"Success":{"deleted":true},"Success":{"deleted":true}}"#,
        r#"{"Success":{"deleted":1}}"#,
        r#"[{"Success":{"deleted":true}}]"#,
        r#""Success""#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn conflicts_carry_the_current_revision() {
    let body = json!({"Conflict": {
        "error": "conflict", "message": "m", "current_revision_id": ints(9, 32), "current_revision_seq": 42
    }});
    let failure = read_failure(409, &serde_json::to_vec(&body).unwrap());
    assert_eq!(failure.current, Some(Revision { seq: 42, id: RevisionId([9; 32]) }));
    let none = read_failure(409, br#"{"Conflict":{"error":"conflict","message":"registered already"}}"#);
    assert_eq!((none.fault, none.current), (Fault::Conflict, None));
    let written = serde_json::to_value(ConflictBody::new("m", failure.current)).unwrap();
    assert_eq!(written, body["Conflict"]);
}

/// The table of protocol §4, for each status with the body a server, a gateway in front of it, and a stranger send.
#[test]
fn every_status_means_what_the_table_says() {
    use Fault::*;
    let error = |code: &str| format!(r#"{{"Error":{{"error":"{code}","message":"m"}}}}"#).into_bytes();
    let html = b"<html><body>Not Found</body></html>".to_vec();
    let bare = br#"{"message":"no"}"#.to_vec();
    for (status, code, in_envelope, in_json, in_html) in [
        (400, "invalid_manifest", Refused, Foreign, Foreign),
        (400, "stale_sequence", Stale, Foreign, Foreign),
        (400, "code_of_tomorrow", UnknownCode, Foreign, Foreign),
        (401, "unauthorized", Unauthorized, Unauthorized, Foreign),
        (402, "over_quota", OverQuota, OverQuota, Foreign),
        (403, "forbidden", Forbidden, Forbidden, Foreign),
        (404, "not_found", NotFound, Foreign, Foreign),
        (404, "invalid_file_id", Refused, Foreign, Foreign),
        (405, "not_found", Refused, Foreign, Foreign),
        (408, "unavailable", Unavailable, Unavailable, Unavailable),
        (409, "conflict", Conflict, Foreign, Foreign),
        (409, "upload_conflict", Conflict, Foreign, Foreign),
        (413, "payload_too_large", TooLarge, TooLarge, TooLarge),
        (418, "code_of_tomorrow", UnknownCode, Foreign, Foreign),
        (429, "rate_limited", RateLimited, RateLimited, RateLimited),
        (500, "database_error", Server, Unavailable, Unavailable),
        (500, "not_found", Server, Unavailable, Unavailable),
        (502, "x", Unavailable, Unavailable, Unavailable),
        (503, "unavailable", Unavailable, Unavailable, Unavailable),
        (504, "x", Unavailable, Unavailable, Unavailable),
        (507, "insufficient_storage", OverQuota, Unavailable, Unavailable),
        (302, "not_found", Refused, Foreign, Foreign),
    ] {
        assert_eq!(read_failure(status, &error(code)).fault, in_envelope, "{status} {code}");
        assert_eq!(read_failure(status, &bare).fault, in_json, "{status} without envelope");
        assert_eq!(read_failure(status, b"").fault, in_json, "{status} without body");
        assert_eq!(read_failure(status, &html).fault, in_html, "{status} HTML");
    }
}

#[test]
fn a_success_status_never_says_that_something_is_gone() {
    let body = br#"{"Error":{"error":"not_found","message":"gone"}}"#;
    let failure = read_answer::<Value>(200, body, 1000).unwrap_err();
    assert_eq!((failure.fault, failure.code), (Fault::Refused, Some(ErrorCode::NotFound)));
    let page = read_answer::<Value>(200, b"<html>log in first</html>", 1000).unwrap_err();
    assert_eq!(page.fault, Fault::Foreign);
    let contradiction = read_failure(404, br#"{"Success":{}}"#);
    assert_eq!(contradiction.fault, Fault::Foreign);
}

#[test]
fn quota_comes_without_envelope() {
    let failure = read_failure(402, br#"{"error":"no_credit","message":"m","balance_cents":12,"required_cents":40}"#);
    let quota = failure.quota.unwrap();
    assert_eq!(failure.fault, Fault::OverQuota);
    assert_eq!((quota.balance_cents, quota.required_cents, failure.message.as_str()), (Some(12), Some(40), "m"));
}

#[test]
fn a_refusal_made_from_a_code_is_the_one_that_is_read() {
    for code in ["stale_sequence", "not_found", "over_quota", "database_error", "unavailable", "rate_limited"] {
        let made = Failure::of_code(ErrorCode::from_text(code), "m");
        let body = Envelope::<()>::Error(ErrorBody { error: ErrorCode::from_text(code), message: "m".to_owned() });
        assert_eq!(read_failure(made.status, &serde_json::to_vec(&body).unwrap()), made);
    }
}

#[test]
fn messages_cannot_reach_a_terminal_as_commands_nor_grow() {
    let body = json!({"Error": {"error": "x".repeat(1000), "message": format!("a\u{1b}[2J\n{}", "ä".repeat(1000))}});
    let failure = read_failure(400, &serde_json::to_vec(&body).unwrap());
    assert!(failure.message.starts_with("a [2J "), "{}", failure.message);
    assert!(failure.message.len() <= limits::MAX_MESSAGE);
    assert_eq!(failure.code, Some(ErrorCode::Unknown("x".repeat(limits::MAX_CODE))));
}

#[test]
fn codes_keep_their_text() {
    for text in ["invalid_manifest", "q_too_long", "storage_inconsistency", "upload_conflict"] {
        let code = ErrorCode::from_text(text);
        assert!(!matches!(code, ErrorCode::Unknown(_)), "{text}");
        assert_eq!(code.as_str(), text);
    }
    assert_eq!(ErrorCode::from_text("new").to_string(), "new");
    assert_eq!((ErrorCode::NotFound.status(), ErrorCode::StaleSequence.status()), (404, 400));
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    manifest().check().unwrap();
    let mut bad = manifest();
    bad.revision_seq = 1;
    assert_eq!(bad.check(), Err(ManifestError::Base));
    bad.base_revision_id = None;
    assert_eq!(bad.check(), Ok(()));
    bad.revision_seq = 0;
    assert_eq!(bad.check(), Err(ManifestError::Sequence));
    bad.revision_seq = u64::MAX;
    assert_eq!(bad.check(), Err(ManifestError::Sequence));
    let mut bad = manifest();
    bad.size_bytes = u64::MAX;
    assert_eq!(bad.check(), Err(ManifestError::Size));
    assert_eq!(bad.check_blob_len(0), Err(ManifestError::Size));
    let mut bad = manifest();
    bad.encrypted_path = vec![1; 48];
    assert_eq!(bad.check(), Err(ManifestError::EncryptedPath));
    bad.encrypted_path.clear();
    assert_eq!(bad.check(), Ok(()));
    bad.relative_path = Some("../x".to_owned());
    assert_eq!(bad.check(), Err(ManifestError::RelativePath));
    bad.relative_path = None;
    bad.file_name = Some("a/b".to_owned());
    assert_eq!(bad.check(), Err(ManifestError::FileName));
}

#[test]
fn names_stay_out_of_debug_output() {
    let mut shown = manifest();
    shown.file_name = Some("salary.pdf".to_owned());
    shown.relative_path = Some("work/salary.pdf".to_owned());
    assert!(!format!("{shown:?}").contains("salary"));
    let mut entry: RemoteFileEntry = serde_json::from_value(row(1)).unwrap();
    entry.relative_path = shown.relative_path;
    assert!(!format!("{entry:?}").contains("salary"));
}

#[test]
fn a_session_is_cut_without_gap() {
    let mut large = manifest();
    large.size_bytes = 20 * 1024 * 1024;
    let open = SessionOpen::cut(large, 8 * 1024 * 1024).unwrap();
    open.check().unwrap();
    assert_eq!(open.chunk_count, 3);
    let parts: Vec<_> = (0..3).map(|index| open.part(index).unwrap()).collect();
    assert_eq!((parts[0].start, parts[2].end), (0, open.ciphertext_size));
    assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(open.part(3), None);
    let wrong_count = SessionOpen { chunk_count: 4, ..open.clone() };
    assert_eq!(wrong_count.check(), Err(LayoutError::ChunkCount));
    let wrong_size = SessionOpen { ciphertext_size: 3, ..open.clone() };
    assert!(matches!(wrong_size.check(), Err(LayoutError::Manifest(ManifestError::BlobLength { .. }))));
    let large_parts = SessionOpen { chunk_size: 17 * 1024 * 1024, chunk_count: 2, ..open };
    assert_eq!(large_parts.check(), Err(LayoutError::ChunkSize));
    let mut endless = manifest();
    endless.size_bytes = 1 << 40;
    assert_eq!(SessionOpen::cut(endless, 1024), None, "more parts than a session may have");
}

#[test]
fn session_names_that_would_change_the_route_are_refused() {
    for text in ["", "..", ".", "a/b", "a?b", "a b", "ä", &"x".repeat(129)] {
        assert_eq!(SessionId::new(text), None, "{text:?}");
        assert!(serde_json::from_value::<SessionId>(json!(text)).is_err(), "{text:?}");
    }
    assert_eq!(SessionId::new("a-B_3.f~").unwrap().as_str(), "a-B_3.f~");
}

#[test]
fn a_session_status_is_read() {
    let status: SessionStatus = serde_json::from_value(json!({
        "session_id": "s1", "state": "receiving", "total_chunks": 64, "chunks_received": [0, 2],
        "expires_at": 1_713_225_600, "ciphertext_hash": "ab".repeat(32)
    }))
    .unwrap();
    assert_eq!((status.state, status.chunks_received.as_slice()), (SessionState::Receiving, &[0, 2][..]));
    assert_eq!(serde_json::from_value::<SessionState>(json!("paused")).unwrap(), SessionState::Unknown);
}

#[test]
fn bytes_are_read_as_integers_or_hexadecimal() {
    let mut result = json!({"upload_id": "u", "revision_id": ints(0xab, 32)});
    let read = |value: &Value| serde_json::from_value::<UploadResult>(value.clone());
    assert_eq!(read(&result).unwrap().revision_id, RevisionId([0xab; 32]));
    result["revision_id"] = json!("AB".repeat(32));
    assert_eq!(read(&result).unwrap().revision_id, RevisionId([0xab; 32]));
    for bad in [ints(1, 31), ints(1, 33), json!("ab"), json!([256]), Value::Null, json!(5), json!("zz".repeat(32))] {
        result["revision_id"] = bad.clone();
        assert!(read(&result).is_err(), "{bad}");
    }
}

#[test]
fn a_search_hit_is_a_flat_row() {
    let mut hit = row(1);
    hit["folder_hash"] = json!("");
    hit["folder_label"] = json!("My Documents");
    let read: SearchHit = serde_json::from_value(hit.clone()).unwrap();
    assert_eq!(read.file.file_id(), FileId([1; 32]));
    assert_eq!(serde_json::to_value(&read).unwrap(), hit);
}

#[test]
fn a_batch_slightly_too_large_is_still_read() {
    let ids: Vec<String> = (0..=limits::MAX_DELETE_IDS).map(|_| "ab".repeat(32)).collect();
    let body = json!({"user_id": ALICE, "folder_hash": "37a8eec1ce19687d", "file_ids": ids});
    let read: DeleteFiles = serde_json::from_value(body).unwrap();
    assert_eq!((read.file_ids.len(), read.quiet), (limits::MAX_DELETE_IDS + 1, false));
}

#[test]
fn summaries_are_flat() {
    let summary: FileTypeSummary = serde_json::from_value(json!({"pdf": 2, "pdf_bytes": 10, "new_type": 1})).unwrap();
    assert_eq!((summary.pdf, summary.pdf_bytes, summary.image), (2, 10, 0));
    let source = serde_json::to_value(SourceSummary { desktop: 1, desktop_bytes: 2, ..Default::default() }).unwrap();
    assert_eq!((&source["desktop_bytes"], &source["mobile"]), (&json!(2), &json!(0)));
}

#[test]
fn download_headers_are_read_or_named() {
    const ID: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    type Headers = Vec<(&'static str, &'static str)>;
    let read = |headers: &Headers| {
        DownloadHead::read(|name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    };
    let headers: Headers = vec![
        ("x-size-bytes", "5"),
        ("x-revision-id", ID),
        ("x-revision-seq", "7"),
        ("x-file-id", ID),
        ("x-folder-hash", ""),
        ("content-length", "53"),
        ("content-range", "bytes 0-52/53"),
    ];
    let head = read(&headers).unwrap();
    assert_eq!((head.size, head.revision.seq, head.folder), (5, 7, None));
    assert_eq!(head.content_range, Some(ContentRange { first: 0, last: 52, total: Some(53) }));
    for (index, name) in [(0, "x-size-bytes"), (1, "x-revision-id"), (2, "x-revision-seq")] {
        let mut missing = headers.clone();
        missing.remove(index);
        assert_eq!(read(&missing), Err(HeadError::Missing(name)));
        let mut bad = headers.clone();
        bad[index].1 = "+1";
        assert_eq!(read(&bad), Err(HeadError::Malformed(name)));
    }
    let mut huge = headers.clone();
    huge[0].1 = "18446744073709551615";
    assert_eq!(read(&huge), Err(HeadError::Malformed("x-size-bytes")));
}

#[test]
fn ranges_are_read_and_cut_to_the_blob() {
    assert_eq!(RangeRequest::parse("bytes=5-"), Some(RangeRequest::From(5)));
    assert_eq!(RangeRequest::parse("bytes=5-9"), Some(RangeRequest::Between(5, 9)));
    for text in ["bytes=-5", "bytes=9-5", "bytes=1-2,4-5", "items=1-2", "bytes=", "bytes=+1-2"] {
        assert_eq!(RangeRequest::parse(text), None, "{text}");
    }
    assert_eq!(RangeRequest::Between(5, u64::MAX).within(8), Some(5..8));
    assert_eq!(RangeRequest::From(8).within(8), None);
    assert_eq!(RangeRequest::From(0).within(8), Some(0..8));
    for text in ["bytes 5-4/9", "bytes 0-9/9", "bytes */9", "0-1/2", "bytes 0-1"] {
        assert_eq!(ContentRange::parse(text), None, "{text}");
    }
    assert_eq!(ContentRange::parse("bytes 0-8/*").unwrap().length(), 9);
}

#[test]
fn tags_are_strong_and_quoted() {
    let tag = StateTag::of_counter(17);
    assert_eq!((tag.as_str(), tag.to_string().as_str()), ("17", "\"17\""));
    assert_eq!(StateTag::parse("\"17\""), Ok(tag.clone()));
    assert_eq!(StateTag::from_text("17"), Ok(tag));
    for header in ["17", "W/\"17\"", "\"17\", \"18\"", "*", "\"\"", "\"a b\"", &format!("\"{}\"", "x".repeat(129))] {
        assert_eq!(StateTag::parse(header), Err(TagError), "{header}");
    }
    let id = RevisionId([0xab; 32]);
    assert_eq!(parse_revision_tag(&revision_tag(id)), Ok(id));
    assert_eq!(parse_revision_tag("\"ab\""), Err(TagError));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let _ = read_answer::<GetState<Row<RemoteFileEntry>>>(status, &body, 100);
        let _ = parse_json::<Manifest>(&body, 1000);
        let text = String::from_utf8_lossy(&body);
        let _ = (ContentRange::parse(&text), RangeRequest::parse(&text), SessionId::new(&text));
    }

    #[test]
    fn only_a_404_in_an_envelope_is_not_found(status in 100_u16..600, text in "[ -~]{0,60}") {
        prop_assert_ne!(read_failure(status, text.as_bytes()).fault, Fault::NotFound);
        let body = br#"{"Error":{"error":"not_found","message":""}}"#;
        prop_assert_eq!(read_failure(status, body).fault == Fault::NotFound, status == 404);
    }

    #[test]
    fn ranges_are_written_as_they_are_read(first in 0_u64..1 << 50, more in 0_u64..1 << 50, known in any::<bool>()) {
        let last = first + more;
        let range = ContentRange { first, last, total: known.then_some(last + 1) };
        prop_assert_eq!(ContentRange::parse(&range.to_string()), Some(range));
        let asked = RangeRequest::Between(first, last);
        prop_assert_eq!(RangeRequest::parse(&asked.to_string()), Some(asked));
    }

    #[test]
    fn manifests_survive_their_json(
        size in 0_u64..1 << 40, seq in 2_u64..1 << 60, hash in any::<[u8; 32]>(), signature in any::<[u8; 32]>(),
        path in proptest::collection::vec(any::<u8>(), 49..300), name in proptest::option::of("[^/\\\\\\x00]{1,40}"),
    ) {
        let mut manifest = manifest();
        manifest.size_bytes = size;
        manifest.revision_seq = seq;
        manifest.salted_hash = SaltedHash(hash);
        manifest.signature[..32].copy_from_slice(&signature);
        manifest.encrypted_path = path;
        manifest.file_name = name;
        prop_assert_eq!(manifest.check(), Ok(()));
        let body = serde_json::to_vec(&manifest).unwrap();
        prop_assert_eq!(parse_json::<Manifest>(&body, limits::MAX_MANIFEST_BODY).unwrap(), manifest);
    }
}
