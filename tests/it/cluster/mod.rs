//! A genuine cluster: what the tests of sync stand on, what it takes of our exports, and that it answers as we do.

mod definitions;
mod deploy;
mod exports;
mod harness;
mod rival;
