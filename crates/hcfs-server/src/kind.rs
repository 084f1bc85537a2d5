//! Kinds of files, told by their extension.

use hcfs_wire::FileTypeSummary;

use crate::metadata::name::Count;

/// The kinds and the extensions of each, in lower case. No extension is in two.
const KINDS: [(&str, &[&str]); 7] = [
    (
        "image",
        &[
            "jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "heic", "heif", "avif", "svg", "ico", "raw",
            "cr2", "nef", "arw", "dng", "psd", "jxl",
        ],
    ),
    ("video", &["mp4", "m4v", "mov", "mkv", "webm", "avi", "wmv", "flv", "mpg", "mpeg", "3gp", "mts", "m2ts", "ogv"]),
    ("audio", &["mp3", "m4a", "aac", "flac", "wav", "ogg", "oga", "opus", "wma", "aiff", "aif", "mid", "midi", "amr"]),
    (
        "document",
        &[
            "doc", "docx", "odt", "rtf", "txt", "md", "xls", "xlsx", "ods", "csv", "tsv", "ppt", "pptx", "odp", "epub",
            "mobi", "tex", "pages", "numbers", "key", "log",
        ],
    ),
    ("pdf", &["pdf"]),
    ("archive", &["zip", "tar", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "lz4", "iso", "cab", "deb", "rpm"]),
    (
        "code",
        &[
            "rs", "py", "js", "ts", "jsx", "tsx", "c", "h", "cpp", "hpp", "cc", "cs", "java", "kt", "go", "rb", "php",
            "swift", "sh", "bash", "sql", "html", "css", "scss", "json", "xml", "yaml", "yml", "toml", "ipynb", "lua",
        ],
    ),
];

/// Kinds and extensions of one `file_type` that are read.
const MAX_TERMS: usize = 64;

/// The extensions that a `file_type` parameter means: kinds and `.ext`, separated by commas. `None` for what is neither.
pub(crate) fn extensions(file_type: &str) -> Option<Vec<String>> {
    let mut extensions = Vec::new();
    for (index, term) in file_type.split(',').map(|term| term.trim().to_lowercase()).enumerate() {
        if index == MAX_TERMS {
            return None;
        }
        match (term.strip_prefix('.'), KINDS.iter().find(|(kind, _)| *kind == term)) {
            (Some(extension), _) if !extension.is_empty() && !extension.contains(['.', '/']) => {
                extensions.push(extension.to_owned());
            }
            (None, Some((_, of_kind))) => extensions.extend(of_kind.iter().map(|&extension| extension.to_owned())),
            _ => return None,
        }
    }
    Some(extensions)
}

/// The summary of an account's files by kind, given those that have an extension and the sums of all.
pub(crate) fn summary(counts: &[Count], files: u64, bytes: u64) -> FileTypeSummary {
    let mut summary = FileTypeSummary { other: files, other_bytes: bytes, ..FileTypeSummary::default() };
    for count in counts {
        let extension = count.kind.as_deref().unwrap_or_default();
        let kind = KINDS.iter().find(|(_, extensions)| extensions.contains(&extension));
        let (of_kind, bytes_of_kind) = match kind.map(|(kind, _)| *kind) {
            Some("image") => (&mut summary.image, &mut summary.image_bytes),
            Some("video") => (&mut summary.video, &mut summary.video_bytes),
            Some("audio") => (&mut summary.audio, &mut summary.audio_bytes),
            Some("document") => (&mut summary.document, &mut summary.document_bytes),
            Some("pdf") => (&mut summary.pdf, &mut summary.pdf_bytes),
            Some("archive") => (&mut summary.archive, &mut summary.archive_bytes),
            Some("code") => (&mut summary.code, &mut summary.code_bytes),
            _ => continue,
        };
        *of_kind += count.files;
        *bytes_of_kind += count.bytes;
        summary.other = summary.other.saturating_sub(count.files);
        summary.other_bytes = summary.other_bytes.saturating_sub(count.bytes);
    }
    summary
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_extension_has_two_kinds() {
        let all: Vec<_> = KINDS.iter().flat_map(|(_, extensions)| extensions.iter()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|extension| extension.to_lowercase() == **extension));
    }

    #[test]
    fn a_file_type_is_kinds_and_extensions() {
        assert_eq!(extensions("pdf, .Xyz").unwrap(), ["pdf", "xyz"]);
        assert!(extensions("IMAGE").unwrap().contains(&"jpg".to_owned()));
        for wrong in ["", "other", "pictures", "pdf,", ".", ".a.b", "pdf,other", &vec![".a"; 65].join(",")] {
            assert_eq!(extensions(wrong), None, "{wrong}");
        }
    }
}
