//! kill -9 at random moments under write load: every acknowledged write is there and readable, and nothing else is.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills (30), `STRONGROOM_TEST_SEED` repeats the choices of a run.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::app::App;
use crate::support::dice::Dice;
use crate::support::load::{Acknowledged, Ledger, Round, check, kills, start_after_kill};

#[test]
fn after_kill_9_every_acknowledged_write_is_there_and_nothing_else_is() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let acknowledged = AtomicU64::new(0);
    let mut open = 0;
    let mut ledger = Ledger::new();
    let mut app = App::start();
    for number in 0..kills() {
        let round = Round::new(number, seed, &mut dice);
        let count = |_: &Acknowledged<'_>| {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        };
        let mut written = round.write_until_killed(&mut app, &mut ledger, &count, &[]);
        open += written.values().filter(|states| states.len() > 1).count();
        app = start_after_kill(app, number, &mut dice);
        ledger = check(&app, &mut written, &round.to_string());
    }
    let (kills, acknowledged) = (kills(), acknowledged.into_inner());
    println!("{kills} kills, {acknowledged} writes acknowledged, {open} in flight when killed, seed {seed}");
    assert!(acknowledged > kills, "the load was no load: {acknowledged} writes, seed {seed}");
    // And once more by the way that is not a crash.
    assert_eq!(app.stop(), Some(0), "{}", app.log());
    app = App::start_in(app.kill(), &[]);
    check(&app, &mut ledger, "after a clean stop");
}
