//! Sealing and unsealing under load, and again and again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{SEAL, SECRETS, key, seal, state, unseal};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const WRITERS: usize = 4;
const CYCLES_UNDER_LOAD: usize = 6;
const CYCLES: usize = 50;
/// Until the allocator, the pools and the caches have what they keep.
const CYCLES_BEFORE: usize = 10;

#[test]
fn no_acknowledged_write_is_lost_and_no_probe_fails_while_a_server_is_sealed_under_load() {
    let app = App::start();
    let done = AtomicBool::new(false);
    let (app_of, is_done) = (&app, &done);
    let written: Vec<(String, String)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(app_of, &format!("writer-{writer}"), is_done)))
            .collect();
        let probe = scope.spawn(|| {
            let mut probes = 0_u32;
            while !done.load(Ordering::Relaxed) {
                // New connections wait where they have to: none is refused.
                let answer = Client::anonymous(&app).send("GET", "/livez", &[], b"");
                if let Ok(answer) = answer {
                    assert_eq!(answer.status, 200);
                    probes += 1;
                }
            }
            probes
        });
        let ended = Ended(is_done);
        for _ in 0..CYCLES_UNDER_LOAD {
            std::thread::sleep(Duration::from_millis(150));
            Client::admin(&app).send("POST", SEAL, &[], b"").unwrap().ok();
            super::wait_until_sealed(&app);
            unseal(&app);
        }
        drop(ended);
        assert!(probe.join().unwrap() > 50);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(written.len() > WRITERS * CYCLES_UNDER_LOAD, "{}", written.len());
    let listed = Client::admin(&app).get(SECRETS).ok().json();
    let there: BTreeMap<&str, &Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["metadata"]["name"].as_str().unwrap(), item))
        .collect();
    for (name, revision) in &written {
        assert_eq!(there[name.as_str()]["metadata"]["resourceVersion"], revision.as_str(), "{name}");
    }
    assert_eq!(Client::admin(&app).get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
}

/// Ends the load, also where the test fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes one Secret after the other; names and revisions of those that were acknowledged.
fn write(app: &App, prefix: &str, done: &AtomicBool) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    let mut client = Client::admin(app);
    for number in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{prefix}-{number}");
        let body = json!({"metadata": {"name": name}, "stringData": {"k": name}}).to_string();
        match client.send("POST", SECRETS, &[("Content-Type", "application/json")], body.as_bytes()) {
            Ok(answer) if answer.status == 201 => {
                let revision = answer.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
                acknowledged.push((name, revision));
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            // The connection ended with the application that it led to.
            Err(_) => client = Client::admin(app),
        }
    }
    acknowledged
}

#[test]
#[cfg(target_os = "linux")]
fn sealing_again_and_again_leaves_nothing_behind() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for number in 0..200 {
        let secret = json!({"metadata": {"name": format!("s-{number}")}, "stringData": {"k": "v".repeat(2000)}});
        admin.json("POST", SECRETS, &secret).ok();
    }
    let body = json!({"key": key(app.home())});
    let cycle = || {
        Client::admin(&app).get(SECRETS).ok();
        Client::admin(&app).send("POST", SEAL, &[], b"").unwrap().ok();
        super::wait_until_sealed(&app);
        Client::anonymous(&app).json("POST", super::UNSEAL, &body).ok();
        assert!(eventually(super::LIMIT, || (state(&app) == "ready").then_some(())).is_some(), "{}", app.log());
    };
    (0..CYCLES_BEFORE).for_each(|_| cycle());
    let before = Held::settled(app.pid(), None);
    (0..CYCLES).for_each(|_| cycle());
    let after = Held::settled(app.pid(), Some(&before));
    println!("{before:?}\n{after:?}");
    assert!(after.files <= before.files, "{before:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert!(after.memory_kib <= before.memory_kib + 16 * 1024, "{before:?} {after:?}");
    // And while it is sealed it holds less than while it is open.
    seal(&app);
    let sealed = Held::settled(app.pid(), Some(&before));
    assert!(sealed.files < before.files && sealed.threads < before.threads, "{before:?} {sealed:?}");
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    files: usize,
    threads: usize,
    memory_kib: usize,
}

impl Held {
    fn of(pid: u32) -> Self {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory_kib = memory.trim().trim_end_matches(" kB").parse().unwrap();
        Self { files: count("fd"), threads: count("task"), memory_kib }
    }

    /// Once no connection is left, and no thread that waits for work to come. As little as `before`, if it comes to that.
    fn settled(pid: u32, before: Option<&Self>) -> Self {
        let mut last = Self::of(pid);
        let _ = eventually(Duration::from_secs(15), || {
            let former = std::mem::replace(&mut last, Self::of(pid));
            match before {
                Some(before) => (last.files <= before.files && last.threads <= before.threads).then_some(()),
                None => (former.files == last.files && former.threads == last.threads).then_some(()),
            }
        });
        last
    }
}
