//! The Kubernetes API as genuine clients use it.

mod clusters;
mod dependents;
mod events;
mod kubectl;
mod patches;
mod python_client;
mod schemathesis;
mod swagger_ui;
