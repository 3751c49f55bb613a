//! SealedSecrets, unsealed as the controller does it. Keys, certificates and unsealing are in `sealed_secrets.py`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::codec::yaml;
use strongroom::export::{
    CertificateError, EarlierSealedSecret, FINGERPRINTS, Format, Options, Scope, Sealing, SealingCertificate,
    SecretDocument,
};
use strongroom::sensitive::SecretBytes;

use super::{encoded, export, stored};
use crate::support::clients;

const LIMIT: Duration = Duration::from_mins(2);
/// Within the validity of the second and third certificates.
const NOW: i64 = 1_800_000_000;

struct Controller {
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Controller {
    fn start() -> Option<Self> {
        let python = clients::find("STRONGROOM_TEST_PYTHON", &["python3"])?;
        let probe = Command::new(&python).args(["-c", "import cryptography, kubesealpy, yaml"]).output();
        if !probe.is_ok_and(|output| output.status.success()) {
            clients::missing("the Python packages cryptography, kubesealpy and PyYAML");
            return None;
        }
        let controller = Self { python, folder: tempfile::tempdir().unwrap() };
        controller.run(&["make", controller.folder.path().to_str().unwrap(), &NOW.to_string()], b"");
        Some(controller)
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/export/sealed_secrets.py");
        let mut command = Command::new(&self.python);
        let output = clients::run(command.arg("-B").arg(script).args(arguments), input, LIMIT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// The Secrets, as the key `name` unseals them; `null` for one that it cannot.
    fn unseal(&self, name: &str, file: &[u8]) -> Value {
        let key = self.folder.path().join(name);
        serde_json::from_slice(&self.run(&["unseal", key.to_str().unwrap()], file)).unwrap()
    }
}

fn documents(file: &[u8]) -> Vec<Value> {
    yaml::parse_all(file).unwrap().into_iter().map(|parsed| parsed.value).collect()
}

fn two() -> [SecretDocument; 2] {
    let every_byte: Vec<u8> = (0..=255).collect();
    [
        stored(json!({
            "metadata": {
                "name": "db", "namespace": "prod", "labels": {"app": "db"},
                "annotations": {"note": "x", "sealedsecrets.bitnami.com/cluster-wide": "true"},
            },
            "type": "kubernetes.io/basic-auth", "immutable": true,
            "data": encoded(&[("username", b"u".as_slice()), ("password", b"hunter2"), ("all", &every_byte), ("empty", b"")]),
        })),
        stored(
            json!({"metadata": {"name": "x", "namespace": "prod"}, "data": encoded(&[("k", &vec![7_u8; 100_000])])}),
        ),
    ]
}

#[test]
fn the_controller_unseals_what_was_sealed_in_every_scope() {
    let Some(controller) = Controller::start() else { return };
    let certificate = SealingCertificate::choose(&controller.pem("current.crt"), NOW, false).unwrap();
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let sealing = Sealing { certificate: &certificate, scope, fingerprint_key: None, earlier: &[] };
        let options = Options { sealing: Some(sealing), ..Options::default() };
        let file = export(&two(), Format::SealedSecret, &options).unwrap();
        let unsealed = controller.unseal("current.key", &file);
        let secrets = two();
        let plain = export(&secrets, Format::Json, &Options::default()).unwrap();
        let plain: Value = serde_json::from_slice(&plain).unwrap();
        for index in [0, 1] {
            let (unsealed, plain) = (&unsealed[index], &plain["items"][index]);
            assert_eq!(unsealed["data"], plain["data"], "{scope}");
            assert_eq!(unsealed["kubesealpy"], plain["data"], "{scope}");
            assert_eq!(unsealed["template"].get("type"), plain.get("type"));
            assert_eq!(unsealed["template"].get("immutable"), plain.get("immutable"));
            assert_eq!(unsealed["template"]["metadata"].get("labels"), plain["metadata"].get("labels"));
        }
        let mut annotations = json!({"note": "x"});
        if scope != Scope::Strict {
            annotations[format!("sealedsecrets.bitnami.com/{scope}")] = "true".into();
        }
        assert_eq!(unsealed[0]["template"]["metadata"]["annotations"], annotations);

        // Under another name, in another namespace.
        let mut moved = documents(&file);
        moved[0]["metadata"]["name"] = "other".into();
        let renamed = controller.unseal("current.key", yaml::to_string(&moved[0]).as_bytes());
        assert_eq!(renamed[0]["data"].is_null(), scope == Scope::Strict, "{scope}");
        moved[0]["metadata"]["namespace"] = "other".into();
        let elsewhere = controller.unseal("current.key", yaml::to_string(&moved[0]).as_bytes());
        assert_eq!(elsewhere[0]["data"].is_null(), scope != Scope::ClusterWide, "{scope}");
    }
}

#[test]
fn the_newest_certificate_that_is_valid_seals() {
    let Some(controller) = Controller::start() else { return };
    let choose = |names: &[&str], allow_expired| {
        let pem: Vec<u8> = names.iter().flat_map(|name| controller.pem(name)).collect();
        SealingCertificate::choose(&pem, NOW, allow_expired)
    };
    let fingerprint = |name: &str| *choose(&[name], true).unwrap().fingerprint();
    let current = fingerprint("current.crt");
    assert_eq!(
        choose(&["expired.crt", "older.crt", "current.crt", "future.crt"], false).unwrap().fingerprint(),
        &current
    );
    assert_eq!(choose(&["current.crt", "older.crt"], false).unwrap().fingerprint(), &current);
    assert_eq!(choose(&["ec.crt", "current.key", "current.crt"], false).unwrap().fingerprint(), &current);
    assert!(choose(&["expired.crt"], true).is_ok());
    for (names, error) in [
        (&["expired.crt"][..], CertificateError::Expired),
        (&["future.crt"], CertificateError::NotYet),
        (&["expired.crt", "future.crt"], CertificateError::Expired),
        (&["ec.crt"], CertificateError::NoRsaKey),
        (&["current.key"], CertificateError::None),
        (&[], CertificateError::None),
    ] {
        assert_eq!(choose(names, false).err(), Some(error), "{names:?}");
    }
}

#[test]
fn a_value_keeps_its_ciphertext_while_nothing_about_it_changes() {
    let Some(controller) = Controller::start() else { return };
    let current = SealingCertificate::choose(&controller.pem("current.crt"), NOW, false).unwrap();
    let older = SealingCertificate::choose(&controller.pem("older.crt"), NOW, false).unwrap();
    let (key, other_key) = (SecretBytes::new(vec![1; 32]), SecretBytes::new(vec![2; 32]));
    let seal = |secrets: &[SecretDocument], certificate, scope, key, earlier: &[Value]| {
        let earlier: Vec<_> = earlier.iter().filter_map(EarlierSealedSecret::read).collect();
        let sealing = Sealing { certificate, scope, fingerprint_key: key, earlier: &earlier };
        let file =
            export(secrets, Format::SealedSecret, &Options { sealing: Some(sealing), ..Options::default() }).unwrap();
        documents(&file)
    };
    let secret = |password: &str| {
        let data = encoded(&[("user", "u"), ("password", password)]);
        [stored(json!({"metadata": {"name": "db", "namespace": "prod"}, "data": data}))]
    };
    let first = seal(&secret("a"), &current, Scope::Strict, Some(&key), &[]);
    let kept = |after: &[Value]| {
        let same = |name: &str| first[0]["spec"]["encryptedData"][name] == after[0]["spec"]["encryptedData"][name];
        (same("user"), same("password"))
    };
    assert_eq!(seal(&secret("a"), &current, Scope::Strict, Some(&key), &first), first);
    assert_eq!(kept(&seal(&secret("b"), &current, Scope::Strict, Some(&key), &first)), (true, false));
    assert_eq!(kept(&seal(&secret("a"), &older, Scope::Strict, Some(&key), &first)), (false, false));
    assert_eq!(kept(&seal(&secret("a"), &current, Scope::NamespaceWide, Some(&key), &first)), (false, false));
    assert_eq!(kept(&seal(&secret("a"), &current, Scope::Strict, Some(&other_key), &first)), (false, false));
    assert_eq!(kept(&seal(&secret("a"), &current, Scope::Strict, None, &first)), (false, false));

    // Ciphertexts that were exchanged, of the file's own Secret or another, do not stay.
    let mut exchanged = first.clone();
    let values = exchanged[0]["spec"]["encryptedData"].as_object_mut().unwrap();
    let (user, password) = (values["user"].clone(), values["password"].clone());
    values.insert("user".to_owned(), password);
    values.insert("password".to_owned(), user);
    let after = seal(&secret("a"), &current, Scope::Strict, Some(&key), &exchanged);
    assert_ne!(after[0]["spec"]["encryptedData"]["user"], exchanged[0]["spec"]["encryptedData"]["user"]);
    let mut renamed = first.clone();
    renamed[0]["metadata"]["name"] = "x".into();
    let other = [stored(json!({"metadata": {"name": "x", "namespace": "prod"}, "data": encoded(&[("user", "u")])}))];
    assert!(!kept(&seal(&other, &current, Scope::Strict, Some(&key), &renamed)).0);

    // Nothing that a file may hold leads to an error, or to a ciphertext that is not this value's.
    let text = |value: &str| Value::from(value);
    let of_another = seal(&secret("other"), &current, Scope::Strict, Some(&key), &[]);
    let hashes = |of: &[Value]| of[0]["metadata"]["annotations"][FINGERPRINTS].clone();
    let annotation = format!("/metadata/annotations/{}", FINGERPRINTS.replace('/', "~1"));
    for (place, put) in [
        (&*annotation, text("no JSON")),
        (&*annotation, text("[{\"password\": 1}]")),
        (&*annotation, text("{\"password\": [\"\"], \"user\": null}")),
        (&*annotation, json!({"password": "x"})),
        (&*annotation, hashes(&of_another)),
        ("/metadata/annotations", json!(["x"])),
        ("/metadata/namespace", json!(7)),
        ("/spec/encryptedData", text("x")),
        ("/spec/encryptedData", json!({"user": 7, "password": null})),
        ("/spec/encryptedData", of_another[0]["spec"]["encryptedData"].clone()),
        ("/spec", Value::Null),
    ] {
        let mut hostile = first.clone();
        *hostile[0].pointer_mut(place).unwrap() = put;
        let after = seal(&secret("a"), &current, Scope::Strict, Some(&key), &hostile);
        assert_eq!(kept(&after), (false, false), "{place}");
        let unsealed = controller.unseal("current.key", yaml::to_string(&after[0]).as_bytes());
        assert_eq!(unsealed[0]["data"], encoded(&[("user", "u"), ("password", "a")]), "{place}");
    }

    // The hashes stand at the SealedSecret, not at the Secret that comes of it.
    assert!(first[0]["metadata"]["annotations"][FINGERPRINTS].is_string());
    assert!(first[0]["spec"]["template"]["metadata"].get("annotations").is_none());
    let unsealed = controller.unseal("current.key", yaml::to_string(&first[0]).as_bytes());
    assert_eq!(unsealed[0]["data"], encoded(&[("user", "u"), ("password", "a")]));
}
