//! Guessing: every wrong attempt looks like every other, and there are not many of them.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::site::{SECRETS, Site, lasting, login, password_of};
use crate::support::clients::eventually;
use crate::support::http::{Client, Response};

const WRONG: &str = "this is not anybody's password";
/// Samples of each kind whose medians are compared.
const SAMPLES: u8 = 9;

/// Another client on this machine: guesses of one address say nothing of another's.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}

fn retry_after(response: &Response) -> u64 {
    let seconds = response.header("retry-after").unwrap_or_else(|| panic!("no Retry-After: {}", response.head()));
    assert_eq!(response.json()["details"]["retryAfterSeconds"].to_string(), seconds);
    seconds.parse().unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn whatever_is_wrong_with_an_attempt_code_body_and_time_are_the_same() {
    let mut site = Site::start(&[]);
    for name in ["ada", "disabled"] {
        site.add_person(name);
    }
    site.disable("disabled", true);
    site.add("passwordless", &[]);
    let attempts = [
        ("ada", WRONG.to_owned()),
        ("nobody-there", WRONG.to_owned()),
        ("disabled", password_of("disabled")),
        ("passwordless", WRONG.to_owned()),
        ("ADA", password_of("ada")),
        ("admin", WRONG.to_owned()),
        ("system:anonymous", String::new()),
        ("ada", "x".repeat(2000)),
    ];
    let first = login(&mut site.anonymous(), "ada", WRONG);
    assert_eq!((first.status, first.json()["message"].as_str()), (401, Some("invalid credentials")));
    let mut compare = |round: u8| {
        let mut elapsed: Vec<Vec<Duration>> = vec![Vec::new(); attempts.len()];
        let mut worked = vec![0; attempts.len()];
        for sample in 0..SAMPLES {
            // Three of the attempts are at one account: as many as are free.
            let mut client = site.anonymous().from(address(round * SAMPLES + sample + 1));
            client.get("/livez");
            for (at, (name, password)) in attempts.iter().enumerate() {
                let (begun, before) = (Instant::now(), processor_ticks(site.app.pid()));
                let refused = login(&mut client, name, password);
                elapsed[at].push(begun.elapsed());
                worked[at] += processor_ticks(site.app.pid()) - before;
                assert_eq!(lasting(&refused), lasting(&first), "{name}");
            }
        }
        let medians: Vec<Duration> = elapsed.into_iter().map(median).collect();
        println!("medians of {SAMPLES}: {medians:?}; ticks of {SAMPLES} together: {worked:?}");
        let ratio = |values: Vec<f64>| {
            values.iter().copied().fold(0.0, f64::max) / values.iter().copied().fold(f64::MAX, f64::min)
        };
        // What a busy machine stretches is the time that passes, in no order, and not the work that is done.
        let of_clock = ratio(medians.iter().map(Duration::as_secs_f64).collect());
        let of_work = ratio(worked.iter().map(|ticks| f64::from(*ticks)).collect());
        of_clock.min(of_work) <= 1.3
    };
    assert!((0..3).any(&mut compare), "one kind of wrong attempt takes another time than the others");
}

/// How long a process has been on a processor, in the kernel's ticks (hundredths of a second).
fn processor_ticks(pid: u32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may hold anything: the state, then numbers; the 12th and 13th from there.
    let (_, behind) = text.rsplit_once(')').unwrap();
    let field = |at: usize| behind.split_whitespace().nth(at).unwrap().parse::<u32>().unwrap();
    field(11) + field(12)
}

#[test]
fn guesses_at_an_account_wait_longer_and_longer_and_nobody_else_does() {
    let mut site = Site::start(&[]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    let mut guesser = site.anonymous().from(address(1));
    let guess = |client: &mut Client, password: &str| login(client, "ada", password);
    let climb = |client: &mut Client, until_seconds: u64| {
        let mut looked_at = 0;
        eventually(Duration::from_mins(2), || {
            let answer = guess(client, WRONG);
            match answer.status {
                401 => looked_at += 1,
                429 if retry_after(&answer) >= until_seconds => return Some(retry_after(&answer)),
                429 => {}
                code => panic!("{code}: {}", answer.text()),
            }
            None
        })
        .map(|seconds| (looked_at, seconds))
        .expect("guesses are slowed down")
    };
    let (looked_at, seconds) = climb(&mut guesser, 1);
    assert!(looked_at >= 4, "three failures cost nothing, but {looked_at} did");
    assert!(seconds <= 1 << (looked_at - 4), "{seconds} s after {looked_at} failures");

    // Also the right password is not looked at, in whatever way the name is written.
    let mut long = guesser.another();
    let (_, seconds) = climb(&mut long, 8);
    for name in ["ada", " ADA ", "\u{ff41}da"] {
        let refused = login(&mut guesser, name, &password_of("ada"));
        assert_eq!(refused.status, 429, "{name}: {}", refused.text());
        assert!(retry_after(&refused) <= seconds);
        assert_eq!(refused.json()["reason"], "TooManyRequests");
    }
    login(&mut guesser, "bob", &password_of("bob")).ok();
    login(&mut site.anonymous().from(address(2)), "ada", &password_of("ada")).ok();

    // A restart forgets nothing.
    let site = site.stopped_and_started();
    let mut guesser = site.anonymous().from(address(1));
    assert_eq!(guess(&mut guesser, &password_of("ada")).status, 429);
    login(&mut guesser, "bob", &password_of("bob")).ok();
    login(&mut site.anonymous().from(address(2)), "ada", &password_of("ada")).ok();
    let let_in = eventually(Duration::from_mins(1), || {
        let answer = guess(&mut guesser, &password_of("ada"));
        (answer.status != 429).then_some(answer)
    });
    let_in.expect("the wait ends").ok();
    for _ in 0..3 {
        assert_eq!(guess(&mut guesser, WRONG).status, 401, "who has proved to know it begins anew");
    }
}

#[test]
fn two_hundred_at_once_are_hashed_one_by_one_or_sent_away_and_reads_go_on() {
    let mut site = Site::start(&[]);
    for number in 0..8 {
        site.add_person(&format!("user{number}"));
    }
    site.admin.json("POST", SECRETS, &serde_json::json!({"metadata": {"name": "s"}, "data": {"k": "dg=="}})).ok();
    let path = format!("{SECRETS}/s");
    let read = |client: &mut Client| {
        let begun = Instant::now();
        client.get(&path).ok();
        begun.elapsed()
    };
    let p99 = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    let mut reader = site.admin.another();
    // For as long as the crowd will be there: a machine that is busy with other things is so in both.
    let until = Instant::now() + Duration::from_secs(3);
    let quiet = p99(std::iter::repeat_with(|| read(&mut reader)).take_while(|_| Instant::now() < until).collect());

    let clients: Vec<(Client, String)> = (0..200u8)
        .map(|number| {
            // The connection is made before the crowd begins: it is the hashing that is looked at.
            let mut client = site.anonymous().from(Ipv4Addr::new(127, 0, 2, 1 + number % 50));
            client.get("/livez").ok();
            (client, format!("user{}", number % 8))
        })
        .collect();
    let answers: Mutex<Vec<Response>> = Mutex::default();
    let mut busy = Vec::new();
    std::thread::scope(|scope| {
        let attempts: Vec<_> = clients
            .into_iter()
            .map(|(mut client, name)| {
                let answers = &answers;
                scope.spawn(move || {
                    let answer = login(&mut client, &name, &password_of(&name));
                    answers.lock().unwrap().push(answer);
                })
            })
            .collect();
        while !attempts.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            busy.push(read(&mut reader));
        }
    });
    let answers = answers.into_inner().unwrap();
    let let_in = answers.iter().filter(|answer| answer.status == 200).count();
    let sent_away: Vec<&Response> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(let_in + sent_away.len(), 200);
    assert!(let_in >= 1 && sent_away.len() >= 100, "{let_in} let in");
    for answer in &sent_away {
        assert!(retry_after(answer) >= 1, "{}", answer.text());
    }
    let reads = busy.len();
    let busy = p99(busy);
    println!("{let_in} of 200 let in, {reads} reads meanwhile; p99 of a read: quiet {quiet:?}, busy {busy:?}");
    // One core hashes meanwhile, and 200 threads of this test are on it too: below some milliseconds it is noise.
    let allowed = (quiet * 3).max(Duration::from_millis(30));
    assert!(reads >= 50 && busy <= allowed, "p99 of a read: quiet {quiet:?}, busy {busy:?}");
    // Those who were sent away were not counted as having failed.
    login(&mut site.anonymous().from(Ipv4Addr::new(127, 0, 2, 1)), "user0", &password_of("user0")).ok();
}
