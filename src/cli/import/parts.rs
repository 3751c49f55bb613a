//! What goes into one transaction: the Secrets of a namespace, or as many of them as it takes.

use super::{Found, Grouped};
use crate::cli::CliError;
use crate::cli::connection::length;

/// Secrets of one request, as the server has it.
const SECRETS_MAX: usize = 1_000;
/// Bytes of one request, as the server has it.
const BODY_MAX_BYTES: usize = 3 * 1024 * 1024;
/// What of them is not Secrets.
const ENVELOPE_BYTES: usize = 1024;
const ROOM_BYTES: usize = BODY_MAX_BYTES - ENVELOPE_BYTES;

/// Secrets that are written together.
pub struct Part {
    /// Their namespace.
    pub namespace: String,
    /// At least one.
    pub secrets: Vec<Found>,
}

/// Namespace and name of a Secret that is not sent, and why.
pub type NotSent = (String, String, String);

/// One part for each namespace; where that is too much for one, several if that is allowed, and what is too large for any
/// is told.
pub fn split(groups: Grouped, may_split: bool) -> Result<(Vec<Part>, Vec<NotSent>), CliError> {
    let (mut parts, mut too_large) = (Vec::new(), Vec::new());
    for (namespace, secrets) in groups {
        let sizes: Vec<usize> = secrets.iter().map(|one| length(&one.secret) + 1).collect();
        let bytes: usize = sizes.iter().sum();
        if !may_split && (secrets.len() > SECRETS_MAX || bytes > ROOM_BYTES) {
            return Err(CliError::NotDone(format!(
                "nothing is imported: {} secrets of {bytes} bytes in namespace {namespace} are more than one transaction takes ({SECRETS_MAX} secrets, {BODY_MAX_BYTES} bytes): import fewer at a time, or let --partial take several",
                secrets.len()
            )));
        }
        let (mut part, mut filled) = (Vec::new(), 0);
        for (secret, size) in secrets.into_iter().zip(sizes) {
            if size > ROOM_BYTES {
                let why = format!("it is larger than a request may be ({BODY_MAX_BYTES} bytes)");
                too_large.push((namespace.clone(), secret.name, why));
                continue;
            }
            if part.len() == SECRETS_MAX || filled + size > ROOM_BYTES {
                parts.push(Part { namespace: namespace.clone(), secrets: std::mem::take(&mut part) });
                filled = 0;
            }
            filled += size;
            part.push(secret);
        }
        if !part.is_empty() {
            parts.push(Part { namespace, secrets: part });
        }
    }
    Ok((parts, too_large))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sensitive::Document;

    fn group(sizes: &[usize]) -> Grouped {
        let found = |(at, size): (usize, &usize)| {
            let (name, value) = (format!("s{at}"), "x".repeat(*size));
            let secret = Document::new(json!({"metadata": {"name": name}, "data": {"k": value}}));
            Found { name, namespace: None, secret, broken_lines: Vec::new() }
        };
        Grouped::from([("prod".to_owned(), sizes.iter().enumerate().map(found).collect())])
    }

    fn counts(sizes: &[usize]) -> (Vec<usize>, usize) {
        let (parts, too_large) = split(group(sizes), true).unwrap();
        (parts.iter().map(|part| part.secrets.len()).collect(), too_large.len())
    }

    #[test]
    fn a_part_is_no_larger_than_a_request_may_be_and_nothing_is_lost() {
        assert_eq!(counts(&[1; 1000]), (vec![1000], 0));
        assert_eq!(counts(&[1; 2001]), (vec![1000, 1000, 1], 0));
        let mebibyte = 1024 * 1024;
        assert_eq!(counts(&[mebibyte; 5]), (vec![2, 2, 1], 0));
        assert_eq!(counts(&[1, 4 * mebibyte, 1]), (vec![2], 1));
        assert_eq!(counts(&[4 * mebibyte]), (vec![], 1));
    }

    #[test]
    fn what_is_too_much_for_one_transaction_is_refused_unless_several_are_allowed() {
        for sizes in [vec![1; 1001], vec![1024 * 1024; 3]] {
            let text = split(group(&sizes), false).err().unwrap().to_string();
            assert!(text.contains("--partial") && text.contains("namespace prod"), "{text}");
        }
        assert!(split(group(&[1; 1000]), false).is_ok());
    }
}
