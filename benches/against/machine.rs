//! The machine, and what its kernel says of processes and of the disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Outcome;
use crate::figures::{Latencies, number};

/// The kernel's unit of processor time in `/proc` (`USER_HZ`, 100 on every Linux that Rust's std runs on).
const TICK: Duration = Duration::from_millis(10);
/// Faster than any disk: the folder lies in memory.
const NO_DISK_MILLIS: f64 = 0.02;

/// A thousand watchers are more files than a shell usually allows.
pub fn allow_many_files() -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// A few lines that make figures comparable.
pub fn facts(folder: &Path) -> Outcome<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = line_of(Path::new("/proc/cpuinfo"), "model name").unwrap_or_default();
    let memory = line_of(Path::new("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let flush = flush_millis(folder, 4096, 50)?;
    let mut text = format!(
        "{cores} cores ({processor}), memory {memory}, Linux {}; fdatasync of a 4 KiB append in {}: {flush:.3} ms",
        kernel.trim(),
        folder.display()
    );
    if flush < NO_DISK_MILLIS {
        text.push_str("\nWARNING: this folder is not on a disk, or its disk does not wait: name another with --dir");
    }
    Ok(text)
}

/// Median time of an append with `fdatasync`, in milliseconds.
pub fn flush_millis(folder: &Path, bytes: usize, times: usize) -> Outcome<f64> {
    let path = folder.join("flush.tmp");
    let mut file = File::create(&path)?;
    let content = vec![0x5a_u8; bytes];
    let mut all = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        file.write_all(&content)?;
        file.sync_data()?;
        all.push(begun.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(Latencies::of(all).at(500))
}

/// Memory a process has now, in bytes.
pub fn resident_bytes(process: u32) -> Outcome<f64> {
    status_bytes(process, "VmRSS")
}

/// The most it ever had.
pub fn peak_bytes(process: u32) -> Outcome<f64> {
    status_bytes(process, "VmHWM")
}

/// Processor time of all threads of a process, or of this one.
pub fn processor_time(process: Option<u32>) -> Outcome<Duration> {
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, a name in brackets, may hold anything; user and system time are the 14th and 15th.
    let (_, fields) = text.rsplit_once(')').ok_or("a process without status")?;
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

/// Processor time of every process there is; what interrupts took belongs to none.
pub fn processor_time_of_all() -> Outcome<Duration> {
    let line = line_of(Path::new("/proc/stat"), "cpu ").ok_or("a kernel without processor times")?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks = line.split_whitespace().enumerate().filter(|(column, _)| matches!(column, 0..=2 | 7));
    let ticks: u32 = ticks.filter_map(|(_, ticks)| ticks.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

/// The version of a crate that was compiled in.
pub fn locked_version(name: &str) -> &'static str {
    let wanted = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = include_str!("../../Cargo.lock").split_once(&wanted).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}

fn status_bytes(process: u32, field: &str) -> Outcome<f64> {
    let line = line_of(Path::new(&format!("/proc/{process}/status")), field).ok_or("a process without memory")?;
    let kibibytes: u64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(number(kibibytes) * 1024.0)
}

fn line_of(path: &Path, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.strip_prefix(field)?.trim_start_matches(['\t', ' ', ':']).trim().to_owned())
}
