//! Arbitrary bytes, exported and imported again: the same, or an error that names the key.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use strongroom::export::{ExportError, Format, Identity, Options, SecretDocument, decrypt_sops};
use strongroom::import::{dotenv, manifests};
use strongroom::sensitive::SecretBytes;

use super::{export, random, secret};
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::person::Person;

const CASES: u32 = 400;

type Values = BTreeMap<String, Vec<u8>>;

/// Keys that a Secret may have, and that readers may take for something else.
fn key() -> impl Strategy<Value = String> {
    let doubtful = vec!["yes", "0o17", "1e3", "null", "-", "_", ".5", "export", "a.b-c_d", "0x1F", "2001-01-01"];
    prop_oneof![
        3 => "[A-Z_][A-Z0-9_]{0,8}",
        2 => "[A-Za-z0-9_-][-._A-Za-z0-9]{0,12}",
        1 => "\\.[A-Za-z0-9_-][-._A-Za-z0-9]{0,12}",
        1 => proptest::sample::select(doubtful).prop_map(str::to_owned),
    ]
    .prop_filter("no path to elsewhere", |key| key != ".")
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"'",
        b"\"",
        b"$",
        b"${A}",
        b"`",
        b"\\",
        b"#",
        b" #",
        b"=",
        b" ",
        b"\t",
        b": ",
        b"- ",
        b"---\n",
        b"...",
        b"&a",
        b"*a",
        b"!!int",
        b"{",
        b"[",
        b"|",
        b">",
        b"%",
        b"@",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"ENC[",
        b"yes",
        b"0",
        b"~",
        b"a",
        b"\x7f",
        b"\x1b",
    ];
    let pieces = proptest::collection::vec(proptest::sample::select(pieces), 0..9).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => pieces, 2 => proptest::collection::vec(any::<u8>(), 0..40), 1 => ".{0,20}".prop_map(String::into_bytes)]
}

fn of(values: &Values) -> SecretDocument {
    let entries: Vec<(&str, &Vec<u8>)> = values.iter().map(|(key, value)| (key.as_str(), value)).collect();
    secret("x", &entries)
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was imported")]
fn bytes<'a>(values: impl Iterator<Item = (&'a String, &'a SecretBytes)>) -> Values {
    values.map(|(key, value)| (key.clone(), value.expose().to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn manifests_bring_back_what_they_were_made_of(values in proptest::collection::btree_map(key(), value(), 0..6)) {
        for (format, string_data) in [(Format::Yaml, false), (Format::Yaml, true), (Format::Json, false), (Format::Json, true)] {
            let options = Options { string_data, ..Options::default() };
            let file = export(&[of(&values)], format, &options).unwrap();
            let read = manifests(&file).unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(bytes(read[0].values()), values.clone(), "{} {}", format, string_data);
            // Of several, each.
            let file = export(&[of(&values), of(&Values::new())], format, &options).unwrap();
            let read = manifests(&file).unwrap();
            prop_assert_eq!(read.len(), 2);
            prop_assert_eq!(bytes(read[0].values()), values.clone());
        }
    }

    #[test]
    fn a_sops_file_brings_back_what_it_was_made_of(
        values in proptest::collection::btree_map(key(), value(), 0..6),
        string_data in any::<bool>(),
    ) {
        let identity = Identity::make(&mut random).unwrap();
        let recipients = [identity.recipient()];
        let options = Options { recipients: &recipients, string_data, ..Options::default() };
        let file = export(&[of(&values)], Format::Sops, &options).unwrap();
        let documents = decrypt_sops(&file, &[identity]).unwrap();
        let read = SecretDocument::read(&documents[0]).unwrap();
        prop_assert_eq!(bytes(read.values()), values);
    }

    #[test]
    fn a_dotenv_file_brings_back_what_it_was_made_of_or_names_the_key(
        values in proptest::collection::btree_map(key(), value(), 0..6),
    ) {
        let taken: Values = values.into_iter().filter(|(key, value)| {
            let alone = Values::from([(key.clone(), value.clone())]);
            match export(&[of(&alone)], Format::Dotenv, &Options::default()) {
                Ok(_) => true,
                Err(ExportError::NotCarried { key: named, .. }) => {
                    assert_eq!(&named, key);
                    false
                }
                Err(error) => panic!("{error}"),
            }
        }).collect();
        let file = export(&[of(&taken)], Format::Dotenv, &Options::default()).unwrap();
        let read = dotenv(&file).unwrap();
        prop_assert_eq!(bytes(read.iter()), taken);
    }
}

#[test]
fn a_folder_of_files_brings_back_what_it_was_made_of() {
    const VALUES: usize = 200;
    let mut runner = TestRunner::default();
    let any = (key(), value());
    let mut values: Values = (0..VALUES).map(|_| any.new_tree(&mut runner).unwrap().current()).collect();
    values.insert(".dockerconfigjson".to_owned(), b"{}".to_vec());
    let app = App::start();
    let mut admin = Client::admin(&app);
    let data: Value = values
        .iter()
        .map(|(key, value)| (key.clone(), STANDARD.encode(value).into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    admin.json("POST", &secrets("default"), &json!({"metadata": {"name": "all"}, "data": data})).ok();
    let person = Person::new();
    let home = app.home().to_str().unwrap();
    person.run(&["export", "all", "-f", "files", "-o", "all", "--home", home]).done();
    for (key, value) in &values {
        assert_eq!(&fs::read(person.at("all").join(key)).unwrap(), value, "{key}");
    }
    // Alone, and with others in folders of their own.
    person.run(&["export", "--all", "-f", "files", "-o", "folders", "--home", home]).done();
    for folder in ["all", "folders"] {
        admin.delete(&format!("{}/all", secrets("default"))).ok();
        person.run(&["import", folder, "--home", home]).done();
        assert_eq!(admin.get(&format!("{}/all", secrets("default"))).ok().json()["data"], data, "{folder}");
    }
}
