//! Asks a server for Secrets, as anybody would: a `get` of each, under the caller's own rights.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::objects::{Found, ObjectName, Objects, Values};
use crate::kube_client::{Client, ConnectError, Failure, Request, encode_segment};
use crate::sensitive::{Document, SecretBytes};

/// Requests at a time: each takes a connection of its own.
const AT_A_TIME: usize = 8;

/// Why the server could not be asked for all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It answers nobody now, or does not know who asks.
    #[error(transparent)]
    Server(#[from] Failure),
    /// It did not answer with a Secret.
    #[error("the server did not answer with a Secret: is it a Strongroom server?")]
    NoSecret,
}

/// Is told of each answer as it comes, also where there is none for another Secret afterwards.
pub type Witness<'a> = &'a dyn Fn(&ObjectName, &Found);

/// Gets the Secrets. One that is not there, or may not be read, is found to be so; the others are asked for all the same.
pub async fn fetch(client: &Client, names: &BTreeSet<ObjectName>, witness: Witness<'_>) -> Result<Objects, FetchError> {
    let one = async |name: &ObjectName| Ok::<_, FetchError>((name.clone(), get(client, name).await?));
    let mut answers = futures_util::stream::iter(names.iter().map(one)).buffer_unordered(AT_A_TIME);
    let mut objects = Objects::default();
    while let Some(answer) = answers.next().await {
        let (name, found) = answer?;
        witness(&name, &found);
        objects.insert(name, found);
    }
    Ok(objects)
}

async fn get(client: &Client, name: &ObjectName) -> Result<Found, FetchError> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}", encode_segment(&name.namespace), encode_segment(&name.name));
    let answer = client.request(Request::get(path)).await?;
    if answer.code == 200 {
        return read(&answer.body).map(Found::Values).ok_or(FetchError::NoSecret);
    }
    let failure = Failure::read(answer.code, &answer.body, answer.retry_after_seconds);
    match failure.code {
        404 if !failure.is_unknown_path() => Ok(Found::Absent),
        403 => Ok(Found::Refused(failure.to_string().replace('\n', " "))),
        500 if failure.reason == "IntegrityFailure" => Ok(Found::Refused(failure.to_string())),
        _ => Err(failure.into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "values move from the answer into secrets of their own")]
fn read(body: &SecretBytes) -> Option<Values> {
    let secret = Document::new(serde_json::from_slice(body.expose()).ok()?);
    let secret = secret.expose();
    if secret.get("kind")? != "Secret" {
        return None;
    }
    let data = match secret.get("data") {
        None | Some(Value::Null) => Some(std::collections::BTreeMap::new()),
        Some(data) => data.as_object()?.iter().map(|(key, value)| Some((key.clone(), decode(value)?))).collect(),
    };
    let text = |pointer: &str| secret.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = format!("{}/{}", text("/metadata/uid"), text("/metadata/resourceVersion"));
    Some(Values { version, data: data?, binary_data: std::collections::BTreeMap::new() })
}

/// A value of `data`. What is null is empty, as Kubernetes reads it.
pub(super) fn decode(value: &Value) -> Option<SecretBytes> {
    match value {
        Value::Null => Some(SecretBytes::new(Vec::new())),
        Value::String(text) => STANDARD.decode(text).ok().map(SecretBytes::new),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it read")]
    fn an_answer_is_read_as_values_and_a_version() {
        let body =
            br#"{"kind":"Secret","metadata":{"uid":"u","resourceVersion":"7"},"data":{"a":"AAE=","b":"","c":null}}"#;
        let read = read(&SecretBytes::new(body.to_vec())).unwrap();
        assert_eq!(read.version, "u/7");
        assert_eq!(read.data["a"].expose(), [0, 1]);
        assert!(read.data["b"].is_empty() && read.data["c"].is_empty());
        for body in [
            r#"{"kind":"ConfigMap"}"#,
            "{}",
            "x",
            r#"{"kind":"Secret","data":{"a":"!"}}"#,
            r#"{"kind":"Secret","data":[1]}"#,
        ] {
            assert!(super::read(&SecretBytes::new(body.as_bytes().to_vec())).is_none(), "{body}");
        }
        assert!(super::read(&SecretBytes::new(br#"{"kind":"Secret"}"#.to_vec())).unwrap().data.is_empty());
    }
}
