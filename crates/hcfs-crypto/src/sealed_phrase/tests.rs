use super::*;
use crate::vectors::{of_kind, section, text};

const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

/// A sealed phrase that costs no time.
fn quick(password: &str) -> SealedPhrase {
    let phrase = MasterPhrase::parse(WORDS).unwrap();
    seal_with(&phrase, password, [7; 16], [8; 12], 2).unwrap()
}

fn open_json(json: &serde_json::Value, password: &str) -> Result<MasterPhrase, SealedPhraseError> {
    open(&SealedPhrase::from_json(json.to_string().as_bytes())?, password)
}

#[test]
fn files_of_other_clients_open_and_ours_are_theirs_byte_for_byte() {
    let mut opened = 0;
    for vector in section("at_rest").iter().filter(|vector| text(&vector["kind"]).starts_with("enc_mnemonic.json")) {
        let (file, password) = (&vector["file"], text(&vector["password"]));
        let phrase = open_json(file, password).unwrap();
        assert_eq!(*phrase.words(), text(&vector["mnemonic"]));
        let theirs = SealedPhrase::from_json(file.to_string().as_bytes()).unwrap();
        let ours = seal_with(&phrase, password, theirs.salt, theirs.iv, theirs.iterations).unwrap();
        assert_eq!(ours, theirs);
        if file["iterations"].is_u64() {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&ours.to_json()).unwrap(), *file);
        }
        opened += 1;
    }
    assert_eq!(opened, 5);
}

#[test]
fn altered_files_are_refused() {
    for vector in of_kind("at_rest", "invalid enc_mnemonic.json") {
        let Err(error) = open_json(&vector["file"], text(&vector["password"])) else { panic!("opened: {vector}") };
        let as_expected = match text(&vector["what"]) {
            "wrong password" | "data altered" => matches!(error, SealedPhraseError::WrongPassword),
            "iterations 0" => matches!(error, SealedPhraseError::Iterations(0)),
            "iterations over 10,000,000" => matches!(error, SealedPhraseError::Iterations(10_000_001)),
            _ => matches!(error, SealedPhraseError::Corrupt(_)),
        };
        assert!(as_expected, "{}: {error}", text(&vector["what"]));
    }
}

#[test]
fn a_new_file_says_its_rounds_and_is_another_every_time() {
    let phrase = MasterPhrase::parse(WORDS).unwrap();
    let (one, two) = (seal(&phrase, "pw").unwrap(), seal(&phrase, "pw").unwrap());
    assert_eq!((one.iterations, two.iterations), (600_000, 600_000));
    assert!(one.salt != two.salt && one.iv != two.iv && one.data != two.data);
    assert_eq!(*open(&one, "pw").unwrap().words(), WORDS);
}

#[test]
fn an_empty_password_is_refused_both_ways() {
    let phrase = MasterPhrase::parse(WORDS).unwrap();
    assert!(matches!(seal(&phrase, ""), Err(SealedPhraseError::EmptyPassword)));
    assert!(matches!(open(&quick("pw"), ""), Err(SealedPhraseError::EmptyPassword)));
}

#[test]
fn long_files_and_other_contents_are_corrupt() {
    let long = [quick("pw").to_json(), vec![b' '; MAX_FILE]].concat();
    assert!(matches!(SealedPhrase::from_json(&long), Err(SealedPhraseError::Corrupt(_))));
    // Opens, but is not a phrase.
    let mut sealed = quick("pw");
    sealed.data = b"not a phrase".to_vec();
    cipher("pw", &sealed.salt, 2).unwrap().encrypt_in_place(&Nonce::from(sealed.iv), b"", &mut sealed.data).unwrap();
    assert!(matches!(open(&sealed, "pw"), Err(SealedPhraseError::Corrupt(_))));
    // Shorter than a tag.
    sealed.data = vec![1; 15];
    assert!(matches!(open(&sealed, "pw"), Err(SealedPhraseError::WrongPassword)));
}

#[test]
fn unknown_fields_are_ignored() {
    let mut json: serde_json::Value = serde_json::from_slice(&quick("pw").to_json()).unwrap();
    json["later"] = true.into();
    assert!(open_json(&json, "pw").is_ok());
}

#[test]
fn a_file_is_private_whole_and_keeps_its_predecessor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enc_mnemonic.json");
    let backup = directory.path().join("enc_mnemonic.json.bak");
    // What an interrupted run left, open to all.
    std::fs::write(directory.path().join("enc_mnemonic.json.new"), "half").unwrap();
    write(&path, &quick("one")).unwrap();
    assert!(!backup.exists());
    assert_eq!(read(&path).unwrap(), quick("one"));
    write(&path, &quick("two")).unwrap();
    assert_eq!(read(&path).unwrap(), quick("two"));
    assert_eq!(read(&backup).unwrap(), quick("one"));
    write(&path, &quick("three")).unwrap();
    assert_eq!(read(&backup).unwrap(), quick("two"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    #[cfg(unix)]
    for file in [&path, &backup] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_failed_write_leaves_the_file_and_names_what_failed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enc_mnemonic.json");
    write(&path, &quick("one")).unwrap();
    // A directory stands where the backup has to go.
    std::fs::create_dir(directory.path().join("enc_mnemonic.json.bak")).unwrap();
    let error = write(&path, &quick("two")).unwrap_err();
    assert!(error.to_string().contains("enc_mnemonic.json.bak"), "{error}");
    assert_eq!(read(&path).unwrap(), quick("one"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "something half written was left");
    let missing = read(&directory.path().join("none")).unwrap_err();
    assert!(matches!(missing, SealedPhraseError::Io { action: "read", .. }));
}
