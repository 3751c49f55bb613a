//! What the tests stand on: the real binary in a home of its own, and genuine clients.

pub mod actors;
pub mod apiserver;
pub mod app;
pub mod browser;
pub mod canary;
pub mod clients;
pub mod dice;
pub mod disk;
pub mod http;
pub mod jwt;
pub mod kms;
pub mod kubectl;
pub mod load;
pub mod operations;
pub mod person;
pub mod played;
pub mod ports;
pub mod process;
pub mod protobuf;
pub mod watch;
