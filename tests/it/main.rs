//! The integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod architecture;
mod audit;
mod authorization;
mod backup;
mod bad_input;
mod cli;
mod cluster;
mod deliver;
mod export;
mod faults;
mod history;
mod identities;
mod import;
mod issue;
mod keys;
mod kms;
mod leaks;
mod readme;
mod scan;
mod sealing;
mod server;
mod support;
mod sync;
mod tamper;
mod verify;
mod wire;
