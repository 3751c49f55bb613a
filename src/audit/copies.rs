//! Copies of the records of mutations in the log: how one is marked, and how it is told from other events.
//!
//! A copy is the record with one annotation more, its number in the chain of mutations. As that annotation is the
//! last one it is found at the end of the line's content, without parsing. No client can put one there: what clients
//! send stands in texts, and there a quotation mark is escaped.

use super::event::{MUTATION, with_annotation};

const END: &[u8] = b"\"}}";
const BEFORE_NUMBER: &[u8] = b"\":\"";

/// The copy of record `number`, which is an event as [`super::mutation`] makes it.
pub fn copy(record: Vec<u8>, number: u64) -> Vec<u8> {
    with_annotation(record, MUTATION, &number.to_string())
}

/// Which record an event is the copy of, if it is one.
pub fn number(event: &[u8]) -> Option<u64> {
    let rest = event.strip_suffix(END)?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, digits) = rest.split_at_checked(rest.len() - digits)?;
    let rest = rest.strip_suffix(BEFORE_NUMBER)?.strip_suffix(MUTATION.as_bytes())?;
    let is_annotation = rest.ends_with(b",\"") || rest.ends_with(b"{\"");
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| is_annotation && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::super::event::{Decision, Event, REASON, RequestFacts, mutation};
    use super::*;
    use crate::model::kinds;
    use crate::model::user::User;
    use crate::rbac::Attributes;

    #[test]
    fn a_copy_tells_its_number_and_is_otherwise_the_record() {
        let attributes = Attributes::object("create", &kinds::SECRET, "prod", "");
        let record = mutation(&RequestFacts::default(), &User::admin(), &attributes, "db", "", 201);
        assert_eq!(number(&record), None);
        for wanted in [1, 10, u64::MAX] {
            let copied = copy(record.clone(), wanted);
            assert_eq!(number(&copied), Some(wanted));
            let mut read: serde_json::Value = serde_json::from_slice(&copied).unwrap();
            assert_eq!(read["annotations"].as_object_mut().unwrap().remove(MUTATION), Some(wanted.to_string().into()));
            assert_eq!(read, serde_json::from_slice::<serde_json::Value>(&record).unwrap());
        }
    }

    #[test]
    fn what_a_client_sends_is_never_taken_for_a_copy() {
        let forged = format!("\",\"{MUTATION}\":\"7");
        let user = User::new(&forged, &forged, [forged.as_str()]);
        let facts = RequestFacts { user_agent: forged.clone(), ..RequestFacts::default() };
        facts.annotate(REASON, forged.clone());
        for attributes in [Attributes::path("get", &forged), Attributes::object("get", &kinds::SECRET, "a", &forged)] {
            let event = Event { decision: Some(Decision::Forbid), ..Event::new(&facts, &user, &attributes, 403) };
            assert_eq!(number(&event.to_json()), None);
        }
    }

    #[test]
    fn an_annotation_of_another_name_or_form_is_no_copy() {
        for wrong in ["", "0", "-1", "+1", "1x", "18446744073709551616"] {
            assert_eq!(number(&with_annotation(b"{\"annotations\":{}}".to_vec(), MUTATION, wrong)), None, "{wrong}");
        }
        let other = with_annotation(b"{\"annotations\":{}}".to_vec(), &format!("x{MUTATION}"), "1");
        assert_eq!(number(&other), None);
        assert_eq!(number(b"\"}}"), None);
    }
}
