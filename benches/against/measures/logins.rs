//! What reads cost while others guess passwords: the same reads without and with clients that sign in, all at once, again
//! and again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::failure::Outcome;
use crate::figures::Spread;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Unit};
use crate::servers::{Comparable, OBJECTS, Servers, home, strongroom};

use super::read_at_random;

/// Clients that sign in at once.
const GUESSERS: usize = 200;
/// Between two attempts of a client: the least that `Retry-After` asks for.
const PAUSE: Duration = Duration::from_secs(1);
/// Connections that read.
const READERS: usize = 8;

/// How long reads take, without and beside the guessers, in turns; and what those were answered.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let title = format!("GET of 1 KiB, {READERS} connections, p99 beside {GUESSERS} sign-ins");
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    if let Some(program) = &servers.program {
        let (server, _) = strongroom::start_with(program, home(&options.folder())?, None, &[]).await?;
        let server = Comparable::fill(server, Objects::new("default", 1), OBJECTS).await?;
        let answers = Rc::new(RefCell::new(BTreeMap::<u16, u64>::new()));
        for round in 0..options.rounds {
            let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
            for with_guessers in turns {
                let guessers = if with_guessers { Some(Guessers::start(&server, &answers)) } else { None };
                let figures = read_at_random(options, &server, READERS).await?;
                if let Some(guessers) = guessers {
                    guessers.stop().await?;
                }
                if let Some(why) = figures.first_error {
                    return Err(why.into());
                }
                if with_guessers { beside.push(figures.p99) } else { alone.push(figures.p99) }
            }
        }
        println!("  answers to sign-ins by status: {:?}", answers.borrow());
    }
    let median = Spread::of(beside.iter().copied()).map(|spread| spread.median);
    rows.push(Row::own(title, Unit::Millis, median).with_ratio(Spread::of_ratios(&beside, &alone)));
    Ok(())
}

/// Clients that sign in with names that nobody has.
struct Guessers {
    goes_on: Rc<Cell<bool>>,
    tasks: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Guessers {
    fn start(server: &Comparable, answers: &Rc<RefCell<BTreeMap<u16, u64>>>) -> Self {
        let goes_on = Rc::new(Cell::new(true));
        let guess = |number: usize| {
            let (endpoint, goes_on, answers) =
                (server.server.api.endpoint.clone(), Rc::clone(&goes_on), Rc::clone(answers));
            tokio::task::spawn_local(async move {
                let mut connection = endpoint.connect().await?;
                let body = format!(r#"{{"username":"nobody-{number}","password":"not a password of anybody"}}"#);
                let request = endpoint.request("POST", "/strongroom/v1/login", &body);
                while goes_on.get() {
                    let answer = connection.exchange(&request).await?;
                    *answers.borrow_mut().entry(answer.code).or_default() += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                connection.close().await;
                Ok(())
            })
        };
        let tasks = (0..GUESSERS).map(guess).collect();
        Self { goes_on, tasks }
    }

    async fn stop(self) -> Outcome<()> {
        self.goes_on.set(false);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}
