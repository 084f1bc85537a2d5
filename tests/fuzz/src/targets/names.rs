//! Paths, addresses, ids and labels.

use hcfs_model::{AccountAddress, FileId, FolderHash, FolderLabel, RelPath, RevisionId};

use super::text;
use crate::Target;

pub(super) const REL_PATH: Target = Target {
    name: "rel_path",
    words: &[
        "/",
        "//",
        ".",
        "..",
        "\\",
        "\0",
        "e\u{301}",
        "\u{e9}",
        "\u{1100}\u{1161}",
        " (conflict, a, 2026-11-21)",
        ".tar",
        ".hcfs",
    ],
    run: rel_path,
};
pub(super) const IDS: Target = Target {
    name: "ids",
    words: &["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "37a8eec1ce19687d", "0", "O", "l", "1"],
    run: ids,
};

fn rel_path(input: &[u8]) {
    let Ok(path) = RelPath::from_bytes(input) else { return };
    assert_eq!(RelPath::new(path.as_str()).as_ref(), Ok(&path), "what was normalised stays as it is");
    let segments: Vec<&str> = path.segments().collect();
    assert!(segments.iter().all(|segment| !["", ".", ".."].contains(segment)), "{path}");
    assert!(!path.as_str().contains(['\\', '\0']) && !path.as_str().starts_with('/'), "{path}");
    assert_eq!(segments.join("/"), path.as_str());
    for above in path.ancestors() {
        assert!(path.is_below(&above), "{path} is not below {above}");
    }
    if let Some(parent) = path.parent() {
        assert_eq!(parent.join(path.name()).as_ref(), Ok(&path));
    }
    let copy = hcfs_plan::copy_name(&path, "laptop", "2026-11-21");
    assert_eq!(RelPath::new(copy.as_str()).as_ref(), Ok(&copy));
    assert!(copy != path && copy.name().len() <= 255, "{copy}");
    let _ = hcfs_plan::is_temporary(&path) || hcfs_plan::is_reserved(&path);
}

fn ids(input: &[u8]) {
    let Some(text) = text(input) else { return };
    if let Ok(address) = AccountAddress::parse(text) {
        assert_eq!(address.as_str(), text.trim(), "an address has one form");
        assert_eq!(AccountAddress::from_public_key(*address.public_key()), address);
    }
    if let Ok(id) = FileId::from_hex(text) {
        assert_eq!(FileId::from_hex(&id.to_hex()), Ok(id));
    }
    if let Ok(id) = RevisionId::from_hex(text) {
        assert_eq!(RevisionId::from_hex(&id.to_hex()), Ok(id));
    }
    if let Ok(hash) = FolderHash::from_hex(text) {
        assert_eq!(FolderHash::from_hex(&hash.to_hex()), Ok(hash));
    }
    if let Ok(label) = FolderLabel::new(text) {
        assert_eq!(FolderLabel::new(label.as_str()), Ok(label));
    }
}
