//! What is posted to be answered and not to be stored: a review, a token request, a password.
//!
//! What it never does: look at what was asked before the caller may still ask it, now that the body is here.

use actix_web::web;

use super::negotiate::{self, Offer};
use super::respond::Style;
use super::status::Failure;
use super::{Context, body};
use crate::model::kinds::Kind;
use crate::model::validation::options::{self, WriteOptions};
use crate::rbac::Permit;
use crate::sensitive::Document;

/// A decoded request for something.
pub struct Asked {
    /// What was posted.
    pub document: Document,
    /// The options of the query.
    pub options: WriteOptions,
    /// How the answer is to look.
    pub style: Style,
    /// What the client is to be told besides.
    pub warnings: Vec<String>,
}

impl Asked {
    /// Reads the body of a POST, which is of `kind`.
    pub async fn read(
        context: &Context<'_>,
        permit: &Permit,
        kind: &'static Kind,
        payload: web::Payload,
    ) -> Result<Self, Failure> {
        let agreed =
            negotiate::negotiate(context.accept(), Offer::Plain).map_err(|error| Failure::not_acceptable(error.0))?;
        let style = Style { encoding: agreed.encoding, ..context.style.clone() };
        let format = body::format(context.header("content-type"))?;
        let options = options::create(context.query.pairs()).map_err(Failure::options)?;
        let bytes = body::read(payload).await?;
        context.confirm(permit)?;
        let decoded = body::decode_object(kind, format, &bytes)?;
        let mut warnings = Vec::new();
        body::judge(kind, options.field_validation, decoded.findings, &mut warnings)?;
        Ok(Self { document: decoded.document, options, style, warnings })
    }
}
