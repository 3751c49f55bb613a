//! Fills a server with objects, and checks that what it then returns is what was written.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::Outcome;
use crate::objects::Objects;
use crate::servers::Server;

/// Bodies of other objects may differ by this: the digits of a revision.
const DIGITS: usize = 8;
/// Objects that are read back.
const SAMPLES: u64 = 64;

/// Creates objects 0 to `count` over `connections`. The time it took.
pub async fn fill(server: &Server, objects: &Objects, count: u64, connections: usize) -> Outcome<Duration> {
    let begun = Instant::now();
    let next = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (api, objects, next) = (server.api.clone(), objects.clone(), Rc::clone(&next));
        tasks.push(tokio::task::spawn_local(async move {
            let mut connection = api.endpoint.connect().await.map_err(|error| error.to_string())?;
            let mut request = Vec::new();
            loop {
                let at = next.get();
                if at >= count {
                    break;
                }
                next.set(at + 1);
                if count >= 50_000 && at % (count / 10) == 0 {
                    eprintln!("  {at} of {count} written after {:.1} s", begun.elapsed().as_secs_f64());
                }
                request.clear();
                api.create(&objects, at, &mut request);
                let answer = connection.exchange(&request).await.map_err(|error| error.to_string())?;
                if answer.code != api.created() {
                    return Err(format!("{}: a create was answered with {}", api.product, answer.code));
                }
            }
            connection.close().await;
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(begun.elapsed())
}

/// Reads a sample of objects 0 to `count` back and compares the values. The sizes of bodies to expect.
pub async fn check(server: &Server, objects: &Objects, count: u64) -> Outcome<RangeInclusive<usize>> {
    let (mut least, mut most) = (usize::MAX, 0);
    let api = &server.api;
    let mut connection = api.endpoint.connect().await?;
    for sample in 0..SAMPLES.min(count) {
        // The first, the last and those between, evenly.
        let at = sample * (count - 1) / (SAMPLES - 1).max(1);
        let mut request = Vec::new();
        api.read(objects, at, &mut request);
        let (code, body) = connection.fetch(&request).await?;
        if code != 200 {
            return Err(format!("{}: a read was answered with {code}", api.product).into());
        }
        let body_value: serde_json::Value = serde_json::from_slice(&body)?;
        let value = body_value.pointer(api.value_pointer()).and_then(serde_json::Value::as_str).unwrap_or_default();
        let same = STANDARD.decode(value)? == STANDARD.decode(objects.value(at))?;
        if !same {
            return Err(format!("{}: a value that was written is not the one that is read", api.product).into());
        }
        (least, most) = (least.min(body.len()), most.max(body.len()));
    }
    connection.close().await;
    Ok(least.saturating_sub(DIGITS)..=most + DIGITS)
}
