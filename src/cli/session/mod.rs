//! A person's session at a server: how it begins, is kept alive by refreshing its tokens, and ends.

mod cache;
mod exec;
mod pin;
mod tokens;

pub use cache::{Cache, Locked, SessionKey};
pub use exec::{ExecInfo, exec_credential};
pub use pin::{Pin, pin_of};
pub use tokens::{Tokens, log_in, log_out, refresh, text};
