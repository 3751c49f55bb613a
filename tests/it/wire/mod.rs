//! The Kubernetes API as genuine clients use it.

mod dependents;
mod kubectl;
mod python_client;
mod schemathesis;
mod swagger_ui;
