//! What the tests stand on: the real binary in a home of its own, and genuine clients.

pub mod app;
pub mod kubectl;
