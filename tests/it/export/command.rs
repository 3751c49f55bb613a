//! `strongroom export` against the real server: where files and values go, and where they do not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::{Value, json};
use strongroom::codec::yaml;

use super::kubeseal::Kubeseal;
use super::sops::Sops;
use crate::support::actors::{secret, secrets};
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
fn a_file_of_sealed_secrets_is_brought_up_to_date_value_by_value() {
    let Some(kubeseal) = Kubeseal::find() else { return };
    let place = Place::new();
    let certificate = kubeseal.certificate_file();
    let sealed = ["-f", "sealedsecret", "--certificate", certificate.to_str().unwrap()];
    let export = |more: &[&str]| place.export(&[&["--all"], &sealed[..], more].concat());
    let update = || export(&["-o", "sealed.yaml", "--update"]).done();
    let read = || fs::read_to_string(place.person.at("sealed.yaml")).unwrap();
    assert_eq!(update(), "2 secrets exported to sealed.yaml\n");
    let file = place.person.at("sealed.yaml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (first, inode) = (read(), fs::metadata(&file).unwrap().ino());
    assert_eq!(update(), "2 secrets exported to sealed.yaml, where nothing has changed\n");
    assert_eq!((read(), fs::metadata(&file).unwrap().ino()), (first.clone(), inode));
    assert_eq!(export(&["--previous", "sealed.yaml"]).done(), first);
    assert_ne!(export(&[]).done(), first, "without an earlier file all is sealed anew");

    let mut admin = Client::admin(&place.app);
    let change = json!({"stringData": {"PASSWORD": "another one"}});
    let path = format!("{}/db", secrets("default"));
    admin.typed("PATCH", &path, "application/merge-patch+json", change.to_string().as_bytes()).ok();
    // By a link to it, too.
    std::os::unix::fs::symlink("sealed.yaml", place.person.at("link.yaml")).unwrap();
    assert_eq!(export(&["-o", "link.yaml", "--update"]).done(), "2 secrets exported to link.yaml\n");
    assert!(fs::symlink_metadata(place.person.at("link.yaml")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    let second = read();
    let lines: Vec<_> = first.lines().zip(second.lines()).filter(|(before, after)| before != after).collect();
    assert_eq!(first.lines().count(), second.lines().count());
    let starts: Vec<_> = lines.iter().map(|(_, line)| line.trim_start().split(':').next().unwrap()).collect();
    assert_eq!(starts, ["strongroom.dev/fingerprints", "PASSWORD"]);
    let documents = yaml::parse_all(second.as_bytes()).unwrap();
    let opened: Vec<_> = documents.iter().map(|sealed| kubeseal.open(&sealed.value).expect("it opens")).collect();
    assert_eq!(opened[0]["data"], json!({"PASSWORD": "YW5vdGhlciBvbmU=", "USER": "YWRh"}));
    assert_eq!(opened[1]["data"], json!({"OTHER": "eA=="}));

    // Another certificate, another scope: all is sealed anew.
    let wide = export(&["--previous", "sealed.yaml", "--scope", "cluster-wide"]).done();
    let other = Kubeseal::find().unwrap();
    let other = other.certificate_file();
    let line = ["--all", "-f", "sealedsecret", "--certificate", other.to_str().unwrap(), "--previous", "sealed.yaml"];
    for anew in [wide, place.export(&line).done()] {
        let anew = yaml::parse_all(anew.as_bytes()).unwrap();
        for (before, after) in documents.iter().zip(&anew) {
            for (key, sealed) in before.value["spec"]["encryptedData"].as_object().unwrap() {
                assert_ne!(&after.value["spec"]["encryptedData"][key], sealed, "{key}");
            }
        }
    }
}

#[test]
fn what_is_no_file_of_sealed_secrets_is_neither_sent_nor_replaced() {
    let place = Place::new();
    let key = openssl(&["genrsa", "2048"], b"");
    let key_file = place.person.file("key.pem", &String::from_utf8(key).unwrap());
    let certificate = openssl(&["req", "-x509", "-key", &key_file, "-subj", "/CN=sealed-secrets", "-days", "30"], b"");
    let certificate = place.person.file("cert.pem", &String::from_utf8(certificate).unwrap());
    let sealed = ["db", "-f", "sealedsecret", "--certificate", &certificate];
    for (content, expected) in [
        (format!("kind: Secret\nstringData: {{k: {VALUE}}}\n"), "document 1 of the earlier file is no SealedSecret"),
        (format!("a: [{VALUE}"), "the earlier file cannot be read: yaml: line 1"),
        (format!("# {VALUE}{}", "x".repeat(2 << 20)), "too large"),
    ] {
        let file = place.person.file("other.yaml", &content);
        for options in [["-o", &file, "--update"].as_slice(), &["--previous", &file]] {
            let refused = place.export(&[&sealed[..], options].concat()).not_done();
            assert!(refused.contains(expected) && refused.contains("other.yaml"), "{refused}");
            assert!(!refused.contains(VALUE), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    // A missing file is new with --update, and a mistake with --previous.
    assert!(place.export(&[&sealed[..], &["--previous", "none.yaml"]].concat()).not_done().contains("none.yaml"));
    for line in
        [&["db", "--previous", "x"][..], &["db", "--update", "-o", "x"], &["db", "--certificate", "x", "--update"]]
    {
        assert_eq!(place.export(line).code, 2, "{line:?}");
    }
    let line = ["db", "-f", "files", "-o", "folder", "--certificate", &certificate, "--update"];
    assert!(place.export(&line).not_done().contains("are of SealedSecrets"));
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
