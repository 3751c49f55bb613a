//! What every request passes before the API sees it: the host name it came by, and how busy its sender is.
//!
//! The host name is checked because of DNS rebinding: a web page that resolves its own name to this machine would
//! otherwise speak to the server from a victim's browser. On a Unix socket it is not: no browser reaches one.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::api;
use crate::pki::Names;

use super::connections::Connection;
use super::gate::{Gate, Held};
use super::unread::Held as HeldBody;

/// Answered as long as the process lives.
const ALWAYS: [&str; 2] = ["/livez", api::SEAL_STATUS_PATH];

/// Headers that a browser obeys; set where the API has not set them itself.
const BROWSER_HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Host names that are answered to.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// These, and these addresses.
    pub names: Names,
    /// And every other address: a server that listens on all of them cannot know which. No name resolves to an
    /// address literal, so none can be rebound.
    pub any_address: bool,
}

/// What the edge needs to know.
#[derive(Clone)]
pub struct Edge {
    hosts: Arc<Hosts>,
    requests_per_address: u32,
    gate: Gate,
}

impl Edge {
    /// Rules for one server.
    #[must_use]
    pub fn new(hosts: Hosts, requests_per_address: u32, gate: Gate) -> Self {
        Self { hosts: Arc::new(hosts), requests_per_address, gate }
    }
}

impl Hosts {
    /// Whether `authority` (`HOST`, `HOST:PORT`, `[IPv6]:PORT`) names this server. The port may be a forwarded one.
    #[must_use]
    pub fn allows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        self.names.contains(host) || (self.any_address && host.parse::<IpAddr>().is_ok())
    }
}

/// The middleware. Expects an [`Edge`] among the application's data.
pub async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<Held>>, Error> {
    // Whoever is refused has a body, too.
    let held = HeldBody::of(&mut request);
    let response = judge(request, next).await;
    if let Some(held) = held {
        held.answered();
    }
    response
}

async fn judge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<Held>>, Error> {
    let Some(edge) = request.app_data::<web::Data<Edge>>().cloned() else {
        return Ok(refuse(request, StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the server is misconfigured"));
    };
    let is_by_unix_socket = request.conn_data::<Connection>().is_some_and(Connection::is_by_unix_socket);
    if !is_by_unix_socket && !is_for_us(&request, &edge.hosts) {
        return Ok(refuse(
            request,
            StatusCode::MISDIRECTED_REQUEST,
            "",
            "this server does not answer to the host name of the request: start it with --advertise HOST:PORT",
        ));
    }
    let inside = edge.gate.enter();
    if inside.is_none() && !ALWAYS.contains(&request.path()) {
        let mut response = refuse(
            request,
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "the server is being sealed or unsealed, please try again later",
        );
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        return Ok(response);
    }
    let begun = request.conn_data::<Connection>().map(|connection| connection.begin_request(edge.requests_per_address));
    if let Some(None) = begun {
        let text = if is_by_unix_socket {
            "too many requests of this user are in progress, please try again later"
        } else {
            "too many requests of this address are in progress, please try again later"
        };
        return Ok(refuse(request, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", text));
    }
    let mut response = next.call(request).await?;
    // A watch goes on after its response has begun; it is the API that bounds those.
    drop(begun);
    set_browser_headers(response.headers_mut());
    Ok(response.map_body(|_, body| Held::new(body.boxed(), inside)).map_into_left_body())
}

fn is_for_us(request: &ServiceRequest, hosts: &Hosts) -> bool {
    let mut given = request.headers().get_all(header::HOST);
    let (Some(host), None) = (given.next(), given.next()) else { return false };
    let uri_agrees = request.uri().authority().is_none_or(|authority| hosts.allows(authority.as_str()));
    uri_agrees && host.to_str().is_ok_and(|host| hosts.allows(host))
}

fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        rest.split_once(']')?
    } else {
        authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon))
    };
    let port_is_fine = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    (port_is_fine && !host.is_empty()).then_some(host)
}

fn set_browser_headers(headers: &mut HeaderMap) {
    for (name, value) in BROWSER_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// A `metav1.Status`, as every error of the Kubernetes API is.
fn refuse<B>(
    request: ServiceRequest,
    code: StatusCode,
    reason: &'static str,
    message: &'static str,
) -> ServiceResponse<EitherBody<B>> {
    let is_temporary = code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE;
    let mut status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
    });
    if let Some(fields) = status.as_object_mut() {
        if !reason.is_empty() {
            fields.insert("reason".to_owned(), reason.into());
        }
        if is_temporary {
            fields.insert("details".to_owned(), serde_json::json!({ "retryAfterSeconds": 1 }));
        }
        fields.insert("code".to_owned(), code.as_u16().into());
    }
    let mut builder = HttpResponse::build(code);
    if is_temporary {
        builder.insert_header((header::RETRY_AFTER, "1"));
    }
    let mut response = builder.json(status);
    set_browser_headers(response.headers_mut());
    request.into_response(response).map_into_right_body()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_given_are_answered_to() {
        let mut names = Names::local();
        names.add("vault.example");
        let narrow = Hosts { names, any_address: false };
        for ours in ["localhost", "LOCALHOST:9443", "127.0.0.1:8443", "[::1]:8443", "[::1]", "vault.example:1"] {
            assert!(narrow.allows(ours), "{ours}");
        }
        for other in [
            "",
            ":8443",
            "evil.example",
            "10.0.0.1:8443",
            "localhost:",
            "localhost:x",
            "[::1",
            "a@localhost",
            "localhost.evil.example",
            "::1",
            "localhost:1:2",
            "[localhost]x",
        ] {
            assert!(!narrow.allows(other), "{other}");
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_answers_to_every_address_but_not_to_every_name() {
        let wide = Hosts { names: Names::local(), any_address: true };
        assert!(wide.allows("192.168.1.5:8443") && wide.allows("[2001:db8::1]:8443"));
        assert!(!wide.allows("evil.example:8443"));
    }
}
