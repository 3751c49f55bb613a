//! One file a group of figures. Each pushes its rows, those that could not be measured too.

pub mod audit;
pub mod backup;
pub mod deliver;
pub mod empty;
pub mod export;
pub mod get;
pub mod history;
pub mod kms;
pub mod list;
pub mod logins;
pub mod rotate;
pub mod scale;
pub mod scan;
pub mod sync;
pub mod verify;
pub mod watch;
pub mod write;

use std::rc::Rc;

use crate::failure::Outcome;
use crate::http::Endpoint;
use crate::load::{Expected, Figures, Requests, Turn, describe, run};
use crate::objects::mix;
use crate::options::Options;
use crate::report::Rounds;
use crate::servers::{Comparable, Product, Servers};

/// Runs the servers in turns, `options.rounds` times each, and says what each did.
async fn in_turns<F>(options: &Options, servers: &Servers, title: &str, mut turn: F) -> Outcome<Rounds>
where
    F: AsyncFnMut(&Comparable) -> Outcome<Option<Figures>>,
{
    let mut rounds = Rounds::default();
    for _ in 0..options.rounds {
        for server in servers.all() {
            if let Some(figures) = turn(server).await? {
                match server.server.api.product {
                    Product::Strongroom => rounds.ours.push(figures),
                    Product::Bare => rounds.bare.push(figures),
                    Product::OpenBao => rounds.openbao.push(figures),
                }
            }
        }
    }
    println!("\n{title}");
    for (product, rounds) in
        [(Product::Strongroom, &rounds.ours), (Product::Bare, &rounds.bare), (Product::OpenBao, &rounds.openbao)]
    {
        if !rounds.is_empty() {
            println!("  {}", describe(&product.to_string(), rounds));
        }
    }
    Ok(rounds)
}

/// Reads objects of a server at random for one turn.
async fn read_at_random(options: &Options, server: &Comparable, connections: usize) -> Outcome<Figures> {
    let turn =
        Turn { connections, duration: options.turn(), requests: reads(server), expected: server.expected.clone() };
    Ok(run(&server.server, &turn, 0).await?.0)
}

/// Creates objects for one turn, from number `from` on; the next number too.
async fn create(
    options: &Options,
    server: &Comparable,
    objects: &crate::objects::Objects,
    connections: usize,
    from: u64,
) -> Outcome<(Figures, u64)> {
    let (api, objects) = (server.server.api.clone(), objects.clone());
    // Ours returns the object, as Kubernetes does; OpenBao a few words.
    let body_bytes = match api.product {
        Product::OpenBao => 50..=2_000,
        _ => server.expected.body_bytes.clone(),
    };
    let turn = Turn {
        connections,
        duration: options.turn(),
        expected: Expected { code: api.created(), body_bytes },
        requests: Rc::new(move |at, into| api.create(&objects, at, into)),
    };
    run(&server.server, &turn, from).await
}

fn reads(server: &Comparable) -> Requests {
    let (api, objects, count) = (server.server.api.clone(), server.objects.clone(), server.count);
    Rc::new(move |at, into| api.read(&objects, mix(at) % count, into))
}

/// Makes a namespace.
async fn make_namespace(endpoint: &Endpoint, name: &str) -> Outcome<()> {
    let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
    match endpoint.once("POST", "/api/v1/namespaces", &body).await? {
        (201, _) => Ok(()),
        (code, _) => Err(format!("namespace {name} was answered with {code}").into()),
    }
}
