//! Secrets in a genuine cluster: every policy, and everything that can be in the way.

mod access;
mod events;
mod job;
mod policies;
mod site;
mod trouble;
