//! What Swagger UI is made of, and that it stays within this server.

use actix_web::body::MessageBody as _;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::{CONTENT_SECURITY_POLICY, DOCUMENT, FILES, page, route, unpacked};
use crate::api::openapi;

fn text(path: &str) -> String {
    let page = page(path, true, None, None).unwrap();
    assert_eq!(page.code, 200, "{path}");
    String::from_utf8(page.body.to_vec()).unwrap()
}

#[test]
fn the_page_loads_its_own_files_and_no_others() {
    let index = text("/swagger-ui/");
    assert_eq!(index, text("/swagger-ui/index.html"));
    let mut files = Vec::new();
    for (attribute, text) in index.match_indices("src=\"").chain(index.match_indices("href=\"")) {
        let link = &index[attribute + text.len()..];
        files.push(link.split('"').next().unwrap().trim_start_matches("./"));
    }
    assert_eq!(files.len(), 7);
    for file in files {
        let served = page(&format!("/swagger-ui/{file}"), true, None, None).unwrap();
        assert!(served.code == 200 && !served.body.is_empty(), "{file}");
    }
    assert!(!index.contains("://"));
}

#[test]
fn no_script_stands_in_the_page_itself() {
    let index = text("/swagger-ui/");
    let scripts: Vec<&str> = index.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 3);
    for script in scripts {
        let (attributes, rest) = script.split_once('>').unwrap();
        assert!(attributes.contains("src="), "{attributes}");
        assert_eq!(rest.split("</script>").next().unwrap().trim(), "");
    }
    for event in ["onload=", "onclick=", "onerror=", "javascript:"] {
        assert!(!index.contains(event), "{event}");
    }
}

#[test]
fn it_shows_our_document_asks_no_validator_and_keeps_no_token() {
    let script = text("/swagger-ui/swagger-initializer.js");
    for setting in [
        r#""url": "/openapi/strongroom.json""#,
        r#""validatorUrl": "none""#,
        r#""persistAuthorization": false"#,
        r#""queryConfigEnabled": false"#,
        r#""withCredentials": false"#,
        r##""dom_id": "#swagger-ui""##,
    ] {
        assert!(script.contains(setting), "{setting} is not in {script}");
    }
    assert!(!script.contains("{{") && !script.contains("petstore"), "{script}");
}

#[test]
fn the_document_is_the_one_that_is_made_here() {
    let page = page(DOCUMENT, true, None, None).unwrap();
    assert_eq!((page.code, page.content_type), (200, "application/json"));
    assert_eq!(page.body, openapi::json());
}

#[test]
fn every_file_is_served_compressed_or_not_and_known_again_by_its_tag() {
    for path in FILES.iter().map(|(name, _)| format!("/swagger-ui/{name}")).chain([DOCUMENT.to_owned()]) {
        let value = |page: &super::Page, name: header::HeaderName| {
            page.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone())
        };
        let packed = page(&path, true, Some("deflate, gzip;q=1.0"), None).unwrap();
        let plain = page(&path, true, Some("gzip;q=0"), None).unwrap();
        assert_eq!((packed.code, plain.code), (200, 200), "{path}");
        assert_eq!(value(&packed, header::CONTENT_ENCODING).as_deref(), Some("gzip"));
        assert_eq!(value(&plain, header::CONTENT_ENCODING), None);
        assert!(!plain.body.is_empty() && plain.body == unpacked(packed.body), "{path}");
        let tag = value(&packed, header::ETAG).unwrap();
        assert_eq!(value(&plain, header::ETAG).as_ref(), Some(&tag));
        for known in [tag.as_str(), "*"] {
            let again = page(&path, true, None, Some(known)).unwrap();
            assert_eq!((again.code, again.body.len(), value(&again, header::ETAG).as_ref()), (304, 0, Some(&tag)));
        }
        assert_eq!(page(&path, true, None, Some("\"other\"")).unwrap().code, 200);
    }
}

#[test]
fn the_folder_s_name_alone_leads_into_it() {
    let page = page("/swagger-ui", true, None, None).unwrap();
    assert_eq!((page.code, page.headers), (301, vec![(header::LOCATION, "/swagger-ui/".to_owned())]));
}

#[test]
fn nothing_is_there_when_it_is_off_and_nothing_else_when_it_is_on() {
    for path in ["/swagger-ui", "/swagger-ui/", "/swagger-ui/swagger-ui.css", DOCUMENT] {
        assert_eq!(page(path, false, None, None).unwrap().code, 404, "{path}");
    }
    for path in [
        "/swagger-ui/nope",
        "/swagger-ui/../x",
        "/swagger-ui/oauth2-redirect.html",
        "/swagger-ui//openapi/strongroom.json",
    ] {
        assert_eq!(page(path, true, None, None).unwrap().code, 404, "{path}");
    }
    for path in ["/", "/swagger-uix", "/openapi/v3", "/openapi/strongroom.json/", "/api"] {
        assert!(page(path, true, None, None).is_none(), "{path}");
    }
}

#[test]
fn browsers_are_told_to_keep_to_this_server() {
    let headers = HeaderMap::new();
    for path in ["/swagger-ui/", "/swagger-ui", "/swagger-ui/nope", DOCUMENT] {
        let response = route("GET", path, &headers, true).unwrap();
        let value = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(value("content-security-policy"), CONTENT_SECURITY_POLICY, "{path}");
        assert_eq!((value("x-content-type-options"), value("x-frame-options")), ("nosniff", "DENY"));
        assert_eq!((value("referrer-policy"), value("cache-control")), ("no-referrer", "no-cache"));
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
    }
    assert!(CONTENT_SECURITY_POLICY.contains("script-src 'self';") && !CONTENT_SECURITY_POLICY.contains("unsafe-eval"));
}

#[test]
fn only_reading_is_answered_here() {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
    let response = route("GET", "/swagger-ui/", &headers, true).unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers().get("content-type").unwrap().to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    let body = response.into_body().try_into_bytes().ok().unwrap();
    assert!(unpacked(&body).starts_with(b"<!-- HTML for static distribution bundle build -->"));
    assert!(route("HEAD", "/swagger-ui/", &headers, true).is_some());
    assert!(route("POST", "/swagger-ui/", &headers, true).is_none());
}
