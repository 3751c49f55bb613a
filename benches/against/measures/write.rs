//! Durable creates of Secrets of 1 KiB, beside what the disk needs to make anything durable.

use std::cell::{Cell, RefCell};

use crate::failure::Outcome;
use crate::figures::Spread;
use crate::load::Figures;
use crate::machine;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Rounds, Row, Target, Unit};
use crate::servers::{Product, Servers};

use super::{create, in_turns};

/// Appends that are flushed before each turn.
const FLUSHES: usize = 60;
const SMALL_APPEND_BYTES: usize = 4 * 1024;
const LARGE_APPEND_BYTES: usize = 100 * 1024;
/// Allowed besides two flushes, in milliseconds.
const ALLOWANCE: f64 = 0.3;

/// Medians of appends with `fdatasync`, round by round, in milliseconds.
#[derive(Default)]
struct Flushes {
    small: RefCell<Vec<f64>>,
    large: RefCell<Vec<f64>>,
}

/// POST of a new Secret, PUT of a new KV entry.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let objects = Objects::new("default", 2);
    let flushes = Flushes::default();
    // Names go on from turn to turn: every create is of a new object.
    let next = [Cell::new(0), Cell::new(0)];
    let turns = async |title: &str, connections: usize| {
        in_turns(options, servers, title, async |server| {
            let counter = match server.server.api.product {
                Product::Bare => return Ok(None),
                Product::Strongroom => {
                    flushes.measure(server.server.home())?;
                    &next[0]
                }
                Product::OpenBao => &next[1],
            };
            let (figures, after) = create(options, server, &objects, connections, counter.get()).await?;
            counter.set(after);
            Ok(Some(figures))
        })
        .await
    };

    let rate = |f: &Figures| f.per_second;
    let many = format!("durable create of 1 KiB, {} connections", options.connections);
    let rounds = turns(&many, options.connections).await?;
    rows.push(Row::compared(&many, Unit::PerSecond, &rounds, rate, Some(Target::at_least(10.0).of_openbao())));
    rows.push(Row::compared(&many, Unit::PerSecond, &rounds, rate, Some(Target::at_least(12_000.0))));
    rows.push(Row::compared(format!("{many}: p50"), Unit::Millis, &rounds, |f| f.p50, None));
    rows.push(Row::compared(format!("{many}: p99"), Unit::Millis, &rounds, |f| f.p99, None));

    flushes.forget();
    let one = "durable create of 1 KiB, one connection";
    let rounds = turns(one, 1).await?;
    rows.push(Row::compared(one, Unit::PerSecond, &rounds, rate, Some(Target::at_least(3.0).of_openbao())));
    rows.push(beside_flushes(one, &rounds, "4 KiB", "(2 fdatasync of 4 KiB + 0.3 ms)", &flushes.small.borrow()));
    rows.push(beside_flushes(one, &rounds, "100 KiB", "(2 fdatasync of 100 KiB + 0.3 ms)", &flushes.large.borrow()));
    Ok(())
}

fn beside_flushes(title: &str, rounds: &Rounds, size: &str, limit: &'static str, flushes: &[f64]) -> Row {
    let ours: Vec<f64> = rounds.ours.iter().map(|f| f.p50).collect();
    let limits: Vec<f64> = flushes.iter().map(|flush| 2.0 * flush + ALLOWANCE).collect();
    let flush = Spread::of(flushes.iter().copied()).map_or_else(String::new, |f| format!(" = {:.3} ms", f.median));
    let measure = format!("{title}: p50 (fdatasync of {size}{flush})");
    Row::compared(measure, Unit::Millis, rounds, |f| f.p50, Some(Target::at_most(1.0).of_own(limit)))
        .with_ratio(Spread::of_ratios(&ours, &limits))
}

impl Flushes {
    fn measure(&self, folder: &std::path::Path) -> Outcome<()> {
        self.small.borrow_mut().push(machine::flush_millis(folder, SMALL_APPEND_BYTES, FLUSHES)?);
        self.large.borrow_mut().push(machine::flush_millis(folder, LARGE_APPEND_BYTES, FLUSHES)?);
        Ok(())
    }

    fn forget(&self) {
        self.small.borrow_mut().clear();
        self.large.borrow_mut().clear();
    }
}
