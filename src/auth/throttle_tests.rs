//! The ladder, step by step, with a clock in hand.

use super::*;

const HOUR: i64 = 3_600_000;

fn account(number: u64) -> AccountKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn network(last: u8) -> Network {
    Network::of(Some(IpAddr::from([192, 0, 2, last])))
}

fn locked(seconds: u32) -> Result<(), Locked> {
    Err(Locked { retry_after_seconds: seconds })
}

#[test]
fn three_failures_are_free_and_then_each_doubles_the_wait_up_to_five_minutes() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    let mut now = 0;
    for _ in 0..3 {
        assert_eq!(throttle.begin(name, from, now), Ok(()));
    }
    for wait in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        if wait > 0 {
            assert_eq!(throttle.begin(name, from, now), locked(wait));
            assert_eq!(throttle.begin(name, from, now + i64::from(wait) * 1_000 - 1), locked(1));
        }
        now += i64::from(wait) * 1_000;
        assert_eq!(throttle.begin(name, from, now), Ok(()), "{wait}");
    }
}

#[test]
fn attempts_that_are_not_looked_at_cost_nothing() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    for _ in 0..4 {
        throttle.begin(name, from, 0).unwrap();
    }
    for _ in 0..1_000 {
        assert_eq!(throttle.begin(name, from, 500), locked(1));
    }
    assert_eq!(throttle.begin(name, from, 1_000), Ok(()));
    assert_eq!(throttle.begin(name, from, 1_000), locked(2));
}

#[test]
fn a_right_password_or_a_day_makes_failures_forgotten() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    let fail_until_locked = |now| {
        for _ in 0..4 {
            throttle.begin(name, from, now).unwrap();
        }
        assert_eq!(throttle.begin(name, from, now), locked(1));
    };
    fail_until_locked(0);
    throttle.begin(name, from, 1_000).unwrap();
    throttle.succeeded(name, from);
    fail_until_locked(2_000);
    assert_eq!(throttle.begin(name, from, 2_000 + 24 * HOUR - 1), Ok(()));
    assert_eq!(throttle.begin(name, from, 2_000 + 24 * HOUR - 1), locked(2), "not forgotten a moment too early");
    fail_until_locked(2_000 + 48 * HOUR);
}

#[test]
fn attempts_at_once_are_counted_before_they_are_looked_at() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    let looked_at = (0..100).filter(|_| throttle.begin(name, from, 0).is_ok()).count();
    assert_eq!(looked_at, 4);
}

#[test]
fn an_attempt_that_was_given_up_is_not_counted() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    for _ in 0..1_000 {
        throttle.begin(name, from, 0).unwrap();
        throttle.abandoned(name, from);
    }
    assert_eq!(throttle.begin(name, from, 0), Ok(()));
}

#[test]
fn failures_elsewhere_and_of_others_do_not_lock_anybody_out() {
    let throttle = Throttle::default();
    for _ in 0..10 {
        let _ = throttle.begin(account(1), network(1), 0);
    }
    assert_eq!(throttle.begin(account(1), network(2), 0), Ok(()));
    assert_eq!(throttle.begin(account(2), network(1), 0), Ok(()));
}

#[test]
fn guesses_spread_over_networks_or_names_are_bounded_too() {
    let throttle = Throttle::default();
    let from_many = (0..=255).filter(|at| throttle.begin(account(1), network(*at), 0).is_ok()).count();
    assert_eq!(from_many, 100);
    assert_eq!(throttle.begin(account(1), network(255), 0), locked(36));
    assert_eq!(throttle.begin(account(1), network(255), 36_000), Ok(()));
    let throttle = Throttle::default();
    let of_many = (0..500).filter(|at| throttle.begin(account(*at), network(1), 0).is_ok()).count();
    assert_eq!(of_many, 100);
    assert_eq!(throttle.begin(account(999), network(1), 0), locked(6));
    // Right passwords fill no bucket.
    let throttle = Throttle::default();
    for at in 0..10_000 {
        throttle.begin(account(at % 7), network(1), at.cast_signed()).unwrap();
        throttle.succeeded(account(at % 7), network(1));
    }
}

#[test]
fn a_clock_that_was_far_ahead_locks_nobody_out() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    for at in 0..20 {
        let _ = throttle.begin(name, from, 1_000_000 * HOUR + at * 400_000);
    }
    assert_eq!(throttle.begin(name, from, 0), locked(300));
    assert_eq!(throttle.begin(name, from, 300_000), Ok(()));
}

#[test]
fn waits_survive_a_restart() {
    let (throttle, name, from) = (Throttle::default(), account(1), network(1));
    assert_eq!(throttle.changed(0), None);
    for _ in 0..3 {
        throttle.begin(name, from, 0).unwrap();
    }
    assert_eq!(throttle.changed(0), None, "what costs nothing is not stored");
    throttle.begin(name, from, 0).unwrap();
    let stored = throttle.changed(0).unwrap();
    assert_eq!(throttle.changed(0), None);
    let restarted = Throttle::default();
    restarted.restore(&stored);
    assert_eq!(restarted.begin(name, from, 0), locked(1));
    throttle.begin(name, from, 1_000).unwrap();
    throttle.succeeded(name, from);
    assert_eq!(throttle.changed(2_000).unwrap(), b"[]");
    restarted.restore(b"junk");
    assert_eq!(restarted.begin(name, from, 0), locked(1));
}

#[test]
fn a_flood_of_names_pushes_out_its_own_and_not_the_one_that_is_locked() {
    let throttle = Throttle::default();
    for _ in 0..4 {
        throttle.begin(account(0), network(0), 0).unwrap();
    }
    for at in 1..=(REMEMBERED as u64 * 2) {
        let [.., b, c, d] = at.to_be_bytes();
        let _ = throttle.begin(account(at), Network::of(Some(IpAddr::from([10, b, c, d]))), 1);
    }
    assert_eq!(throttle.tables().ladders.len(), REMEMBERED);
    assert!(throttle.tables().networks.len() <= REMEMBERED);
    assert_eq!(throttle.begin(account(0), network(0), 2), locked(1));
}

#[test]
fn one_name_in_many_spellings_is_one_name() {
    for name in ["alice", " Alice\t", "ALICE", "\u{ff21}lice", "\u{a0}alice "] {
        assert_eq!(canonical_name(name), "alice");
    }
    assert_ne!(canonical_name("alice"), canonical_name("alic\u{435}"));
}

#[test]
fn addresses_of_one_host_are_one_network() {
    let of = |text: &str| Network::of(Some(text.parse().unwrap()));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_ne!(Network::of(None), of("0.0.0.0"));
}
