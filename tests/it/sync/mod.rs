//! Secrets in a genuine cluster: every policy, and everything that can be in the way.

mod access;
mod below_a_path;
mod events;
mod job;
mod policies;
mod restart;
mod sealed;
mod site;
mod trouble;
