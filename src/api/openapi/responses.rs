//! What responses share: examples and answers that many operations have, kept once and referred to.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::failures::{self, Case};
use super::schemas::reference;

/// JSON.
pub const JSON: &str = "application/json";
/// YAML.
pub const YAML: &str = "application/yaml";

/// Components that grow while operations are made.
#[derive(Default)]
pub struct Shared {
    examples: BTreeMap<String, Value>,
    parameters: BTreeMap<String, Parameter>,
    responses: BTreeMap<String, Response>,
    /// What the failures among the responses show.
    failures: BTreeMap<String, Vec<Value>>,
}

impl Shared {
    /// The examples.
    pub fn examples(&self) -> impl Iterator<Item = (&str, Example)> {
        self.examples
            .iter()
            .map(|(name, value)| (name.as_str(), ExampleBuilder::new().value(Some(value.clone())).build()))
    }

    /// The parameters that operations refer to.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.parameters.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// The answers that operations refer to.
    pub fn responses(&self) -> impl Iterator<Item = (&str, &Response)> {
        self.responses.iter().map(|(name, response)| (name.as_str(), response))
    }

    /// A body of this schema with its examples, each kept once under its name.
    pub fn content(
        &mut self,
        schema: impl Into<RefOr<Schema>>,
        examples: impl IntoIterator<Item = (String, Value)>,
    ) -> Content {
        let mut content = ContentBuilder::new().schema(Some(schema));
        for (name, value) in examples {
            let reference = Ref::new(format!("#/components/examples/{name}"));
            let short = name.rsplit('.').next().unwrap_or_default().to_owned();
            content = content.examples_from_iter([(short, RefOr::<Example>::Ref(reference))]);
            self.examples.entry(name).or_insert(value);
        }
        content.build()
    }

    /// Adds a parameter to an operation. One of the query that others have in the same words is kept once.
    pub fn parameter(&mut self, operation: OperationBuilder, parameter: Parameter) -> OperationBuilder {
        let name = parameter.name.clone();
        let is_shared = parameter.parameter_in != ParameterIn::Path
            && *self.parameters.entry(name.clone()).or_insert_with(|| parameter.clone()) == parameter;
        if is_shared {
            operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")))
        } else {
            operation.parameter(parameter)
        }
    }

    /// An answer that operations refer to by its name.
    pub fn named(&mut self, name: String, make: impl FnOnce(&mut Self) -> Response) -> RefOr<Response> {
        let reference = Ref::from_response_name(&name);
        if !self.responses.contains_key(&name) {
            let response = make(self);
            self.responses.insert(name, response);
        }
        reference.into()
    }

    /// The answer to something that went wrong. What is the same for every operation is kept once, and so is what is
    /// the same for several of a `family`.
    pub fn failure(&mut self, family: &str, operation_id: &str, code: u16, cases: &[Case]) -> RefOr<Response> {
        let reason = reason(code);
        if same(&failures::general(code), cases) {
            return self.named(reason.to_owned(), |shared| shared.status(reason, code, cases));
        }
        let which: Vec<&str> = cases.iter().map(|(case, _)| *case).collect();
        let name = format!("{family}.{reason}.{}", which.join("-"));
        let bodies = cases.iter().map(|(_, failure)| failure.body.clone()).collect::<Vec<_>>();
        if self.failures.entry(name.clone()).or_insert_with(|| bodies.clone()) != &bodies {
            return self.status(operation_id, code, cases).into();
        }
        self.named(name.clone(), |shared| shared.status(&name, code, cases))
    }

    fn status(&mut self, prefix: &str, code: u16, cases: &[Case]) -> Response {
        let is_delayed = cases.iter().any(|(_, failure)| failure.retry_after_seconds.is_some()) || code == 429;
        let examples = cases.iter().map(|(case, failure)| (format!("{prefix}.{case}"), failure.body.clone()));
        let content = self.content(reference("Status"), examples.collect::<Vec<_>>());
        // The edge answers in JSON before a request is looked at, and keeps no record of it.
        let is_of_the_edge = matches!(code, 421 | 429) && same(&failures::general(code), cases);
        let mut response = ResponseBuilder::new().description(description(code)).content(JSON, content.clone());
        if !is_of_the_edge {
            response = response.content(YAML, content).header_ref("Audit-Id", header("Audit-Id"));
        }
        if is_delayed {
            response = response.header_ref("Retry-After", header("Retry-After"));
        }
        response.build()
    }
}

/// An answer of the API.
pub fn response<'c>(description: &str, contents: impl IntoIterator<Item = (&'c str, Content)>) -> ResponseBuilder {
    let response = ResponseBuilder::new().description(description).header_ref("Audit-Id", header("Audit-Id"));
    contents.into_iter().fold(response, |response, (media_type, content)| response.content(media_type, content))
}

/// The headers of answers.
pub fn headers() -> [(&'static str, Header); 5] {
    let header = |description: &str, example: Value, ty: Type| {
        let schema = ObjectBuilder::new().schema_type(ty);
        HeaderBuilder::new().description(Some(description)).schema(Some(schema)).example(Some(example)).build()
    };
    let audit_id = json!("0d2b6a3e-7c1f-4a58-8e94-3b5d6f708192");
    let warning = json!("299 - \"unknown field \\\"metadata.nmae\\\"\"");
    let file = json!(
        "attachment; filename=\"strongroom-2733dcd8887de431a047554a95e4e157-20260115T093000Z.strongroom-backup\""
    );
    [
        ("Content-Disposition", header("What the file may be called.", file, Type::String)),
        ("Audit-Id", header("Under which audit and log know the request.", audit_id, Type::String)),
        ("ETag", header("Names this content.", json!("\"9F86D081\""), Type::String)),
        ("Retry-After", header("Seconds after which to try again.", json!(1), Type::Integer)),
        ("Warning", header("RFC 7234, one for each thing that the server minds and lets pass.", warning, Type::String)),
    ]
}

/// A reference to a header.
pub fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// Whether two lists of failures say the same.
fn same(one: &[Case], other: &[Case]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.1.body == other.1.body)
}

fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        406 => "NotAcceptable",
        408 => "RequestTimeout",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        421 => "MisdirectedRequest",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "FutureRevision",
        _ => "Failure",
    }
}

fn description(code: u16) -> &'static str {
    match code {
        400 => "The request makes no sense: a body that is none, a parameter that cannot be read.",
        401 => "The token is wrong, expired or revoked. (Without one the request is anonymous.)",
        403 => "Not allowed.",
        404 => "There is no such object, or no such namespace.",
        406 => "Nothing that Accept allows is served.",
        408 => "The body did not arrive in time.",
        409 => "The name is taken, the object has changed, or others own the fields.",
        410 => "The version asked for is no longer kept: list anew.",
        413 => "The body or patch is too large.",
        415 => "The Content-Type is none of those that are taken.",
        421 => "The host name of the request is none of this server's.",
        422 => "The object or an option is not acceptable; `details.causes` says which fields.",
        429 => "Too many requests from this address at a time.",
        500 => "The server failed, or a stored row did not pass authentication.",
        503 => "The store cannot be read or written at the moment.",
        504 => "The version asked for is ahead of the store.",
        _ => "The request failed.",
    }
}
