//! What the operating system says of a server's process.

use std::fs;

use super::app::App;

/// Open descriptors.
pub fn descriptors(app: &App) -> usize {
    fs::read_dir(format!("/proc/{}/fd", app.pid())).unwrap().count()
}

/// Memory that it has, in KiB.
pub fn resident_kib(app: &App) -> u64 {
    field(app, "VmRSS:")
}

/// The most address space that it has had, in KiB.
pub fn peak_address_space_kib(app: &App) -> u64 {
    field(app, "VmPeak:")
}

fn field(app: &App, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
