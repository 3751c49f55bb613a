//! Who is who: passwords, sessions, tokens, certificates, the Unix socket, other systems' tokens, impersonation,
//! and the command line at a terminal.

mod certificates;
mod impersonation;
mod legacy_tokens;
mod logins;
mod outside;
mod passwords;
mod service_accounts;
mod sessions;
mod site;
mod terminal;
mod tokens;
mod unix_socket;
