//! An empty home: how fast it is made, how fast it is there again, how much memory it takes.

use std::time::Duration;

use crate::failure::Outcome;
use crate::figures::{Spread, millis};
use crate::machine;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

const HOMES: usize = 5;
/// Until whatever a start leaves to the background is done.
const SETTLE: Duration = Duration::from_millis(500);

/// Start to ready, memory, stop.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let (mut first, mut again, mut resident, mut stops) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    if let Some(program) = &servers.program {
        for _ in 0..HOMES {
            let (server, took) = strongroom::start(program, home(&options.folder())?, None).await?;
            first.push(millis(took));
            let address = server.api.endpoint.address;
            let (home, _) = server.stop().await?;
            let (server, took) = strongroom::start(program, home, Some(address)).await?;
            again.push(millis(took));
            tokio::time::sleep(SETTLE).await;
            resident.push(machine::resident_bytes(server.id())?);
            stops.push(millis(server.stop().await?.1));
        }
    }
    let median = |values: Vec<f64>| Spread::of(values).map(|spread| spread.median);
    let quick = Target::below(150.0);
    rows.push(Row::own("empty home: first start to ready", Unit::Millis, median(first)).with_target(quick));
    rows.push(Row::own("empty home: start to ready", Unit::Millis, median(again)).with_target(quick));
    rows.push(Row::own("empty home: memory", Unit::Megabytes, median(resident)).with_target(Target::below(30e6)));
    rows.push(Row::own("empty home: SIGTERM to end", Unit::Millis, median(stops)));
    Ok(())
}
