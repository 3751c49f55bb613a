//! What it costs that reads are recorded: the same reads of two servers, one of which does not record them.

use crate::failure::Outcome;
use crate::figures::Spread;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Comparable, OBJECTS, Servers, home, strongroom};

use super::read_at_random;

/// GET of a Secret of 1 KiB over many connections, recorded and not, in turns.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let many = options.connections;
    let title = format!("GET of 1 KiB, {many} connections, recorded");
    let (mut with, mut without) = (Vec::new(), Vec::new());
    if let Some(program) = &servers.program {
        let recorded = start(options, program, "on").await?;
        let unrecorded = start(options, program, "off").await?;
        for round in 0..options.rounds {
            // Who goes first changes, so that neither has the warmer machine.
            let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
            for is_recorded in turns {
                let server = if is_recorded { &recorded } else { &unrecorded };
                let figures = read_at_random(options, server, many).await?;
                if let Some(why) = figures.first_error {
                    return Err(why.into());
                }
                if is_recorded { with.push(figures.per_second) } else { without.push(figures.per_second) }
            }
        }
    }
    let median = Spread::of(with.iter().copied()).map(|spread| spread.median);
    rows.push(
        Row::own(title, Unit::PerSecond, median)
            .with_ratio(Spread::of_ratios(&with, &without))
            .with_target(Target::at_least(0.85).of_own("not recorded")),
    );
    Ok(())
}

async fn start(options: &Options, program: &std::path::Path, reads: &str) -> Outcome<Comparable> {
    let home = home(&options.folder())?;
    let (server, _) = strongroom::start_with(program, home, None, &["--audit-reads", reads]).await?;
    Comparable::fill(server, Objects::new("default", 1), OBJECTS).await
}
