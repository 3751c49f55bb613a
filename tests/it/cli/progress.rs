//! How far long work has come is shown to a person at a terminal, and to nobody else.

use serde_json::json;

use crate::support::actors;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::person::{Ended, Person};

#[test]
fn long_work_is_shown_at_a_terminal_and_goes_and_a_pipe_gets_nothing_of_it() {
    // Nobody does what is waited for.
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--no-sync"]);
    let mut admin = Client::admin(&app);
    actors::namespace(&mut admin, "prod");
    let sync = json!({"metadata": {"name": "db"}, "spec": {
        "serviceAccountName": "nobody", "source": {"names": ["db"]}, "targets": [{"cluster": "none"}],
    }});
    admin.json("POST", "/apis/strongroom.dev/v1alpha1/namespaces/prod/secretsyncs", &sync).ok();
    let person = Person::new();
    let home = app.home().to_str().unwrap();
    let line = ["sync", "run", "db", "-n", "prod", "--wait", "--timeout", "4s", "--home", home];
    let told = "SecretSync prod/db is not in sync";

    let piped = person.run(&line);
    assert_eq!((piped.code, piped.stderr.as_str()), (3, ""), "{}", piped.stdout);
    assert!(piped.stdout.starts_with(told) && !piped.stdout.contains('\u{1b}'), "{}", piped.stdout);

    let at = |terminal: Option<&str>| -> Option<Ended> { person.type_at_a(terminal, &line, &[]) };
    let Some(shown) = at(Some("xterm")) else { return };
    assert_eq!(shown.code, 3, "{}", shown.stdout);
    assert!(shown.stdout.contains("waiting for SecretSync prod/db"), "{}", shown.stdout);
    assert!(shown.stdout.contains(told), "{}", shown.stdout);
    // Erases the line (ECMA-48, EL).
    assert!(shown.stdout.trim_end().ends_with("\u{1b}[2K"), "the line stays: {:?}", shown.stdout);
    for plain in [None, Some("dumb")] {
        let shown = at(plain).unwrap();
        assert!(shown.stdout.starts_with(told) && !shown.stdout.contains('\u{1b}'), "{}", shown.stdout);
    }
}
