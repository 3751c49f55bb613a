//! Swagger UI at `/swagger-ui/`, and the document that it shows: static files that are part of the program.
//!
//! Both are there for everyone while Swagger UI is switched on, and for no one else. Nothing is fetched from
//! elsewhere, neither when the program is built nor by the page, which the browser is told as well; the page keeps no
//! token beyond its own life.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock, OnceLock};

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use utoipa_swagger_ui::Config;

use super::{openapi, respond};

/// Where the page is.
const ROOT: &str = "/swagger-ui/";
const INDEX: &str = "/swagger-ui/index.html";
/// Where the document is.
pub const DOCUMENT: &str = "/openapi/strongroom.json";

/// The files that the page is made of; the others that come with Swagger UI are for other uses of it.
const FILES: &[(&str, &str)] = &[
    ("favicon-16x16.png", "image/png"),
    ("favicon-32x32.png", "image/png"),
    ("index.css", "text/css; charset=utf-8"),
    ("index.html", "text/html; charset=utf-8"),
    ("swagger-initializer.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-standalone-preset.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
];

/// Scripts, styles and requests of this server only, and no other page around it. Swagger UI sets styles inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Kept, but asked for again each time: another version of the program has other files under the same names.
    (header::CACHE_CONTROL, "no-cache"),
];

/// An answer that does not depend on who asks.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub code: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static [u8],
    /// Headers besides those that every page has.
    pub headers: Vec<(HeaderName, String)>,
}

/// The answer to a GET or HEAD of a path of Swagger UI's; `None` for every other path. To be asked before a token is
/// looked at.
pub fn route(method: &str, path: &str, headers: &HeaderMap, is_on: bool) -> Option<HttpResponse> {
    if !matches!(method, "GET" | "HEAD") {
        return None;
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    page(path, is_on, text(header::ACCEPT_ENCODING), text(header::IF_NONE_MATCH)).map(answer)
}

fn answer(page: Page) -> HttpResponse {
    let status = StatusCode::from_u16(page.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, BoxBody::new(Bytes::from_static(page.body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in page.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// As [`route`], of what it depends on alone.
pub fn page(path: &str, is_on: bool, accept_encoding: Option<&str>, if_none_match: Option<&str>) -> Option<Page> {
    let (is_folder, is_inside) = (path == ROOT.trim_end_matches('/'), path.starts_with(ROOT));
    if !is_folder && !is_inside && path != DOCUMENT {
        return None;
    }
    if !is_on {
        return Some(not_found());
    }
    if is_folder {
        return Some(redirect());
    }
    let asset = ASSETS.get(if path == ROOT { INDEX } else { path });
    let Some(asset) = asset else { return Some(not_found()) };
    let mut headers = vec![(header::ETAG, format!("W/{}", asset.tag)), (header::VARY, "Accept-Encoding".to_owned())];
    let (code, body) = if respond::knows(if_none_match, &asset.tag) {
        (304, &[][..])
    } else if accepts_gzip(accept_encoding) {
        headers.push((header::CONTENT_ENCODING, "gzip".to_owned()));
        (200, asset.gzipped.as_ref())
    } else {
        // Kept, so that many who ask for it at once do not take memory each.
        (200, asset.plain.get_or_init(|| unpacked(&asset.gzipped)).as_slice())
    };
    Some(Page { code, content_type: asset.content_type, body, headers })
}

fn not_found() -> Page {
    Page { code: 404, content_type: "text/plain; charset=utf-8", body: b"404 page not found\n", headers: Vec::new() }
}

/// The page names its files relative to itself.
fn redirect() -> Page {
    let headers = vec![(header::LOCATION, ROOT.to_owned())];
    Page { code: 301, content_type: "text/plain; charset=utf-8", body: &[], headers }
}

/// A file, compressed as browsers take it.
struct Asset {
    content_type: &'static str,
    gzipped: Cow<'static, [u8]>,
    /// For clients that do not take it compressed; made when the first of them asks.
    plain: OnceLock<Vec<u8>>,
    /// The entity tag in its quotes. It is sent as a weak one, since it stands for both encodings.
    tag: String,
}

impl Asset {
    fn new(content_type: &'static str, gzipped: Cow<'static, [u8]>) -> Self {
        let tag = format!("\"{}\"", hex::encode(Sha256::digest(&gzipped)));
        Self { content_type, gzipped, plain: OnceLock::new(), tag }
    }
}

/// By their paths.
static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let config = Arc::new(
        Config::from(DOCUMENT)
            .use_base_layout()
            .validator_url("none")
            .persist_authorization(false)
            .query_config_enabled(false)
            .with_credentials(false)
            .doc_expansion("none")
            .filter(true),
    );
    let files = FILES.iter().filter_map(|(name, content_type)| {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&config)).ok()??;
        let gzipped = if file.gzpipped { file.bytes } else { Cow::Owned(packed(&file.bytes)) };
        Some((format!("{ROOT}{name}"), Asset::new(content_type, gzipped)))
    });
    let document = Asset::new("application/json", Cow::Owned(packed(openapi::json())));
    files.chain([(DOCUMENT.to_owned(), document)]).collect()
});

/// Writing to memory does not fail.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// What was packed when the program was built, or above.
fn unpacked(gzipped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = flate2::read::GzDecoder::new(gzipped).read_to_end(&mut bytes);
    bytes
}

fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.unwrap_or_default().split(',').any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = parameters.trim().strip_prefix("q=").is_some_and(|quality| quality.parse() == Ok(0.0));
        matches!(name.trim(), "gzip" | "*") && !is_refused
    })
}

#[cfg(test)]
#[path = "swagger_ui_tests.rs"]
mod tests;
