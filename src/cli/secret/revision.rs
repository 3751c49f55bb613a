//! Versions of a Secret: which there are, and one of them as the Secret that it was.

use serde_json::{Value, json};

use super::place::{Id, Place};
use crate::cli::CliError;
use crate::cli::output::{list_at, text_at};
use crate::kube_client::{Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, SECRET_REVISION};
use crate::sensitive::Document;

const PAGE: &str = "500";

/// A version as it is named on a command line: by its number, or by its whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Of the Secret that there is, or of the last one of this name.
    Number(u64),
    /// `db.3f2a9c01.4`
    Name(String),
}

/// A version, without values.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The object.
    pub object: Value,
}

impl Wanted {
    /// For clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("revisions are counted from 1".to_owned()),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.contains('.') => Ok(Self::Name(text.to_owned())),
            Err(_) => Err("give the number of a revision, or its name".to_owned()),
        }
    }
}

impl Revision {
    /// `metadata.name`
    pub fn name(&self) -> &str {
        text_at(&self.object, "/metadata/name")
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.object.pointer("/spec/revision").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Which Secret of this name it is of.
    pub fn secret_uid(&self) -> &str {
        text_at(&self.object, "/spec/secretUID")
    }

    /// Whether it is the Secret as it is now.
    pub fn is_current(&self) -> bool {
        self.is("/status/current")
    }

    /// Whether its Secret was deleted.
    pub fn is_deleted(&self) -> bool {
        self.is("/status/deleted")
    }

    fn is(&self, pointer: &str) -> bool {
        self.object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
    }
}

/// Where the versions of a namespace are.
pub fn collection(namespace: &str) -> String {
    format!("/apis/{OWN_API_VERSION}/namespaces/{}/{}", encode_segment(namespace), SECRET_REVISION.plural)
}

/// A selector of those of one Secret.
pub fn of_secret(id: &Id) -> String {
    format!("spec.secretName={}", id.name)
}

/// Those of a Secret, oldest first, and of former Secrets of its name.
#[expect(clippy::disallowed_methods, reason = "lists of versions hold no values")]
pub fn all(place: &Place, id: &Id) -> Result<Vec<Revision>, CliError> {
    let (mut found, mut from) = (Vec::new(), String::new());
    loop {
        let mut request =
            Request::get(collection(&id.namespace)).with("fieldSelector", of_secret(id)).with("limit", PAGE);
        if !from.is_empty() {
            request = request.with("continue", from.as_str());
        }
        let page = place.connection.object(request)?;
        let page = page.expose();
        found.extend(list_at(page, "/items").iter().map(|object| Revision { object: object.clone() }));
        text_at(page, "/metadata/continue").clone_into(&mut from);
        if from.is_empty() {
            return Ok(found);
        }
    }
}

/// The one that is meant.
pub fn find<'a>(all: &'a [Revision], id: &Id, wanted: &Wanted) -> Result<&'a Revision, CliError> {
    let latest = all
        .last()
        .ok_or_else(|| CliError::NotDone(format!("there is no Secret {id}, and no version of one is kept")))?;
    let of_latest = || all.iter().filter(|one| one.secret_uid() == latest.secret_uid());
    let found = match wanted {
        Wanted::Number(number) => of_latest().find(|one| one.number() == *number),
        Wanted::Name(name) => all.iter().find(|one| one.name() == name),
    };
    found.ok_or_else(|| {
        let there: Vec<String> = of_latest().map(|one| one.number().to_string()).collect();
        let wanted = match wanted {
            Wanted::Number(number) => number.to_string(),
            Wanted::Name(name) => name.clone(),
        };
        CliError::NotDone(format!("Secret {id} has no revision {wanted}; there are: {}", there.join(", ")))
    })
}

/// A version as the Secret that it was: as the API shows a Secret, without a version of the store.
#[expect(clippy::disallowed_methods, reason = "the values go from one object into another, which is wiped too")]
pub fn as_secret(place: &Place, id: &Id, revision: &Revision) -> Result<Document, CliError> {
    let path = format!("{}/{}", collection(&id.namespace), encode_segment(revision.name()));
    let mut object = place.connection.object(Request::get(path))?;
    let mut metadata = json!({"name": id.name, "namespace": id.namespace});
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret"});
    let fields = object.expose_mut();
    for field in ["labels", "annotations"] {
        if let (Some(map), Some(metadata)) =
            (fields.pointer_mut("/metadata").and_then(|all| all.get_mut(field)), metadata.as_object_mut())
        {
            metadata.insert(field.to_owned(), map.take());
        }
    }
    if let Some(secret) = secret.as_object_mut() {
        secret.insert("metadata".to_owned(), metadata);
        for field in ["type", "data"] {
            if let Some(value) = fields.get_mut(field) {
                secret.insert(field.to_owned(), value.take());
            }
        }
    }
    Ok(Document::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Id {
        Id { namespace: "prod".to_owned(), name: "db".to_owned() }
    }

    fn revision(uid: &str, number: u64) -> Revision {
        let name = format!("db.{uid}.{number}");
        Revision { object: json!({"metadata": {"name": name}, "spec": {"revision": number, "secretUID": uid}}) }
    }

    #[test]
    fn a_number_is_that_of_the_last_secret_of_the_name() {
        let all = [revision("aaaaaaaa", 1), revision("aaaaaaaa", 2), revision("bbbbbbbb", 1)];
        let name = |wanted: &str| {
            find(&all, &id(), &Wanted::parse(wanted).unwrap())
                .map(|one| one.name().to_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(name("1"), Ok("db.bbbbbbbb.1".to_owned()));
        assert_eq!(name("db.aaaaaaaa.2"), Ok("db.aaaaaaaa.2".to_owned()));
        assert_eq!(name("2"), Err("Secret prod/db has no revision 2; there are: 1".to_owned()));
        let none = find(&[], &id(), &Wanted::Number(1)).unwrap_err().to_string();
        assert_eq!(none, "there is no Secret prod/db, and no version of one is kept");
        assert!(Wanted::parse("0").is_err() && Wanted::parse("one").is_err() && Wanted::parse("-1").is_err());
    }
}
