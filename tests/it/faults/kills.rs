//! kill -9 at random moments under sixteen writers: whatever was acknowledged is there, nothing else is, and what watches, lists
//! and the audit log say of it fits together.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills (30), `STRONGROOM_TEST_SEED` repeats the choices of a run.

use super::model::Model;
use crate::support::app::App;
use crate::support::dice::Dice;
use crate::support::load::{Round, kills, start_after_kill};

/// One round in so many of a long run has the whole audit log verified: each time takes longer than the last.
const WHOLE_EVERY: u64 = 25;

#[test]
fn after_kill_9_everything_acknowledged_is_there_and_nothing_else_is() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start();
    let mut model = Model::new(&app);
    for number in 0..kills() {
        let round = Round::new(number, seed, &mut dice);
        let seen = model.run(&mut app, &round, &[], Round::kill_at_random);
        app = start_after_kill(app, number, &mut dice);
        model.check(&app, seen, &round.to_string(), number < 30 || number % WHOLE_EVERY == 0);
    }
    let (acknowledged, open) = (model.acknowledged, model.in_flight);
    println!("{} kills, {acknowledged} writes acknowledged, {open} in flight when killed, seed {seed}", kills());
    assert!(acknowledged > kills(), "the load was no load: {acknowledged} writes, seed {seed}");
    // And once more by the way that is not a crash.
    let round = Round::new(kills(), seed, &mut dice);
    let seen = model.run(&mut app, &round, &[], |_, app| {
        assert_eq!(app.stop(), Some(0), "{}", app.log());
    });
    app = App::start_in(app.kill(), &[]);
    model.check(&app, seen, "after a clean stop", true);
}
