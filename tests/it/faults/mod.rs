//! Faults: crashes, damage, full disks, wrong clocks, clients that mean harm. Nothing that was acknowledged is lost, nothing is
//! served that was not written, nothing panics, and what can go on does so without hands.
//!
//! CI takes a sample of what there is to try; `just faults` tries all of it.

mod clients;
mod clock;
mod disk;
pub mod failpoints;
mod frames;
mod home;
mod kills;
mod memory;
mod model;
mod pages;
