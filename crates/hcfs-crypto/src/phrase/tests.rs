use hcfs_model::{AddressError, FolderHash};

use super::*;
use crate::vectors::{array, bytes, of_kind, section, text};

#[test]
fn bip39_vectors() {
    for vector in section("bip39") {
        let words = text(&vector["mnemonic"]);
        if vector["valid"] == false {
            assert!(MasterPhrase::parse(words).is_err(), "{words}");
            continue;
        }
        let phrase = MasterPhrase::parse(words).unwrap();
        assert_eq!(*phrase.words(), words);
        if let Some(entropy) = vector["entropy"].as_str() {
            assert_eq!(hex::encode(phrase.0.to_entropy()), entropy);
        }
        if let Some(passphrase) = vector["passphrase"].as_str() {
            // A passphrase is never used here; the vector is the standard's own.
            let seed = hex::encode(phrase.0.to_seed_normalized(passphrase));
            let expected = vector["seed"].as_str().or(vector["seed_prefix_32"].as_str()).unwrap();
            assert!(seed.starts_with(expected), "{words} {passphrase:?}");
            assert_eq!(passphrase.is_empty(), seed == hex::encode(*phrase.seed()));
        }
    }
}

#[test]
fn folder_key_vectors() {
    for vector in section("folder_keys") {
        let label = text(&vector["label"]);
        let master = MasterPhrase::parse(text(&vector["master_mnemonic"])).unwrap();
        let folder = master.folder_phrase(label);
        if let Some(words) = vector["folder_mnemonic"].as_str() {
            assert_eq!(*folder.words(), words, "{label:?}");
        }
        if let Some(entropy) = vector["folder_entropy"].as_str() {
            assert_eq!(hex::encode(folder.0.to_entropy()), entropy, "{label:?}");
        }
        // The empty label has keys, but is not a label a folder may have here.
        let keys = match FolderLabel::new(label) {
            Ok(label) => {
                if let Some(hash) = vector["folder_hash"].as_str() {
                    assert_eq!(FolderHash::of_label(&label).to_hex(), hash);
                }
                master.folder_keys(&label)
            }
            Err(_) => FolderKeys::from_folder_phrase(&folder),
        };
        if vector["encryption_key"].is_string() {
            assert_eq!(keys.encryption.bytes()[..], bytes(&vector["encryption_key"]), "{label:?}");
            assert_eq!(keys.signing.verifying_key()[..], bytes(&vector["verifying_key"]), "{label:?}");
            let address = AccountAddress::from_public_key(keys.signing.verifying_key());
            assert_eq!(address.as_str(), text(&vector["ed25519_address"]));
            let from_seed = SigningKey::from_seed(&array(&vector["signing_seed"]));
            assert_eq!(from_seed.verifying_key(), keys.signing.verifying_key());
        }
    }
}

#[test]
fn ed25519_vectors() {
    for vector in section("ed25519") {
        if let Some(words) = vector["bip39_mnemonic"].as_str() {
            let keys = FolderKeys::from_folder_phrase(&MasterPhrase::parse(words).unwrap());
            assert_eq!(keys.signing.verifying_key()[..], bytes(&vector["verifying_key"]));
            continue;
        }
        let key = SigningKey::from_seed(&array(&vector["seed"]));
        assert_eq!(key.verifying_key()[..], bytes(&vector["public"]));
        assert_eq!(key.sign(&bytes(&vector["message"]))[..], bytes(&vector["signature"]));
    }
}

#[test]
fn signing_vectors() {
    for vector in of_kind("signing", "manifest signature") {
        let master = MasterPhrase::parse(text(&vector["master_mnemonic"])).unwrap();
        let keys = master.folder_keys(&FolderLabel::new(text(&vector["label"])).unwrap());
        let signed = format!(
            "I here by declare that the file with hash {} that i am uploading is in par with the ToS of the provider",
            text(&vector["ciphertext_hash"])
        );
        assert_eq!(keys.signing.sign(signed.as_bytes())[..], bytes(&vector["signature"]));
        assert_eq!(keys.signing.verifying_key()[..], bytes(&vector["signing_key"]));
    }
}

#[test]
fn account_vectors() {
    for vector in of_kind("addresses", "account of a mnemonic") {
        let phrase = MasterPhrase::parse(text(&vector["mnemonic"])).unwrap();
        assert_eq!(phrase.mini_secret()[..], bytes(&vector["mini_secret"]));
        assert_eq!(phrase.account().as_str(), text(&vector["sr25519_address"]));
        assert_eq!(phrase.account().public_key()[..], bytes(&vector["sr25519_public"]));
        // The two addresses other derivations would give: what ours must not be.
        for (seed, address) in
            [(&phrase.mini_secret()[..], "substrate_ed25519_address"), (&phrase.seed()[..32], "bip39_ed25519_address")]
        {
            let key = SigningKey::from_seed(seed.try_into().unwrap());
            assert_eq!(AccountAddress::from_public_key(key.verifying_key()).as_str(), text(&vector[address]));
        }
    }
    for vector in of_kind("addresses", "sr25519 from mnemonic") {
        let phrase = MasterPhrase::parse(text(&vector["mnemonic"])).unwrap();
        assert_eq!(phrase.mini_secret()[..], bytes(&vector["mini_secret"]));
        assert_eq!(phrase.account().public_key()[..], bytes(&vector["public"]));
        assert_eq!(phrase.account().as_str(), text(&vector["address"]));
    }
}

#[test]
fn address_vectors() {
    for vector in of_kind("addresses", "ss58") {
        if vector["prefix"] != AccountAddress::PREFIX {
            // Another network's: known for what it is, and refused.
            let refused = AccountAddress::parse(text(&vector["address"])).unwrap_err();
            assert!(matches!(refused, AddressError::Prefix(_) | AddressError::Length), "{vector}: {refused}");
            continue;
        }
        assert_eq!(AccountAddress::from_public_key(array(&vector["public"])).as_str(), text(&vector["address"]));
    }
    for vector in of_kind("addresses", "sr25519 from mini secret") {
        let key = AccountKey::from_mini_secret(&array(&vector["mini_secret"]));
        assert_eq!(key.account().as_str(), text(&vector["address"]));
        let public = schnorrkel::PublicKey::from_bytes(key.account().public_key()).unwrap();
        let signature = schnorrkel::Signature::from_bytes(&key.sign(b"text")).unwrap();
        assert!(public.verify_simple(b"substrate", b"text", &signature).is_ok());
        assert!(public.verify_simple(b"substrate", b"other", &signature).is_err());
    }
    for vector in of_kind("addresses", "ed25519 from seed") {
        let key = SigningKey::from_seed(&array(&vector["mini_secret"]));
        assert_eq!(AccountAddress::from_public_key(key.verifying_key()).as_str(), text(&vector["address"]));
    }
    for vector in of_kind("addresses", "invalid ss58") {
        let found: Result<_, AddressError> = AccountAddress::parse(text(&vector["address"]));
        assert!(found.is_err(), "{vector}");
    }
}

#[test]
fn a_generated_phrase_has_24_words_and_reads_back() {
    let phrase = MasterPhrase::generate().unwrap();
    assert_eq!(phrase.words().split(' ').count(), 24);
    assert_eq!(MasterPhrase::parse(&phrase.words()).unwrap().words(), phrase.words());
    assert_ne!(MasterPhrase::generate().unwrap().words(), phrase.words());
}

#[test]
fn case_and_white_space_do_not_matter() {
    let plain = format!("{} art", ["abandon"; 23].join(" "));
    let shouted = format!("  {}\r\n\tArT\n", ["ABANDON"; 23].join(" \n "));
    assert_eq!(*MasterPhrase::parse(&shouted).unwrap().words(), plain);
}

#[test]
fn errors_name_the_place_and_never_the_word() {
    let with = |word: &str| format!("{} {word} {} art", ["abandon"; 4].join(" "), ["abandon"; 18].join(" "));
    let error = MasterPhrase::parse(&with("zzyzx")).err().unwrap();
    assert_eq!(error, PhraseError::UnknownWord { position: 5 });
    assert!(!format!("{error} {error:?} {}", error.hint()).contains("zzyzx"));
    assert_eq!(MasterPhrase::parse(&with("ability")).err(), Some(PhraseError::Checksum));
    // Valid BIP-39, but not a length this protocol has.
    let fifteen = Mnemonic::from_entropy(&[0; 20]).unwrap().to_string();
    assert_eq!(MasterPhrase::parse(&fifteen).err(), Some(PhraseError::WordCount { found: 15 }));
    assert_eq!(MasterPhrase::parse("").err(), Some(PhraseError::WordCount { found: 0 }));
}
