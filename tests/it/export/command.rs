//! `strongroom export` against the real server: where files and values go, and where they do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use strongroom::codec::yaml;

use super::sops::Sops;
use crate::support::actors::secret;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::jwt::openssl;
use crate::support::person::{Ended, Person};

const VALUE: &str = "a value that nobody sees unasked";

struct Place {
    app: App,
    person: Person,
}

impl Place {
    fn new() -> Self {
        let app = App::start();
        let mut admin = Client::admin(&app);
        secret(&mut admin, "default", "db", &json!({"PASSWORD": VALUE, "USER": "ada"}));
        secret(&mut admin, "default", "other", &json!({"OTHER": "x"}));
        Self { app, person: Person::new() }
    }

    fn line<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["export"], arguments, &["--home", self.app.home().to_str().unwrap()]].concat()
    }

    fn export(&self, arguments: &[&str]) -> Ended {
        self.person.run(&self.line(arguments))
    }
}

#[test]
fn a_file_is_its_owners_alone_and_is_never_written_over() {
    let place = Place::new();
    let done = place.export(&["db", "--format", "dotenv", "-o", ".env"]).done();
    assert_eq!(done, "1 secrets exported to .env\n");
    let file = place.person.at(".env");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let written = format!("PASSWORD='{VALUE}'\nUSER='ada'\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    let refused = place.export(&["other", "--format", "dotenv", "-o", ".env"]).not_done();
    assert!(refused.contains(".env"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
}

#[test]
fn files_are_a_new_folder_that_only_its_owner_can_read_as_a_pod_has_them() {
    let place = Place::new();
    assert_eq!(place.export(&["db", "-f", "files", "-o", "db"]).done(), "1 secrets exported to db\n");
    let mode = |path: &str| fs::metadata(place.person.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("db"), mode("db/PASSWORD"), mode("db/USER")), (0o700, 0o400, 0o400));
    assert_eq!(fs::read_to_string(place.person.at("db/PASSWORD")).unwrap(), VALUE);
    place.export(&["--all", "-f", "files", "-o", "all"]).done();
    assert_eq!(fs::read_to_string(place.person.at("all/other/OTHER")).unwrap(), "x");
    assert_eq!((mode("all/db"), mode("all/db/USER")), (0o700, 0o400));
    let refused = place.export(&["other", "-f", "files", "-o", "db"]).not_done();
    assert!(refused.contains("db"), "{refused}");
    assert_eq!(fs::read_dir(place.person.at("db")).unwrap().count(), 2, "what is there stays");
    assert!(place.export(&["db", "-f", "files"]).not_done().contains("-o FOLDER"));
    let left = fs::read_dir(place.person.at("."))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "nothing half-written stays");
}

#[test]
fn a_pipe_gets_what_was_chosen_and_a_choice_must_be_made() {
    let place = Place::new();
    let all: Value = serde_json::from_str(&place.export(&["--all", "-f", "json"]).done()).unwrap();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let none = place.export(&["-l", "app=none"]).done();
    assert_eq!(none, "");
    assert_eq!(place.export(&[]).code, 2);
    assert_eq!(place.export(&["db", "--all"]).code, 2);
    assert_eq!(place.export(&["db", "-f", "xml"]).code, 2);
    let missing = place.export(&["nothing"]).not_done();
    assert!(missing.contains("secrets \"nothing\" not found"), "{missing}");
}

#[test]
fn a_terminal_shows_values_only_when_asked_to() {
    let place = Place::new();
    let Some(kept) = place.person.type_at(&place.line(&["db"]), &[]) else { return };
    assert_eq!(kept.code, 1, "{}", kept.stdout);
    assert!(kept.stdout.contains("--reveal") && !kept.stdout.contains("PASSWORD"), "{}", kept.stdout);
    let shown = place.person.type_at(&place.line(&["db", "--string-data", "--reveal"]), &[]).unwrap().done();
    assert!(shown.contains(VALUE), "{shown}");
    // What shows no value needs no leave.
    let pod = place.person.type_at(&place.line(&["db", "-f", "pod"]), &[]).unwrap().done();
    assert!(pod.contains("secretKeyRef") || pod.contains("secretRef"), "{pod}");
}

#[test]
fn a_sealed_secret_holds_no_value_and_a_private_key_is_sent_nowhere() {
    let place = Place::new();
    let key = openssl(&["genrsa", "2048"], b"");
    let key_file = place.person.file("key.pem", &String::from_utf8(key.clone()).unwrap());
    let certificate = openssl(&["req", "-x509", "-key", &key_file, "-subj", "/CN=sealed-secrets", "-days", "30"], b"");
    let certificate_file = place.person.file("cert.pem", &String::from_utf8(certificate).unwrap());
    let sealed = place.export(&["db", "-f", "sealedsecret", "--certificate", &certificate_file]).done();
    let document = yaml::parse_all(sealed.as_bytes()).unwrap().remove(0).value;
    assert_eq!((&document["kind"], &document["metadata"]["name"]), (&json!("SealedSecret"), &json!("db")));
    assert!(document["spec"]["encryptedData"]["PASSWORD"].as_str().unwrap().len() > 300);
    assert!(!sealed.contains(VALUE));
    let refused = place.export(&["db", "-f", "sealedsecret", "--certificate", &key_file]).not_done();
    assert!(refused.contains("holds a private key"), "{refused}");
    let without = place.export(&["db", "-f", "sealedsecret"]).not_done();
    assert!(without.contains("spec.sealedSecret"), "{without}");
}

#[test]
fn sops_decrypts_what_the_command_has_written() {
    let Some(sops) = Sops::find() else { return };
    let place = Place::new();
    let recipient = sops.identity.recipient().to_string();
    let file = place.export(&["db", "-f", "sops", "--string-data", "--age-recipient", &recipient]).done();
    assert!(!file.contains(VALUE) && file.contains("ENC[AES256_GCM,"), "{file}");
    let decrypted = yaml::parse_all(&sops.decrypt(file.as_bytes()).unwrap()).unwrap().remove(0).value;
    assert_eq!(decrypted["stringData"], json!({"PASSWORD": VALUE, "USER": "ada"}));
}
