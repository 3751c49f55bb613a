//! How long a backup of a large home takes, by the command that people use, while writes go on; and how long it takes to check.

use std::path::Path;
use std::time::Instant;

use crate::failure::Outcome;
use crate::figures::{Spread, millis};
use crate::fill;
use crate::http::Endpoint;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

const FILLING_CONNECTIONS: usize = 256;
const NAMESPACE: &str = "default";

/// Makes a backup of each size, in turns without writes and with them.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let Some(program) = &servers.program else {
        for count in &options.scale {
            rows.push(
                Row::own(format!("backup of {count} Secrets"), Unit::Millis, None).with_target(Target::below(5e3)),
            );
        }
        return Ok(());
    };
    for count in &options.scale {
        let objects = Objects::new(NAMESPACE, 6);
        let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
        fill::fill(&server, &objects, *count, FILLING_CONNECTIONS).await?;
        let served = strongroom::served(server.home());
        let (server_home, key) = (shown(&served)?, served.join("keys/unlock.key"));
        let folder = tempfile::tempdir_in(options.folder())?;
        let (mut quiet, mut busy, mut checks, mut written) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..options.rounds {
            let file = folder.path().join(format!("{round}.strongroom-backup"));
            let path = shown(&file)?;
            quiet.push(timed(program, &["create", "-o", path, "--home", server_home]).await?);
            checks.push(timed(program, &["verify", path, "--key-file", shown(&key)?]).await?);
            std::fs::remove_file(&file)?;
            let (done, until) = tokio::sync::watch::channel(false);
            let writing =
                tokio::task::spawn_local(write_until(server.api.endpoint.clone(), u64::try_from(round)?, until));
            let took = timed(program, &["create", "-o", path, "--home", server_home]).await?;
            done.send_replace(true);
            let count = writing.await??;
            written.push(crate::figures::number(count) / took * 1e3);
            busy.push(took);
            std::fs::remove_file(&file)?;
        }
        let median = |rounds: &[f64]| Spread::of(rounds.iter().copied()).map(|spread| spread.median);
        let title = format!("backup of {count} Secrets");
        let target = Target::below(5e3);
        rows.push(Row::own(title.clone(), Unit::Millis, median(&quiet)).with_target(target));
        rows.push(Row::own(format!("{title}, beside writes"), Unit::Millis, median(&busy)).with_target(target));
        rows.push(Row::own(format!("{title}: writes meanwhile, one connection"), Unit::PerSecond, median(&written)));
        rows.push(Row::own(format!("{title}: verify"), Unit::Millis, median(&checks)));
        server.stop().await?;
    }
    Ok(())
}

fn shown(path: &Path) -> Outcome<&str> {
    Ok(path.to_str().ok_or("the folder's name is not text")?)
}

/// Milliseconds that `strongroom backup …` takes.
async fn timed(program: &Path, arguments: &[&str]) -> Outcome<f64> {
    let begun = Instant::now();
    let output = tokio::process::Command::new(program).arg("backup").args(arguments).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(millis(begun.elapsed()))
}

/// Creates Secrets one after the other; how many.
async fn write_until(endpoint: Endpoint, round: u64, until: tokio::sync::watch::Receiver<bool>) -> Result<u64, String> {
    let mut connection = endpoint.connect().await.map_err(|error| error.to_string())?;
    let mut request = Vec::new();
    let mut count = 0;
    while !*until.borrow() {
        request.clear();
        let body = format!(r#"{{"metadata":{{"name":"beside-{round}-{count}"}},"data":{{"value":"dg=="}}}}"#);
        endpoint.write_request("POST", &format!("/api/v1/namespaces/{NAMESPACE}/secrets"), &body, &mut request);
        let answer = connection.exchange(&request).await.map_err(|error| error.to_string())?;
        if answer.code != 201 {
            return Err(format!("a create beside a backup was answered with {}", answer.code));
        }
        count += 1;
    }
    connection.close().await;
    Ok(count)
}
