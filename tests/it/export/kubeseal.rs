//! The genuine kubeseal opens what is sealed here and makes the same of a Secret; what another implementation seals is
//! opened with it.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};
use strongroom::codec::yaml;
use strongroom::export::{Format, Options, Scope, Sealing, SealingCertificate, SecretDocument};

use super::{encoded, export, stored};
use crate::support::clients;
use crate::support::jwt::openssl;
use crate::support::person::Person;

const LIMIT: Duration = Duration::from_mins(1);
const SCOPES: [Scope; 3] = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide];

/// kubeseal, and a controller's key and certificate of today.
pub struct Kubeseal {
    program: PathBuf,
    person: Person,
}

impl Kubeseal {
    pub fn find() -> Option<Self> {
        let program = clients::find("STRONGROOM_TEST_KUBESEAL", &["kubeseal"])?;
        clients::drives(&format!("kubeseal: {}", program.display()));
        let person = Person::new();
        let key = String::from_utf8(openssl(&["genrsa", "2048"], b"")).unwrap();
        let key_file = person.file("key.pem", &key);
        let request = ["req", "-x509", "-key", &key_file, "-subj", "/CN=sealed-secret", "-days", "30"];
        person.file("cert.pem", &String::from_utf8(openssl(&request, b"")).unwrap());
        Some(Self { program, person })
    }

    /// The certificate's file.
    pub fn certificate_file(&self) -> PathBuf {
        self.person.at("cert.pem")
    }

    fn certificate(&self) -> SealingCertificate {
        let pem = std::fs::read(self.certificate_file()).unwrap();
        SealingCertificate::choose(&pem, SystemClock.unix_seconds(), false).unwrap()
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        clients::run(&mut self.person.program(&self.program, arguments), input, LIMIT)
    }

    /// The Secret, or `None` for one that does not open.
    pub fn open(&self, sealed: &Value) -> Option<Value> {
        let arguments = ["--recovery-unseal", "--recovery-private-key", "key.pem", "-o", "json"];
        let output = self.run(&arguments, yaml::to_string(sealed).as_bytes());
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn seal(&self, manifest: &[u8], scope: Scope) -> Value {
        let scope = scope.to_string();
        let output = self.run(&["--cert", "cert.pem", "--scope", &scope, "-o", "json"], manifest);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// As we seal it.
    fn ours(&self, secret: SecretDocument, scope: Scope) -> Value {
        let certificate = self.certificate();
        let sealing = Sealing { certificate: &certificate, scope, fingerprint_key: None, earlier: &[] };
        let options = Options { sealing: Some(sealing), ..Options::default() };
        let file = export(&[secret], Format::SealedSecret, &options).unwrap();
        yaml::parse_all(&file).unwrap().remove(0).value
    }
}

fn secret() -> SecretDocument {
    let every_byte: Vec<u8> = (0..=255).collect();
    let values = [("username", b"u".as_slice()), ("all", &every_byte), ("long", &vec![7; 100_000]), ("empty", b"")];
    stored(json!({
        "metadata": {"name": "db", "namespace": "prod", "labels": {"app": "db"}, "annotations": {"note": "x"}},
        "type": "example.com/kind", "immutable": true, "data": encoded(&values),
    }))
}

fn plain() -> Value {
    serde_json::from_slice(&export(&[secret()], Format::Json, &Options::default()).unwrap()).unwrap()
}

/// Values by key, as kubeseal prints them: an empty one is `null`.
fn values(opened: &Value) -> Vec<(String, String)> {
    let entries = opened["data"].as_object().unwrap().iter();
    entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

#[test]
fn kubeseal_opens_what_is_sealed_here_where_its_scope_says_and_nowhere_else() {
    let Some(kubeseal) = Kubeseal::find() else { return };
    for scope in SCOPES {
        let sealed = kubeseal.ours(secret(), scope);
        let (opened, plain) = (kubeseal.open(&sealed).expect("it opens"), plain());
        assert_eq!(values(&opened), values(&plain), "{scope}");
        for field in ["type", "immutable"] {
            assert_eq!(opened[field], plain[field], "{scope}");
        }
        assert_eq!(opened["metadata"]["labels"], plain["metadata"]["labels"], "{scope}");

        let mut moved = sealed;
        moved["metadata"]["name"] = "other".into();
        assert_eq!(kubeseal.open(&moved).is_none(), scope == Scope::Strict, "{scope}");
        moved["metadata"]["namespace"] = "other".into();
        assert_eq!(kubeseal.open(&moved).is_none(), scope != Scope::ClusterWide, "{scope}");
    }
}

#[test]
fn kubeseal_makes_the_same_of_a_secret_but_for_the_random_part() {
    let Some(kubeseal) = Kubeseal::find() else { return };
    let manifest = export(&[secret()], Format::Yaml, &Options::default()).unwrap();
    for scope in SCOPES {
        let pair = [kubeseal.ours(secret(), scope), kubeseal.seal(&manifest, scope)];
        let [ours, theirs] = pair.map(|mut sealed| {
            for value in sealed["spec"]["encryptedData"].as_object_mut().unwrap().values_mut() {
                let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
                *value = json!([bytes.len(), bytes[..2]]);
            }
            sealed
        });
        assert_eq!(ours, theirs, "{scope}");
    }
}

/// It seals for a namespace alone, and takes text.
const SEAL: &str = "import {readFileSync} from 'node:fs';
import {encryptSecretItem} from '@linode/kubeseal-encrypt';
const {key, namespace, values} = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(await Promise.all(values.map(value => encryptSecretItem(key, namespace, value)))));";

#[test]
fn what_another_implementation_seals_opens_with_what_is_sealed_here() {
    let Some(kubeseal) = Kubeseal::find() else { return };
    let Some(node) = clients::find("STRONGROOM_TEST_NODE", &["node"]) else { return };
    let Some(packages) = std::env::var_os("STRONGROOM_TEST_NODE_PACKAGES").map(PathBuf::from) else {
        return clients::missing("STRONGROOM_TEST_NODE_PACKAGES names no folder with @linode/kubeseal-encrypt");
    };
    let key_file = kubeseal.person.at("key.pem");
    let key = String::from_utf8(openssl(&["rsa", "-in", key_file.to_str().unwrap(), "-pubout"], b"")).unwrap();
    let texts = ["hunter2", "", "ä\n\0🔑"];
    let mut command = kubeseal.person.program(node, &["--input-type=module", "--eval", SEAL]);
    let asked = json!({"key": key, "namespace": "prod", "values": texts}).to_string();
    let output = clients::run(command.current_dir(packages), asked.as_bytes(), LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();

    let keys = ["a", "b", "c"];
    let entries: Vec<_> = keys.into_iter().zip(texts).collect();
    let secret = || stored(json!({"metadata": {"name": "db", "namespace": "prod"}, "data": encoded(&entries)}));
    let of = |scope| {
        let ours = kubeseal.ours(secret(), scope);
        let mut both = ours.clone();
        for (key, sealed) in keys.iter().zip(&theirs) {
            let bytes = |sealed: &str| STANDARD.decode(sealed).unwrap();
            let (own, other) = (bytes(ours["spec"]["encryptedData"][key].as_str().unwrap()), bytes(sealed));
            assert_eq!((own.len(), &own[..2]), (other.len(), &other[..2]), "{key}");
            both["spec"]["encryptedData"][format!("their-{key}")] = sealed.as_str().into();
        }
        both
    };
    let opened = kubeseal.open(&of(Scope::NamespaceWide)).expect("it opens");
    for (key, text) in entries.iter().copied() {
        let expected = STANDARD.encode(text);
        assert_eq!(opened["data"][key].as_str().unwrap_or_default(), expected);
        assert_eq!(opened["data"][format!("their-{key}")].as_str().unwrap_or_default(), expected);
    }
    // Under the rules of another scope, or in another namespace, it is for nobody.
    assert!(kubeseal.open(&of(Scope::Strict)).is_none() && kubeseal.open(&of(Scope::ClusterWide)).is_none());
    let mut moved = of(Scope::NamespaceWide);
    moved["metadata"]["namespace"] = "other".into();
    assert!(kubeseal.open(&moved).is_none());
}
