//! Many clients that do nothing, and clients that take nothing: others are answered, memory stays within bounds, and what they
//! held comes back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::{Client, Connection};
use crate::support::load::SECRETS;
use crate::support::process::{descriptors, resident_kib};
use crate::support::watch::Watch;

const IDLE: usize = 2_000;
const WATCHES: usize = 1_000;
const ANSWER: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_mins(2);
/// A connection's buffers, its session and its request's remains; a watch's queue.
const KIB_OF_A_CONNECTION: u64 = 160;

/// Asks again and again until told to stop; the slowest answer.
fn slowest(mut client: Client, path: &str, is_over: &AtomicBool) -> Duration {
    let mut slowest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.get(path).ok();
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

/// Ends what goes on meanwhile, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn raise_own_limit() {
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum }).unwrap();
}

#[test]
fn thousands_of_idle_connections_and_watches_hold_up_nobody() {
    raise_own_limit();
    let app = App::start();
    let mut admin = Client::admin(&app);
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})).ok();
    let (descriptors_before, memory_before) = (descriptors(&app), resident_kib(&app));
    let (one, is_over) = (format!("{SECRETS}/s"), AtomicBool::new(false));
    let (slowest, memory) = std::thread::scope(|scope| {
        let end = End(&is_over);
        let other = admin.another();
        let asked = scope.spawn(|| slowest(other, &one, &is_over));
        let idle: Vec<Connection> = (0..IDLE)
            .map(|_| {
                let mut connection = admin.connect().unwrap();
                connection.write(admin.head("GET", "/livez", &[]).as_bytes()).unwrap();
                assert_eq!(connection.response(false).unwrap().status, 200);
                connection
            })
            .collect();
        let mut watches: Vec<Watch> =
            (0..WATCHES).map(|_| Watch::begin(&admin, &format!("{SECRETS}?watch=true"), "application/json")).collect();
        for watch in &mut watches {
            assert_eq!(watch.event().unwrap()["object"]["metadata"]["name"], "s");
        }
        admin.json("POST", SECRETS, &json!({"metadata": {"name": "t"}})).ok();
        for watch in &mut watches {
            assert_eq!(watch.event().unwrap()["object"]["metadata"]["name"], "t");
        }
        assert!(descriptors(&app) >= descriptors_before + IDLE + WATCHES, "somebody was sent away");
        let memory = resident_kib(&app);
        drop(end);
        drop((idle, watches));
        (asked.join().unwrap(), memory)
    });
    let of_each = (memory - memory_before) / (IDLE + WATCHES) as u64;
    let back = eventually(LIMIT, || (descriptors(&app) <= descriptors_before + 4).then_some(()));
    let after = resident_kib(&app);
    println!(
        "{IDLE} idle connections, {WATCHES} watches: slowest other answer {slowest:?}, memory {memory_before} KiB, then {memory} \
         KiB ({of_each} KiB each), afterwards {after} KiB"
    );
    assert!(slowest < ANSWER, "others waited for {slowest:?}");
    assert!(of_each < KIB_OF_A_CONNECTION, "{of_each} KiB for each");
    assert!(back.is_some(), "{} descriptors, {descriptors_before} before", descriptors(&app));
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

#[test]
fn who_reads_a_large_list_slowly_is_cut_off_and_holds_up_nobody() {
    const READERS: usize = 8;
    const SECRETS_COUNT: usize = 24;
    /// A mebibyte in each, as base64.
    const LIST_KIB: u64 = SECRETS_COUNT as u64 * 1366;
    let app = App::start();
    let mut admin = Client::admin(&app);
    for number in 0..SECRETS_COUNT {
        let secret = json!({"metadata": {"name": format!("large-{number}")}, "stringData": {"k": "x".repeat(1 << 20)}});
        admin.json("POST", SECRETS, &secret).ok();
    }
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})).ok();
    let (descriptors_before, memory_before) = (descriptors(&app), resident_kib(&app));
    let readers: Vec<Connection> = (0..READERS)
        .map(|_| {
            let mut reader = admin.connect().unwrap();
            reader.write(admin.head("GET", SECRETS, &[]).as_bytes()).unwrap();
            assert_eq!(reader.head().unwrap().status, 200);
            reader
        })
        .collect();
    let (one, is_over) = (format!("{SECRETS}/s"), AtomicBool::new(false));
    let (slowest, most) = std::thread::scope(|scope| {
        let end = End(&is_over);
        let asked = scope.spawn(|| slowest(admin.another(), &one, &is_over));
        let mut most = 0;
        // Nothing is read any more: each is ended after a while.
        let are_gone = eventually(LIMIT, || {
            most = most.max(resident_kib(&app));
            (descriptors(&app) <= descriptors_before + 2).then_some(())
        });
        drop(end);
        assert!(are_gone.is_some(), "{} descriptors, {descriptors_before} before", descriptors(&app));
        (asked.join().unwrap(), most)
    });
    println!(
        "{READERS} slow readers of 33 MB: slowest other answer {slowest:?}, memory {memory_before} KiB, at most {most} KiB"
    );
    assert!(slowest < ANSWER, "others waited for {slowest:?}");
    // Each may hold what it was to be sent, once, and no more than that.
    let bound = memory_before + READERS as u64 * LIST_KIB + 64 * 1024;
    assert!(most < bound, "{most} KiB after {memory_before} KiB");
    drop(readers);
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

#[test]
fn who_sends_slowly_is_cut_off() {
    const PATIENCE: Duration = Duration::from_secs(50);
    let app = App::start();
    let client = Client::admin(&app);
    let address = app.url.strip_prefix("https://").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = End(&is_over);
        let others = scope.spawn(|| slowest(client.another(), "/livez", &is_over));
        let half_handshake = scope.spawn(|| {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            // The head of a record that announces 512 bytes, and a few of them.
            socket.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]).unwrap();
            let begun = Instant::now();
            let _ = socket.read_to_end(&mut Vec::new());
            begun.elapsed()
        });
        // Never silent for long, and so never done.
        let dripping_body = scope.spawn(|| {
            let mut connection = client.connect().unwrap();
            let headers = [("Content-Type", "application/json"), ("Content-Length", "1000")];
            connection.write(client.head("POST", SECRETS, &headers).as_bytes()).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE && connection.write(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(500));
            }
            begun.elapsed()
        });
        let (handshake, body) = (half_handshake.join().unwrap(), dripping_body.join().unwrap());
        drop(end);
        assert!(handshake < PATIENCE && body < PATIENCE, "kept for {handshake:?} and {body:?}");
        let slowest = others.join().unwrap();
        println!(
            "half a handshake is kept for {handshake:?}, a dripping body for {body:?}; slowest other answer {slowest:?}"
        );
        assert!(slowest < ANSWER, "others waited for {slowest:?}");
    });
    assert!(!app.log().contains("panicked"), "{}", app.log());
}
