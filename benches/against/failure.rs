//! What goes wrong in a bench: text for the one who runs it.

use std::error::Error;
use std::time::Duration;

/// A result whose error is a text to print.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Waits for `what`, but not for ever.
pub async fn within<T>(limit: Duration, what: &str, wait: impl Future<Output = T>) -> Outcome<T> {
    match tokio::time::timeout(limit, wait).await {
        Ok(done) => Ok(done),
        Err(_) => Err(format!("{what}: nothing within {} s", limit.as_secs()).into()),
    }
}
