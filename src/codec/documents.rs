//! A file of manifests: one JSON object, or any number of YAML documents.

use super::{ParseError, json, yaml};
use crate::sensitive::Document;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// Neither YAML nor JSON.
    #[error("the file cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// A key is set twice, and which one is meant cannot be known.
    #[error("document {document} sets a key twice: {key}")]
    Duplicate {
        /// Which, counted from 1.
        document: usize,
        /// Path or line.
        key: String,
    },
}

/// Which document, counted from 1, and the path or line of what is set twice.
pub type Duplicate = (usize, String);

/// Every document of a file, in its order.
///
/// # Errors
/// It is neither YAML nor JSON, or sets a key twice.
pub fn documents(file: &[u8]) -> Result<Vec<Document>, DocumentsError> {
    match lenient_documents(file)? {
        (documents, None) => Ok(documents),
        (_, Some((document, key))) => Err(DocumentsError::Duplicate { document, key }),
    }
}

/// The same where a key may be set twice: with the last of its values, and which it is first.
///
/// # Errors
/// It is neither YAML nor JSON.
pub fn lenient_documents(file: &[u8]) -> Result<(Vec<Document>, Option<Duplicate>), ParseError> {
    if file.trim_ascii_start().starts_with(b"{") {
        let parsed = json::parse(file)?;
        let duplicate = parsed.duplicates.into_iter().next().map(|key| (1, key));
        return Ok((vec![Document::new(parsed.value)], duplicate));
    }
    let (mut documents, mut duplicate) = (Vec::new(), None);
    for (parsed, index) in yaml::parse_all(file)?.into_iter().zip(1..) {
        duplicate = duplicate.or_else(|| parsed.duplicates.first().map(|key| (index, key.to_string())));
        documents.push(Document::new(parsed.value));
    }
    Ok((documents, duplicate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_set_twice_is_named_and_no_value_is() {
        for (file, expected) in [
            (&b" {\"a\":{\"b\":\"hunter2\",\"b\":\"hunter3\"}}"[..], "document 1 sets a key twice: "),
            (b"a: 1\n---\nb: hunter2\nb: hunter3\n", "document 2 sets a key twice: "),
            (b"{", "the file cannot be read: "),
            (b"a: [", "the file cannot be read: "),
        ] {
            let error = documents(file).err().unwrap().to_string();
            assert!(error.starts_with(expected) && !error.contains("hunter"), "{error}");
        }
        assert_eq!(documents(b"a: 1\n---\nb: 2\n").unwrap().len(), 2);
        let (read, duplicate) = lenient_documents(b"a: 1\na: 2\n").unwrap();
        assert_eq!((read.len(), duplicate.map(|(document, _)| document)), (1, Some(1)));
    }
}
