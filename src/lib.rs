//! Strongroom: Kubernetes Secrets without the cluster.
//!
//! Everything is here, in layers that only ever name the ones below them.

pub mod api;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod deliver;
pub mod export;
mod failpoint;
pub mod generate;
pub mod import;
pub mod issue;
pub mod keys;
pub mod kms;
pub mod kube_client;
pub mod kubeconfig;
pub mod model;
pub mod objects;
pub mod pki;
pub mod rbac;
pub mod scan;
pub mod sensitive;
pub mod server;
pub mod store;
pub mod sync;
pub mod terminal;
