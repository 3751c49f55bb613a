//! The Kubernetes API as genuine clients use it.

mod kubectl;
