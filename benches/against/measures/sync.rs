//! Secrets into a genuine kube-apiserver: how fast from nothing, against an apply loop of as many connections with no store
//! behind it; what a pass costs that finds nothing to do, against one list; how soon a change is there.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Outcome, within};
use crate::figures::{Latencies, Spread, number};
use crate::fill;
use crate::http::{Endpoint, find};
use crate::machine::{peak_bytes, resident_bytes};
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::cluster::Cluster;
use crate::servers::{Server, Servers, home, strongroom};

use super::make_namespace;

/// As many as a pass has in flight.
const CONNECTIONS: usize = 16;
const FILLING_CONNECTIONS: usize = 64;
const NAMESPACE: &str = "synced";
const PATIENCE: Duration = Duration::from_mins(10);
const VALUE_BYTES: usize = 256;
/// Passes that find nothing to do.
const IDLE_PASSES: usize = 5;
/// Targets of a change, and changes.
const TARGETS: usize = 100;
const CHANGES: usize = 30;
const PAGE: usize = 500;

pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let Some(program) = &servers.program else { return Ok(()) };
    let cluster = Cluster::start(home(&options.folder())?).await?;
    let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
    prepare(&server, &cluster).await?;
    let objects = Objects::new(NAMESPACE, 7).with_value_bytes(VALUE_BYTES);
    let count = options.synced;
    fill::fill(&server, &objects, count, FILLING_CONNECTIONS).await?;
    let resting = resident_bytes(server.id())?;

    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let before = apply_loop(&cluster, &objects, count, &format!("plain-{round}-a")).await?;
        let name = format!("sync-{round}");
        ours.push(synced(&server, &cluster, count, &name).await?);
        let after = apply_loop(&cluster, &objects, count, &format!("plain-{round}-b")).await?;
        plain.push(f64::midpoint(before, after));
        println!("  round {round}: plain {before:.0}/s, ours {:.0}/s, plain {after:.0}/s", ours.last().unwrap_or(&0.0));
        if round + 1 < options.rounds {
            remove(&server, &name).await?;
        }
    }
    let median = |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.median);
    rows.push(
        Row::own(format!("{count} Secrets into a kube-apiserver, from nothing"), Unit::PerSecond, median(&ours))
            .with_ratio(Spread::of_ratios(&ours, &plain))
            .with_target(Target::at_least(0.75).of_own("a plain apply loop")),
    );
    let peak = peak_bytes(server.id())?;
    rows.push(Row::own("memory that this took, at its peak", Unit::Megabytes, Some(peak - resting)));

    let name = format!("sync-{}", options.rounds - 1);
    let (mut passes, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..IDLE_PASSES {
        lists.push(list(&cluster, &name).await?);
        passes.push(idle_pass(&server, &name).await?);
    }
    rows.push(
        Row::own(format!("a pass over {count} unchanged targets"), Unit::Millis, median(&passes))
            .with_ratio(Spread::of_ratios(&passes, &lists))
            .with_target(Target::at_most(5.0).of_own("one full list")),
    );
    remove(&server, &name).await?;

    let latencies = latencies(&server, &cluster).await?;
    for (per_mille, name, bound) in [(500, "p50", 2_000.0), (990, "p99", 5_000.0)] {
        rows.push(
            Row::own(format!("from a write to {TARGETS} targets, {name}"), Unit::Millis, Some(latencies.at(per_mille)))
                .with_target(Target::below(bound)),
        );
    }
    Ok(())
}

/// A Cluster, and a service account that may read everything.
async fn prepare(server: &Server, cluster: &Cluster) -> Outcome<()> {
    let endpoint = &server.api.endpoint;
    make_namespace(endpoint, NAMESPACE).await?;
    let kubeconfig = STANDARD.encode(cluster.kubeconfig());
    let account = r#"{"kind":"ServiceAccount","name":"syncer","namespace":"synced"}"#;
    for (path, body) in [
        (
            "/api/v1/namespaces/default/secrets",
            format!(r#"{{"metadata":{{"name":"cluster"}},"data":{{"kubeconfig":"{kubeconfig}"}}}}"#),
        ),
        (
            "/apis/strongroom.dev/v1alpha1/clusters",
            r#"{"metadata":{"name":"c"},"spec":{"kubeconfigSecretRef":{"namespace":"default","name":"cluster"},"qps":10000,"burst":10000}}"#.to_owned(),
        ),
        ("/api/v1/namespaces/synced/serviceaccounts", r#"{"metadata":{"name":"syncer"}}"#.to_owned()),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            format!(
                r#"{{"metadata":{{"name":"syncer"}},"subjects":[{account}],"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}}}"#
            ),
        ),
    ] {
        expect(endpoint, "POST", path, &body, 201).await?;
    }
    Ok(())
}

/// Applies the objects to a new namespace as anybody would who has them in hand; objects a second.
async fn apply_loop(cluster: &Cluster, objects: &Objects, count: u64, namespace: &str) -> Outcome<f64> {
    make_namespace(&cluster.endpoint, namespace).await?;
    let begun = Instant::now();
    let next = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (endpoint, objects, next) = (cluster.endpoint.clone(), objects.clone(), Rc::clone(&next));
        let namespace = namespace.to_owned();
        tasks.push(tokio::task::spawn_local(async move {
            let mut connection = endpoint.connect().await.map_err(|error| error.to_string())?;
            let mut request = Vec::new();
            loop {
                let at = next.get();
                if at >= count {
                    return Ok::<_, String>(());
                }
                next.set(at + 1);
                let (name, value) = (objects.name(at), objects.value(at));
                // With labels and annotations as many and as long as ours.
                let body = format!(
                    r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"{namespace}","labels":{{"app.kubernetes.io/managed-by":"the-loop","loop.example.com/uid":"0b0f5d6c-3b0d-4c51-9d7e-0f2a6c0b7a11"}},"annotations":{{"loop.example.com/from":"synced/{name}","loop.example.com/rv":"12345","loop.example.com/sync":"synced/some-name","loop.example.com/mac":"v1:00000000:0000000000000000000000000000000000000000000000000000000000000000"}}}},"data":{{"value":"{value}"}},"type":"Opaque"}}"#
                );
                let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}?fieldManager=loop");
                request.clear();
                endpoint.write_typed("PATCH", &path, "application/apply-patch+yaml", &body, &mut request);
                let answer = connection.exchange(&request).await.map_err(|error| error.to_string())?;
                if answer.code != 201 {
                    return Err(format!("an apply was answered with {}", answer.code));
                }
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(number(count) / begun.elapsed().as_secs_f64())
}

/// Makes a SecretSync of all Secrets into a new namespace, until all are there; objects a second.
async fn synced(server: &Server, cluster: &Cluster, count: u64, name: &str) -> Outcome<f64> {
    make_namespace(&cluster.endpoint, name).await?;
    let body = format!(
        r#"{{"metadata":{{"name":"{name}"}},"spec":{{"serviceAccountName":"syncer","source":{{"selector":{{}}}},"targets":[{{"cluster":"c","namespaces":{{"names":["{name}"]}}}}],"limits":{{"maxTargets":{count}}}}}}}"#
    );
    let endpoint = &server.api.endpoint;
    let begun = Instant::now();
    expect(endpoint, "POST", &path(""), &body, 201).await?;
    let ready = format!("\"targetsReady\":{count},");
    wait_for_status(endpoint, name, ready.as_bytes()).await?;
    Ok(number(count) / begun.elapsed().as_secs_f64())
}

async fn wait_for_status(endpoint: &Endpoint, name: &str, wanted: &[u8]) -> Outcome<()> {
    let mut connection = endpoint.connect().await?;
    within(PATIENCE, "a pass", async {
        loop {
            let (_, body) = connection.fetch(&endpoint.request("GET", &path(name), "")).await?;
            if find(&body, wanted).is_some() {
                return Outcome::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await?
}

/// Asks for a pass that finds nothing to do; milliseconds.
async fn idle_pass(server: &Server, name: &str) -> Outcome<f64> {
    let endpoint = &server.api.endpoint;
    let mut connection = endpoint.connect().await?;
    let at = format!("{:?}", Instant::now());
    let at = at.chars().filter(char::is_ascii_digit).collect::<String>();
    let body = format!(r#"{{"metadata":{{"annotations":{{"strongroom.dev/requested-at":"{at}"}}}}}}"#);
    let mut request = Vec::new();
    endpoint.write_typed("PATCH", &path(name), "application/merge-patch+json", &body, &mut request);
    let passes = passes(endpoint).await?;
    let begun = Instant::now();
    connection.exchange(&request).await?;
    within(PATIENCE, "a pass", async {
        while self::passes(endpoint).await? == passes {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Outcome::Ok(())
    })
    .await??;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Passes so far.
async fn passes(endpoint: &Endpoint) -> Outcome<u64> {
    let (_, body) = endpoint.once("GET", "/metrics", "").await?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("strongroom_sync_passes_total ")?.parse().ok());
    line.ok_or_else(|| "no count of passes".into())
}

/// Lists a namespace whole, page by page, as a pass does; milliseconds.
async fn list(cluster: &Cluster, namespace: &str) -> Outcome<f64> {
    let mut connection = cluster.endpoint.connect().await?;
    let begun = Instant::now();
    let mut token = String::new();
    loop {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?limit={PAGE}&continue={token}");
        let (code, body) = connection.fetch(&cluster.endpoint.request("GET", &path, "")).await?;
        if code != 200 {
            return Err(format!("a list was answered with {code}").into());
        }
        let head: serde_json::Value = serde_json::from_slice(&body)?;
        match head.pointer("/metadata/continue").and_then(serde_json::Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(begun.elapsed().as_secs_f64() * 1e3),
        }
    }
}

/// Changes one Secret again and again, and looks when each of its targets has the change.
async fn latencies(server: &Server, cluster: &Cluster) -> Outcome<Latencies> {
    let endpoint = &server.api.endpoint;
    let names: Vec<String> = (0..TARGETS).map(|at| format!("latency-{at}")).collect();
    for name in &names {
        make_namespace(&cluster.endpoint, name).await?;
    }
    let secrets = "/api/v1/namespaces/synced/secrets";
    expect(endpoint, "POST", secrets, r#"{"metadata":{"name":"changing"},"stringData":{"k":"first"}}"#, 201).await?;
    let body = format!(
        r#"{{"metadata":{{"name":"latency"}},"spec":{{"serviceAccountName":"syncer","source":{{"names":["changing"]}},"targets":[{{"cluster":"c","namespaces":{{"names":{}}}}}]}}}}"#,
        serde_json::to_string(&names)?
    );
    expect(endpoint, "POST", &path(""), &body, 201).await?;
    wait_for_status(endpoint, "latency", format!("\"targetsReady\":{TARGETS},").as_bytes()).await?;
    let mut watch = cluster.endpoint.connect().await?;
    let watched = "/api/v1/secrets?watch=true&fieldSelector=metadata.name=changing";
    if watch.begin(&cluster.endpoint.request("GET", watched, "")).await? != 200 {
        return Err("the cluster cannot be watched".into());
    }
    let mut all = Vec::new();
    let mut rest = Vec::new();
    for change in 0..CHANGES {
        let value = STANDARD.encode(format!("change-{change:06}"));
        let body = format!(r#"{{"metadata":{{"name":"changing"}},"data":{{"k":"{value}"}}}}"#);
        expect(endpoint, "PUT", &format!("{secrets}/changing"), &body, 200).await?;
        let acknowledged = Instant::now();
        let mut seen = 0;
        within(PATIENCE, "a change", async {
            while seen < TARGETS {
                let piece = watch.piece().await?.ok_or("the watch ended")?;
                rest.extend_from_slice(piece);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if find(&line, value.as_bytes()).is_some() {
                        seen += 1;
                        all.push(acknowledged.elapsed());
                    }
                }
            }
            Outcome::Ok(())
        })
        .await??;
    }
    Ok(Latencies::of(all))
}

/// Ends a SecretSync; what it has written stays.
async fn remove(server: &Server, name: &str) -> Outcome<()> {
    expect(&server.api.endpoint, "DELETE", &path(name), "", 200).await
}

fn path(name: &str) -> String {
    let collection = format!("/apis/strongroom.dev/v1alpha1/namespaces/{NAMESPACE}/secretsyncs");
    if name.is_empty() { collection } else { format!("{collection}/{name}") }
}

async fn expect(endpoint: &Endpoint, method: &str, path: &str, body: &str, expected: u16) -> Outcome<()> {
    match endpoint.once(method, path, body).await? {
        (code, _) if code == expected => Ok(()),
        (code, answer) => {
            let text: String = String::from_utf8_lossy(&answer).chars().take(400).collect();
            Err(format!("{method} {path} was answered with {code}: {text}").into())
        }
    }
}
