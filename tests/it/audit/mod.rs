//! What is recorded of requests: one event each, before the answer, and nothing that is secret.

mod records;
