//! SOPS files, read by the genuine sops, and its own read here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::codec::yaml;
use strongroom::export::{Format, Identity, Options, SecretDocument, SopsError, decrypt_sops};

use super::{encoded, export, random, stored};
use crate::support::clients;

const LIMIT: Duration = Duration::from_mins(2);

pub struct Sops {
    program: PathBuf,
    pub identity: Identity,
    folder: tempfile::TempDir,
}

impl Sops {
    pub fn find() -> Option<Self> {
        let program = clients::find("STRONGROOM_TEST_SOPS", &["sops"])?;
        clients::drives(&format!("sops: {}", program.display()));
        let identity = Identity::make(&mut random).unwrap();
        Some(Self { program, identity, folder: tempfile::tempdir().unwrap() })
    }

    fn run(&self, arguments: &[&str], file: &Path) -> std::process::Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg(file).env("SOPS_AGE_KEY", self.identity.reveal().as_str());
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        clients::run(&mut command, b"", LIMIT)
    }

    pub fn decrypt(&self, content: &[u8]) -> Result<Vec<u8>, String> {
        let file = self.folder.path().join("encrypted.yaml");
        fs::write(&file, content).unwrap();
        let output = self.run(&["decrypt"], &file);
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn encrypt(&self, content: &str, name: &str, options: &[&str]) -> Vec<u8> {
        let file = self.folder.path().join(name);
        fs::write(&file, content).unwrap();
        let recipient = self.identity.recipient().to_string();
        // Rules in a file and keys of the command are not for one run.
        let ruled = self.folder.path().join(".sops.yaml").exists();
        let keys = if ruled { vec!["encrypt"] } else { vec!["encrypt", "--age", &recipient] };
        let output = self.run(&[&keys, options].concat(), &file);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn read(&self, file: &[u8]) -> Result<Vec<SecretDocument>, SopsError> {
        let documents = decrypt_sops(file, std::slice::from_ref(&self.identity))?;
        Ok(documents.iter().map(|document| SecretDocument::read(document).unwrap()).collect())
    }
}

fn documents(file: &[u8]) -> Vec<Value> {
    yaml::parse_all(file).unwrap().into_iter().map(|parsed| parsed.value).collect()
}

/// Keys, labels and annotations that readers of YAML differ about, and values of every kind.
fn secrets() -> Vec<SecretDocument> {
    let doubtful = [
        "yes",
        "0o17",
        "1_000",
        "0x1F",
        "1e3",
        ".5",
        "1:30",
        "~",
        "2001-01-01",
        "=",
        "<<",
        "null",
        "+1",
        "0b1",
        "07",
        "on",
    ];
    let annotations: Value = doubtful
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("a{index}"), Value::from(*text)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys = [
        "yes",
        "0o17",
        "1_000",
        "0x1F",
        "1e3",
        ".5",
        "2001-01-01",
        "null",
        "0b1",
        "07",
        "on",
        "-",
        "_",
        "1.5",
        "k10",
        "k9",
        "A",
    ];
    let mut data = encoded(&keys.map(|key| (key, "v")));
    data["all"] = encoded(&[("x", &every_byte)])["x"].clone();
    data["lines"] = encoded(&[("x", "a\nb: c\n\n  d\r\n")])["x"].clone();
    data["empty"] = "".into();
    vec![
        stored(json!({
            "metadata": {"name": "db", "namespace": "123", "labels": {"data": "x", "app": "db"}, "annotations": annotations},
            "type": "kubernetes.io/basic-auth", "immutable": true, "data": data,
        })),
        stored(json!({"metadata": {"name": "none", "namespace": "prod"}})),
        stored(
            json!({"metadata": {"name": "x", "namespace": "prod"}, "data": encoded(&[("k", &vec![7_u8; 100_000])])}),
        ),
    ]
}

#[test]
fn sops_decrypts_what_is_exported() {
    let Some(sops) = Sops::find() else { return };
    let stranger = Identity::make(&mut random).unwrap();
    let recipients = [stranger.recipient(), sops.identity.recipient()];
    for string_data in [false, true] {
        let options =
            Options { string_data, recipients: &recipients, now_seconds: 1_800_000_000, ..Options::default() };
        let file = export(&secrets(), Format::Sops, &options).unwrap();
        let plain = export(&secrets(), Format::Yaml, &options).unwrap();
        let decrypted = sops.decrypt(&file).unwrap();
        assert_eq!(documents(&decrypted), documents(&plain));
        // And one alone.
        let file = export(&secrets()[..1], Format::Sops, &options).unwrap();
        let plain = export(&secrets()[..1], Format::Yaml, &options).unwrap();
        assert_eq!(documents(&sops.decrypt(&file).unwrap()), documents(&plain));
        let changed = String::from_utf8(file).unwrap().replace("app: db", "app: d");
        assert!(sops.decrypt(changed.as_bytes()).unwrap_err().contains("MAC"));
    }
}

#[test]
fn what_sops_encrypts_is_read() {
    let Some(sops) = Sops::find() else { return };
    let plain = export(&secrets(), Format::Yaml, &Options { string_data: true, ..Options::default() }).unwrap();
    let text = String::from_utf8(plain.clone()).unwrap();
    let commented = text.replace("stringData:\n", "# a comment\nstringData:\n  # another\n");
    let ordered = "kind: Secret\nmetadata:\n  namespace: prod\n  name: b\n  labels: {z: \"1\", a: x}\nstringData:\n  z: 'y'\n  a: |\n    \
                   l\napiVersion: v1\n";
    for (content, name, options) in [
        (text.as_str(), "s.yaml", &["--encrypted-regex", "^(data|stringData)$"][..]),
        (&text, "s.yaml", &[]),
        (&text, "s.yaml", &["--unencrypted-regex", "^(kind|apiVersion|metadata)$"]),
        (&commented, "s.yaml", &[]),
        (ordered, "s.yaml", &[]),
        (ordered, "s.yaml", &["--encrypted-regex", "^stringData$"]),
    ] {
        let file = sops.encrypt(content, name, options);
        let read = sops.read(&file).unwrap_or_else(|error| panic!("{options:?}: {error}"));
        let expected: Vec<_> = documents(content.as_bytes()).into_iter().map(stored).collect();
        let shown =
            |secrets: &[SecretDocument]| String::from_utf8(export(secrets, Format::Yaml, &Options::default()).unwrap());
        assert_eq!(shown(&read), shown(&expected), "{options:?}");
    }
    // What no option of the command sets.
    let recipient = sops.identity.recipient();
    let rule = format!("creation_rules:\n- age: {recipient}\n  encrypted_regex: ^data$\n  mac_only_encrypted: true\n");
    fs::write(sops.folder.path().join(".sops.yaml"), rule).unwrap();
    let data_only = export(&secrets(), Format::Yaml, &Options::default()).unwrap();
    let file = sops.encrypt(std::str::from_utf8(&data_only).unwrap(), "s.yaml", &[]);
    assert!(String::from_utf8_lossy(&file).contains("mac_only_encrypted: true"));
    assert_eq!(export(&sops.read(&file).unwrap(), Format::Yaml, &Options::default()).unwrap(), data_only);
    fs::remove_file(sops.folder.path().join(".sops.yaml")).unwrap();
    let json = export(&secrets()[..1], Format::Json, &Options::default()).unwrap();
    let file = sops.encrypt(std::str::from_utf8(&json).unwrap(), "s.json", &[]);
    let read = sops.read(&file).unwrap();
    assert_eq!(export(&read, Format::Json, &Options::default()).unwrap(), json);
}

#[test]
fn a_file_of_sops_that_was_changed_is_refused() {
    let Some(sops) = Sops::find() else { return };
    let plain = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: b\n  namespace: prod\nstringData:\n  k: hunter2\n  l: other\n";
    let file = sops.encrypt(plain, "s.yaml", &["--encrypted-regex", "^(data|stringData)$"]);
    let file = String::from_utf8(file).unwrap();
    assert!(sops.read(file.as_bytes()).is_ok());
    for (from, to) in [
        ("name: b", "name: c"),
        ("    k: ENC", "    m: ENC"),
        ("type:str", "type:int"),
        ("kind: Secret", "kind: Secret\nx: y"),
    ] {
        let changed = file.replacen(from, to, 1);
        assert_ne!(changed, file);
        assert!(sops.read(changed.as_bytes()).is_err(), "{from}");
    }
    let stranger = Identity::make(&mut random).unwrap();
    assert!(matches!(decrypt_sops(file.as_bytes(), &[stranger]), Err(SopsError::NoIdentity)));
}
