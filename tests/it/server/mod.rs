//! The process as the person who runs it meets it: starts, stops, unlocking, the administrator's token.

mod audit;
mod client_certificates;
mod process;
mod rotate;
mod start;
mod stop;
mod unix_socket;
mod unlock;
