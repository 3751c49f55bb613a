//! `GET /strongroom/v1/workload-authority`: the certificate by which workloads know each other, PEM. The room's authority is
//! made when it is first asked for.
//!
//! What it never does: show anything of its key.

use actix_web::HttpResponse;

use super::status::Failure;
use super::{Context, respond};
use crate::pki::encode_certificate;

/// Where it is.
pub const PATH: &str = "/strongroom/v1/workload-authority";

pub(super) async fn get(context: &Context<'_>) -> Result<HttpResponse, Failure> {
    let authority = (context.state.home.issuing.authority)().await;
    let authority = authority.ok_or_else(|| Failure::unavailable("the room's authority cannot be read or made now"))?;
    Ok(respond::text(&context.style, 200, &encode_certificate(&authority.certificate)))
}
