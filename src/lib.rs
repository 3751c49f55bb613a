//! Strongroom: Kubernetes Secrets without the cluster.
//!
//! The binary is a thin `main`; everything is here, in layers that only ever name the ones below them.

pub mod clock;
pub mod crypto;
pub mod sensitive;
