//! One public document at an https address, within bounds of length and time.

use std::error::Error;
use std::time::Duration;

use futures_util::io::AsyncReadExt as _;
use kube::{Client, Config};

const USER_AGENT: &str = concat!("strongroom/", env!("CARGO_PKG_VERSION"));

/// Where a document is, and how much of it is wanted.
pub struct Document<'a> {
    /// An https URL.
    pub url: &'a str,
    /// The certificates to trust, DER; `None` leaves it to the operating system.
    pub trust: Option<Vec<Vec<u8>>>,
    /// No more than this is read; what is longer comes cut off.
    pub max_bytes: u64,
    /// For all of it: name, connection, answer.
    pub timeout: Duration,
}

/// Fetches a document without credentials. The error is for the log. Call inside a tokio runtime.
pub async fn fetch_document(document: Document<'_>) -> Result<Vec<u8>, String> {
    let timeout = document.timeout;
    let fetched = tokio::time::timeout(timeout, fetch(document)).await;
    fetched.unwrap_or_else(|_| Err(format!("there was no answer within {} s", timeout.as_secs())))
}

async fn fetch(document: Document<'_>) -> Result<Vec<u8>, String> {
    let url: http::Uri = document.url.parse().map_err(reason)?;
    let (Some("https"), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("the address is no https URL".to_owned());
    };
    let server = http::Uri::builder().scheme("https").authority(authority.clone()).path_and_query("/");
    let mut config = Config::new(server.build().map_err(reason)?);
    config.root_cert = document.trust;
    config.connect_timeout = Some(document.timeout);
    config.default_retry = false;
    let client = Client::try_from(config).map_err(reason)?;
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = http::Request::get(path).header("accept", "application/json").header("user-agent", USER_AGENT);
    let answer = client.request_stream(request.body(Vec::new()).map_err(reason)?).await;
    let answer = answer.map_err(|error| match error {
        kube::Error::Api(status) => format!("the server answered {}", status.code),
        error => reason(error),
    })?;
    let mut bytes = Vec::new();
    Box::pin(answer).take(document.max_bytes).read_to_end(&mut bytes).await.map_err(reason)?;
    Ok(bytes)
}

/// What is at the bottom of an error: those above it only say that there was one.
fn reason(error: impl Error) -> String {
    let (mut last, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(url: &str) -> String {
        let document = Document { url, trust: None, max_bytes: 10, timeout: Duration::from_secs(5) };
        fetch_document(document).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_is_not_https_or_not_there_is_an_error_that_says_so() {
        assert_eq!(error("http://127.0.0.1:1/keys").await, "the address is no https URL");
        assert_eq!(error("/keys").await, "the address is no https URL");
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = error(&format!("https://{closed}/keys")).await;
        assert!(error.contains("refused"), "{error}");
    }
}
