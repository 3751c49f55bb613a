//! Exports: many Secrets as one file of manifests.

use std::time::Instant;

use crate::failure::Outcome;
use crate::figures::{Spread, length};
use crate::fill;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

use super::make_namespace;

const NAMESPACE: &str = "exported";
const ROUNDS: usize = 5;
const FILLING_CONNECTIONS: usize = 64;
const PATH: &str = "/apis/strongroom.dev/v1alpha1/namespaces/exported/secretexports";
const BODY: &str = r#"{"spec":{"selector":{},"format":"yaml"}}"#;

/// All Secrets of a namespace to YAML over one connection, by the length of the answer.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let count = options.listed;
    let mut rates = Vec::new();
    if let Some(program) = &servers.program {
        let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
        let endpoint = &server.api.endpoint;
        make_namespace(endpoint, NAMESPACE).await?;
        fill::fill(&server, &Objects::new(NAMESPACE, 3), count, FILLING_CONNECTIONS).await?;
        let mut connection = endpoint.connect().await?;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let answer = connection.exchange(&endpoint.request("POST", PATH, BODY)).await?;
            if answer.code != 201 {
                return Err(format!("an export was answered with {}", answer.code).into());
            }
            rates.push(length(answer.body_bytes) / begun.elapsed().as_secs_f64());
        }
    }
    let median = Spread::of(rates.iter().copied()).map(|spread| spread.median);
    rows.push(
        Row::own(format!("export of {count} Secrets to YAML"), Unit::MegabytesPerSecond, median)
            .with_target(Target::at_least(50e6)),
    );
    Ok(())
}
