//! Endpoints of our own under `/strongroom/v1/`: the administrator's credential.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::status::Failure;
use super::{Context, body, respond};
use crate::audit;
use crate::rbac::Permit;

/// Makes a new administrator's token, stores its hash, writes `admin.kubeconfig`, and ends the former token.
/// Takes the audit record of it. Supplied by `server`, which owns the home.
pub type RotateAdmin = Arc<dyn Fn(Vec<u8>) -> Pin<Box<dyn Future<Output = Result<(), &'static str>>>> + Send + Sync>;

pub(super) async fn route(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<Option<HttpResponse>, Failure> {
    if context.http.path() != "/strongroom/v1/admin/rotate" {
        return Ok(None);
    }
    if context.http.method() != actix_web::http::Method::POST {
        return Err(Failure::method_not_allowed());
    }
    body::read(payload).await?;
    let record = audit::mutation(&context.facts, permit.user(), permit.attributes(), "", "", 200);
    (context.state.rotate_admin)(record).await.map_err(Failure::unavailable)?;
    // The token goes into the kubeconfig of the home and nowhere else.
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "message": "the administrator's token was replaced; admin.kubeconfig in the server's home holds the new one",
    });
    Ok(Some(respond::value(&context.style, 200, &body, &[])))
}
