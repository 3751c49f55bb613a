//! Every operation of the OpenAPI document × actors, each cell a real request: `matrix.txt`.
//!
//! A change of policy is a difference in that file; `STRONGROOM_ACCEPT=1` writes it anew. Requests are such that only
//! the authorizer can answer 403: their bodies grant nothing to anyone. What a request removes is made again.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::support::actors::{self, bind, role, rule_for};
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::operations::{self, content_type, document, make_targets, operations, paths, set_up, upper};

const FILE: &str = "tests/it/authorization/matrix.txt";
const ALL_VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Somebody who asks, a column of the table.
struct Actor {
    heading: &'static str,
    what: &'static str,
    client: Client,
}

/// A request, a line of the table.
struct Line {
    method: &'static str,
    path: String,
    body: String,
    /// What the server answers once it is allowed, where that is no success: the request says too little.
    code: Option<u16>,
}

#[test]
fn every_operation_answers_every_actor_as_the_table_says() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    set_up(&mut admin);
    let mut actors = actors(&app, &mut admin);
    let mut table = heading(&actors);
    for line in lines() {
        for actor in &mut actors {
            let code = status(&actor.client, &line);
            let cell = match code {
                401 => '?',
                403 => '-',
                _ => '+',
            };
            let is_expected = line.code.map_or((200..300).contains(&code), |expected| code == expected);
            let (method, path, heading) = (line.method, &line.path, actor.heading);
            assert!(cell != '+' || is_expected, "{method} {path} by {heading}: {code}\n{}", app.log());
            write!(table, "{cell:<width$} ", width = heading.len()).unwrap();
            if cell == '+' && line.path == "/strongroom/v1/admin/rotate" {
                app.read_kubeconfig();
                actor.client = Client::admin(&app);
                admin = Client::admin(&app);
            }
            if cell == '+' && line.method == "DELETE" {
                make_targets(&mut admin);
            }
        }
        writeln!(table, " {:<6} {}", line.method, line.path).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("STRONGROOM_ACCEPT").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        table == reviewed,
        "run the test with STRONGROOM_ACCEPT=1, then look at the difference:\n{}",
        difference(&reviewed, &table)
    );
}

#[test]
fn the_table_has_every_operation_and_no_other() {
    let table = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    let rows: Vec<(String, Vec<&str>)> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| {
            let mut last = line.split_whitespace().rev();
            let (path, method) = (last.next().unwrap(), last.next().unwrap());
            (method.to_lowercase(), path.split('?').next().unwrap().split('/').collect())
        })
        .collect();
    let operations = operations();
    let is_of = |(row_method, row): &(String, Vec<&str>), (method, template): &(&str, String)| {
        let template: Vec<&str> = template.split('/').collect();
        let same = |(part, pattern): (&&str, &&str)| pattern.starts_with('{') || part == pattern;
        row_method == method && row.len() == template.len() && row.iter().zip(&template).all(same)
    };
    for operation in &operations {
        assert!(rows.iter().any(|row| is_of(row, operation)), "{operation:?} has no row in {FILE}");
    }
    for row in &rows {
        assert!(operations.iter().any(|operation| is_of(row, operation)), "{row:?} of {FILE} is no operation");
    }
}

fn lines() -> Vec<Line> {
    let document = document();
    let mut lines = Vec::new();
    for (method, template) in operations() {
        let parameters = document["paths"][&template][method]["parameters"].as_array();
        let is_watched = parameters
            .is_some_and(|all| all.iter().any(|parameter| parameter["$ref"] == "#/components/parameters/watch"));
        for path in paths(&template) {
            let (body, code) = body(method, &template, &path);
            let line =
                |query: &str| Line { method: upper(method), path: format!("{path}{query}"), body: body.clone(), code };
            match (method, template.as_str()) {
                // An empty collection, and a namespace that stays.
                ("delete", "/api/v1/namespaces/{name}") => lines.push(line("?dryRun=All")),
                ("delete", template) if !template.ends_with("{name}") => lines.push(line("?labelSelector=of=nobody")),
                _ => lines.push(line("")),
            }
            if is_watched {
                lines.push(line("?watch=true"));
            }
            if is_watched && template.ends_with("/{namespace}/secrets") {
                lines.push(line("?fieldSelector=metadata.name=a"));
                lines.push(line("?watch=true&fieldSelector=metadata.name=a"));
            }
        }
    }
    lines
}

/// What is sent, and the answer to it where it is meant to say too little.
fn body(method: &str, template: &str, path: &str) -> (String, Option<u16>) {
    match (method, template.rsplit_once('/').unwrap()) {
        // Switched off.
        ("post", (_, "certificate")) => (json!({"spec": {"request": ""}}).to_string(), Some(400)),
        // Neither names a term that there is.
        ("post", (_, "decrypt")) => (operations::body(method, template, path), Some(400)),
        ("post", (_, "retire")) => (operations::body(method, template, path), Some(422)),
        // There is none of this name.
        (_, (collection, "{name}")) if collection.ends_with("/secretrevisions") => (String::new(), Some(404)),
        // No secret of a slot that is to stay is told.
        ("post", (_, "rotate-root")) => ("{}".to_owned(), Some(409)),
        // With credentials they would end what the actor has to present.
        ("post", ("/strongroom/v1", "login" | "logout" | "password" | "refresh")) => ("[]".to_owned(), Some(400)),
        _ => (operations::body(method, template, path), None),
    }
}

/// The first line of the answer: watches go on.
fn status(client: &Client, line: &Line) -> u16 {
    let length = line.body.len().to_string();
    let mut headers = vec![("Connection", "close")];
    if !line.body.is_empty() {
        headers.extend([("Content-Type", content_type(line.method)), ("Content-Length", &length)]);
    }
    let mut connection = client.connect().unwrap();
    connection.write(client.head(line.method, &line.path, &headers).as_bytes()).unwrap();
    connection.write(line.body.as_bytes()).unwrap();
    let code = connection.line().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    // One is made at a time, and is being made until it is sent.
    while line.path.ends_with("/backups") && connection.line().is_ok() {}
    code
}

fn actors(app: &App, admin: &mut Client) -> Vec<Actor> {
    role(admin, "t", "only-a", &[rule_for(&ALL_VERBS, "", &["secrets"], &["a"])]);
    let granted = [
        ("viewer", "t", "ClusterRole/view"),
        ("editor", "t", "ClusterRole/edit"),
        ("namespace-admin", "t", "ClusterRole/admin"),
        ("only-a", "t", "Role/only-a"),
        ("auditor", "", "ClusterRole/system:strongroom:auditor"),
        ("reviewer", "", "ClusterRole/system:strongroom:access-reviewer"),
    ];
    for (user, namespace, role) in granted {
        bind(admin, namespace, user, role, &format!("User/{user}"));
    }
    let mut user = |name: &str| actors::signed_in(admin, name, &[]);
    let mut all = vec![
        ("anonymous", "no credential", Client::anonymous(app)),
        ("user", "a user who has signed in, without a grant", user("nobody")),
        ("view", "a user with ClusterRole view by a RoleBinding in namespace t", user("viewer")),
        ("edit", "the same with ClusterRole edit", user("editor")),
        ("admin", "the same with ClusterRole admin", user("namespace-admin")),
        ("only-a", "a user with every verb on secrets of resourceNames [a] by a Role in namespace t", user("only-a")),
        ("auditor", "a user with ClusterRole system:strongroom:auditor", user("auditor")),
        ("reviewer", "a user with ClusterRole system:strongroom:access-reviewer", user("reviewer")),
    ];
    let account = actors::service_account(admin, "t", "nobody");
    all.insert(2, ("account", "a service account of namespace t, without a grant", account));
    all.push(("root", "the built-in administrator", admin.another()));
    all.push(("wrong", "a token that is none", admin.with_token("sr_wrong")));
    all.into_iter().map(|(heading, what, client)| Actor { heading, what, client }).collect()
}

fn heading(actors: &[Actor]) -> String {
    let mut text = "# + allowed   - forbidden (403)   ? unauthorized (401)\n#\n".to_owned();
    for actor in actors {
        writeln!(text, "# {:<10} {}", actor.heading, actor.what).unwrap();
    }
    text.push_str("#\n");
    let headings: Vec<&str> = actors.iter().map(|actor| actor.heading).collect();
    text + &headings.join(" ") + "\n"
}

/// Lines that are in one text only.
fn difference(before: &str, after: &str) -> String {
    let only = |text: &str, other: &str, mark: &str| -> String {
        let lines = text.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.fold(String::new(), |all, line| all + mark + line + "\n")
    };
    only(before, after, "- ") + &only(after, before, "+ ")
}
