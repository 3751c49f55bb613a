//! `strongroom secret rollback`: gives a Secret the values of a former version. It is a change like any other, and makes a revision of
//! its own; a Secret that was deleted is made anew.
//!
//! What it never does: write over a change that somebody else made meanwhile, or touch labels and annotations of a Secret that is
//! there.

use clap::Args;
use serde_json::Value;

use super::place::{Id, SecretName, metadata};
use super::revision::{self, Revision, Wanted};
use super::writing::WriteOptions;
use crate::cli::connection::body;
use crate::cli::output::{print, text_at};
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::{Document, wipe};

/// Options of `secret rollback`.
#[derive(Args)]
pub struct Rollback {
    /// The Secret; it may be deleted
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// Number of the revision whose values it gets, or its name
    #[arg(value_name = "REVISION", value_parser = Wanted::parse)]
    revision: Wanted,
    #[command(flatten)]
    write: WriteOptions,
}

impl Rollback {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let id = place.id(&self.secret);
        let all = revision::all(&place, &id)?;
        let wanted = revision::find(&all, &id, &self.revision)?;
        if wanted.is_current() {
            return Err(CliError::NotDone(format!("revision {} of Secret {id} is the current one", wanted.number())));
        }
        let label = wanted.number();
        let former = revision::as_secret(&place, &id, wanted)?;
        let there = match place.get(&id) {
            Ok(there) => Some(there),
            Err(CliError::Server(failure)) if failure.code == 404 => None,
            Err(error) => return Err(error),
        };
        let was_deleted = there.is_none();
        let request = match there {
            None => Request::post(id.collection(), body(&former)),
            Some(mut there) => {
                if !restore(&mut there, former, &id)? {
                    print(&format!("secret {id}: nothing changes, it has the values of revision {label}\n"));
                    return Ok(());
                }
                // With the version that was read: whoever was faster is not undone.
                Request::put(id.path(), body(&there))
            }
        };
        let made = place.connection.object(self.write.request(request))?;
        if self.write.dry_run {
            print(&format!("secret {id} would get the values of revision {label} (dry run)\n"));
            return Ok(());
        }
        let uid = metadata(&made, "uid");
        let now = revision::all(&place, &id)?;
        let number = now.iter().rev().find(|one| one.is_current() && one.secret_uid() == uid).map(Revision::number);
        let number = number.map(|number| format!("; that is revision {number}")).unwrap_or_default();
        let done = if was_deleted { "made anew from" } else { "rolled back to" };
        print(&format!("secret {id} {done} revision {label}{number}\n"));
        Ok(())
    }
}

/// Puts the values of `former` into the Secret that is there; whether that changes anything.
#[expect(clippy::disallowed_methods, reason = "the values go into the object that is sent")]
fn restore(there: &mut Document, mut former: Document, id: &Id) -> Result<bool, CliError> {
    let (is, was) = (text_at(there.expose(), "/type"), text_at(former.expose(), "/type"));
    if is != was {
        return Err(CliError::NotDone(format!(
            "Secret {id} has the type {is}, and that revision the type {was}: a type cannot be changed; delete the Secret, then roll back"
        )));
    }
    let data = former.expose_mut().get_mut("data").map(Value::take);
    let Some(fields) = there.expose_mut().as_object_mut() else { return Ok(false) };
    if fields.get("data") == data.as_ref() {
        if let Some(mut data) = data {
            wipe(&mut data);
        }
        return Ok(false);
    }
    let replaced = match data {
        Some(data) => fields.insert("data".to_owned(), data),
        None => fields.shift_remove("data"),
    };
    if let Some(mut replaced) = replaced {
        wipe(&mut replaced);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn values_are_replaced_and_nothing_else_is() {
        let id = Id { namespace: "n".to_owned(), name: "a".to_owned() };
        let mut there = Document::new(json!({
            "metadata": {"name": "a", "resourceVersion": "7", "labels": {"now": "yes"}}, "type": "Opaque",
            "data": {"k": "bmV3", "added": "eA=="},
        }));
        let former = |kind: &str| {
            Document::new(
                json!({"metadata": {"labels": {"now": "no"}}, "type": kind, "data": {"k": "b2xk", "gone": ""}}),
            )
        };
        assert!(restore(&mut there, former("Opaque"), &id).unwrap());
        let expected = json!({
            "metadata": {"name": "a", "resourceVersion": "7", "labels": {"now": "yes"}}, "type": "Opaque",
            "data": {"k": "b2xk", "gone": ""},
        });
        assert_eq!(*there.expose(), expected);
        assert!(!restore(&mut there, former("Opaque"), &id).unwrap(), "once more changes nothing");
        let refused = restore(&mut there, former("example.com/x"), &id).unwrap_err().to_string();
        assert!(refused.contains("a type cannot be changed"), "{refused}");
        let none = Document::new(json!({"type": "Opaque"}));
        assert!(restore(&mut there, none, &id).unwrap());
        assert_eq!(there.expose().get("data"), None);
    }
}
