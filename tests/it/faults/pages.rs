//! Each page of the database damaged in turn: either the server refuses to start and says what to do, or it serves nothing that
//! was not written and says of what is damaged that it is.
//!
//! `STRONGROOM_TEST_PLACES` is how many pages are tried (64), or `all`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::home::{Outcome, database, outcome, sample};
use super::model::list;
use crate::support::app::{App, copy_home};
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::load::SECRETS;

/// Enough for some hundred pages of 16 KiB.
const SECRETS_COUNT: usize = 300;

#[derive(Debug, Clone, Copy)]
enum Damage {
    Bytes,
    Zeroes,
}

#[test]
fn a_damaged_page_never_makes_the_server_say_what_was_not_written() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start();
    let mut client = Client::admin(&app);
    for number in 0..SECRETS_COUNT {
        // Some fill a page of their own and more.
        let value = format!("value {number} ").repeat(if number % 10 == 0 { 2_000 } else { 1 + number % 7 * 20 });
        let secret = json!({"metadata": {"name": format!("s-{number}")}, "stringData": {"k": value}});
        client.json("POST", SECRETS, &secret).ok();
    }
    let (written, _) = list(&mut client);
    assert_eq!(app.stop(), Some(0), "{}", app.log());
    let home = app.kill();
    let whole = fs::read(database(home.path())).unwrap();
    let page_bytes = usize::from(u16::from_be_bytes([whole[16], whole[17]]));
    let pages = whole.len() / page_bytes;
    let places = (0..pages).flat_map(|page| [(page, Damage::Bytes), (page, Damage::Zeroes)]).collect();
    let places = sample(places, &mut dice);
    let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
    for (page, damage) in &places {
        let copied = copy_home(home.path());
        let mut damaged = whole.clone();
        let bytes = &mut damaged[page * page_bytes..(page + 1) * page_bytes];
        match damage {
            Damage::Zeroes => bytes.fill(0),
            Damage::Bytes => {
                for _ in 0..4 {
                    let at = usize::try_from(dice.below(page_bytes as u64)).unwrap();
                    bytes[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
                }
            }
        }
        fs::write(database(copied.path()), damaged).unwrap();
        let outcome = outcome(copied, &written, &format!("seed {seed}, page {page}, {damage:?}"));
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{} of {pages} pages twice: {outcomes:?}, seed {seed}", places.len());
    assert!(outcomes.contains_key(&Outcome::Refused), "nothing was damaged: {outcomes:?}, seed {seed}");
}
