//! What others verify with: of service accounts' tokens the issuer's discovery document and its keys, of workloads'
//! certificates the authority.

use serde_json::json;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};

use super::{Access, Listed, answered, get, plain_text};
use crate::api::openapi::DISCOVERY;
use crate::api::openapi::parameters::pretty;
use crate::api::openapi::responses::{Shared, response};
use crate::api::openapi::schemas::{Components, reference, text};
use crate::api::workload_authority;
use crate::auth;

const ISSUER: &str = "https://strongroom.example.com:8443";

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    // A public key of RFC 7517, appendix A.1.
    let key = json!({
        "use": "sig", "kty": "EC", "kid": "3d2f9c0b7a614e58c1d07f92ab36e485", "crv": "P-256", "alg": "ES256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    });
    let mut all: Vec<Listed> = [
        (
            "/.well-known/openid-configuration",
            "getOpenIDConfiguration",
            "Who signs service accounts' tokens (OpenID Connect Discovery)",
            "OpenIDConfiguration",
            auth::openid_configuration(ISSUER),
        ),
        (
            "/openid/v1/jwks",
            "getJSONWebKeySet",
            "The keys that service accounts' tokens are verified with",
            "JSONWebKeySet",
            json!({"keys": [key]}),
        ),
    ]
    .into_iter()
    .map(|(path, id, summary, schema, example)| {
        let answer = answered(schema, id, example, "The document.", shared);
        let operation = get(path, id, DISCOVERY, summary, Access::Granted, shared);
        let operation = shared.parameter(operation, pretty()).response("200", answer);
        (path.to_owned(), HttpMethod::Get, operation.build())
    })
    .collect();
    all.push(workload_authority(shared));
    all
}

fn workload_authority(shared: &mut Shared) -> Listed {
    let (path, id) = (workload_authority::PATH, "getWorkloadAuthority");
    let example = "-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n";
    let answer = response("The certificate, PEM.", [("text/plain", plain_text(example))]);
    let summary = "The certificate by which workloads know each other: who signs where a Certificate names no issuer";
    let operation = get(path, id, DISCOVERY, summary, Access::Granted, shared).response("200", answer);
    (path.to_owned(), HttpMethod::Get, operation.build())
}

/// Adds the schemas of the answers.
pub fn add_schemas(all: &mut Components) {
    let texts = || ArrayBuilder::new().items(text());
    let object = |fields: &[(&str, &str)]| {
        fields.iter().fold(ObjectBuilder::new(), |object, (name, description)| {
            object.property(*name, text().description(Some(*description))).required(*name)
        })
    };
    let lists = ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"];
    let configuration = object(&[("issuer", "`iss` of the tokens: `--issuer`."), ("jwks_uri", "Where the keys are.")]);
    let configuration = lists
        .into_iter()
        .fold(configuration, |object, name| object.property(name, texts()).required(name))
        .description(Some("OpenID Connect Discovery 1.0, section 3, as far as a verifier needs it."));
    all.insert("OpenIDConfiguration".to_owned(), configuration.into());
    let key = object(&[
        ("kid", "Which of the keys it is; tokens name it."),
        ("kty", "`EC`."),
        ("crv", "`P-256`."),
        ("alg", "`ES256`."),
        ("use", "`sig`."),
        ("x", "Coordinate, base64url."),
        ("y", "Coordinate, base64url."),
    ]);
    all.insert("JSONWebKey".to_owned(), key.description(Some("A public key (RFC 7517).")).into());
    let set = ObjectBuilder::new()
        .property("keys", ArrayBuilder::new().items(reference("JSONWebKey")))
        .required("keys")
        .description(Some("Public keys (RFC 7517)."));
    all.insert("JSONWebKeySet".to_owned(), set.into());
}
