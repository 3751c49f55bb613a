//! `strongroom secret generate`: values that nobody has to think up, see or carry.
//!
//! What it never does: print one, or replace a value without `--overwrite`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::place::{Id, Place, SecretName, key_option, values};
use super::set::listed;
use super::writing::{State, WriteOptions, data, is};
use crate::cli::{CliError, completion, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{ConfigError, Environment};
use crate::generate::{Alphabet, LENGTH_MAX, LENGTH_MIN, NoRandomness, hex_digits, password, ssh_key, uuid};
use crate::model::validation::names::dns1123_subdomain;
use crate::pki::{KeyKind, Names, make_key_pair, make_self_signed};
use crate::sensitive::SecretBytes;

const PASSWORD_CHARACTERS: usize = 32;
const CERTIFICATE_DAYS: u32 = 365;
const HEX_BYTES: usize = 32;
/// What can be tried by a machine in a life.
const WEAK_BITS: usize = 80;
const ATTEMPTS: usize = 5;

// The variants have no documentation of their own: clap would make long help of it.

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Password,
    Hex,
    Uuid,
    SshKey,
    Rsa,
    Ec,
    Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RsaBits {
    #[value(name = "2048")]
    Two,
    #[value(name = "3072")]
    Three,
    #[value(name = "4096")]
    Four,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Curve {
    P256,
    P384,
}

/// Options of `secret generate`.
#[derive(Args)]
pub struct Generate {
    /// The Secret; made if there is none
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// The keys, each for a value of its own; of ssh-key and tls they follow from the type
    #[arg(value_name = "KEY", value_parser = key_option)]
    keys: Vec<String>,
    /// password, hex, uuid; rsa and ec put the public key under KEY.pub; ssh-key and tls make Secrets of Kubernetes' types
    #[arg(short, long, value_enum, value_name = "KIND", default_value = "password")]
    kind: Kind,
    /// password: characters [default: 32]; hex: bytes [default: 32]
    #[arg(long, value_name = "NUMBER")]
    length: Option<usize>,
    /// password: the characters to choose from [default: letters and digits]
    #[arg(long, value_name = "CHARACTERS")]
    alphabet: Option<String>,
    /// rsa: bits [default: 3072]
    #[arg(long, value_enum, value_name = "BITS")]
    bits: Option<RsaBits>,
    /// ec and tls: curve of the key [default: p256]
    #[arg(long, value_enum, value_name = "CURVE")]
    curve: Option<Curve>,
    /// tls: a name or address that the self-signed certificate is for; may be repeated
    #[arg(long, value_name = "NAME")]
    dns_name: Vec<String>,
    /// tls: how long it is valid [default: 365]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Replace values that are there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    write: WriteOptions,
}

/// What was made, and how it is told.
struct Made {
    values: BTreeMap<String, SecretBytes>,
    /// A type that the values are of.
    secret_type: Option<&'static str>,
    told: String,
}

impl Generate {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        self.check()?;
        let place = self.write.place(environment)?;
        let id = place.id(&self.secret);
        // Before anything is made, which takes its time for some.
        let keys = self.target_keys();
        let mut found = self.find(&place, &id, &keys)?;
        let made = self.make(&id)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let written = match &found {
                None => self.write.create(&place, &id, data(&made.values), made.secret_type),
                Some(state) => self.replace(&place, &id, &made, state),
            };
            match written {
                Ok(()) => {
                    let done = if found.is_none() { "created" } else { "changed" };
                    self.write.tell(&id, done, &format!(": {}", made.told));
                    return Ok(());
                }
                // Somebody else wrote meanwhile: perhaps these very keys.
                Err(error) if is(&error, 409, "Conflict") || is(&error, 409, "AlreadyExists") => last = Some(error),
                Err(error) => return Err(error),
            }
            found = self.find(&place, &id, &keys)?;
        }
        Err(last.unwrap_or_else(|| CliError::NotDone("the Secret changed again and again".to_owned())))
    }

    /// What does not fit together, before anything is asked.
    fn check(&self) -> Result<(), CliError> {
        let wrong = |option: &str, problem: String| Err(ConfigError::new(option, problem).into());
        let has_own_keys = matches!(self.kind, Kind::SshKey | Kind::Tls);
        if has_own_keys && !self.keys.is_empty() {
            return wrong("KEY", format!("--kind {} has keys of its own", name(self.kind)));
        }
        if !has_own_keys && self.keys.is_empty() {
            return wrong("KEY", "say under which keys".to_owned());
        }
        let mut seen = std::collections::BTreeSet::new();
        for key in self.target_keys() {
            if !seen.insert(key.clone()) {
                return wrong("KEY", format!("{key} is given twice"));
            }
            if let Err(problem) = key_option(&key) {
                return wrong("KEY", problem);
            }
        }
        let of = |option: &str, is_given: bool, kinds: &[Kind]| {
            let problem = format!("is not for --kind {}", name(self.kind));
            (is_given && !kinds.contains(&self.kind)).then(|| (option.to_owned(), problem))
        };
        let misplaced = [
            of("--length", self.length.is_some(), &[Kind::Password, Kind::Hex]),
            of("--alphabet", self.alphabet.is_some(), &[Kind::Password]),
            of("--bits", self.bits.is_some(), &[Kind::Rsa]),
            of("--curve", self.curve.is_some(), &[Kind::Ec, Kind::Tls]),
            of("--dns-name", !self.dns_name.is_empty(), &[Kind::Tls]),
            of("--days", self.days.is_some(), &[Kind::Tls]),
        ];
        if let Some((option, problem)) = misplaced.into_iter().flatten().next() {
            return wrong(&option, problem);
        }
        if self.length.is_some_and(|length| !(LENGTH_MIN..=LENGTH_MAX).contains(&length)) {
            return wrong("--length", format!("must be {LENGTH_MIN} to {LENGTH_MAX}"));
        }
        if self.kind == Kind::Tls && self.dns_name.is_empty() {
            return wrong("--dns-name", "is needed: a certificate is for a name".to_owned());
        }
        if let Some(host) = self.dns_name.iter().find(|host| !is_host(host)) {
            return wrong("--dns-name", format!("{host:?} is no name of a host, nor an address"));
        }
        self.characters().map(drop)
    }

    fn characters(&self) -> Result<Alphabet, CliError> {
        match &self.alphabet {
            None => Ok(Alphabet::alphanumeric()),
            Some(text) => Alphabet::of(text).map_err(|error| ConfigError::new("--alphabet", error.to_string()).into()),
        }
    }

    /// What will be written.
    fn target_keys(&self) -> Vec<String> {
        match self.kind {
            Kind::SshKey => vec!["ssh-privatekey".to_owned(), "ssh-publickey".to_owned()],
            Kind::Tls => vec!["tls.crt".to_owned(), "tls.key".to_owned()],
            Kind::Rsa | Kind::Ec => self.keys.iter().flat_map(|key| [key.clone(), public(key)]).collect(),
            _ => self.keys.clone(),
        }
    }

    /// The state that the Secret is in, if there is one; a refusal where values would be lost.
    fn find(&self, place: &Place, id: &Id, keys: &[String]) -> Result<Option<State>, CliError> {
        let secret = match place.get(id) {
            Ok(secret) => secret,
            Err(error) if is(&error, 404, "NotFound") => return Ok(None),
            Err(error) => return Err(error),
        };
        let there = values(&secret)?;
        let taken = listed(keys.iter().filter(|key| there.contains_key(*key)));
        if !taken.is_empty() && !self.overwrite {
            return Err(CliError::NotDone(format!(
                "Secret {id} has {taken} already: --overwrite replaces what is there"
            )));
        }
        Ok(Some(State::of(&secret)))
    }

    fn replace(&self, place: &Place, id: &Id, made: &Made, state: &State) -> Result<(), CliError> {
        let mut patch = Map::new();
        patch.insert("metadata".to_owned(), Value::Object(state.metadata()));
        patch.insert("data".to_owned(), data(&made.values));
        // Another type than it has is refused by the server: the type of a Secret stays.
        patch.extend(made.secret_type.map(|kind| ("type".to_owned(), kind.into())));
        self.write.patch(place, id, patch).map(drop)
    }

    fn make(&self, id: &Id) -> Result<Made, CliError> {
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
        let failed = |error: &dyn std::fmt::Display| CliError::NotDone(format!("nothing was made: {error}"));
        let mut values = BTreeMap::new();
        let mut secret_type = None;
        let told = match self.kind {
            Kind::Password => {
                let alphabet = self.characters()?;
                let length = self.length.unwrap_or(PASSWORD_CHARACTERS);
                for key in &self.keys {
                    let made = password(&alphabet, length, &mut random).map_err(|error| failed(&error))?;
                    values.insert(key.clone(), made);
                }
                let bits = alphabet.bits(length);
                if bits < WEAK_BITS {
                    warn(&format!("{bits} bits can be tried by whoever has a hash of it: take a longer one"));
                }
                format!("password of {length} characters, {bits} bits")
            }
            Kind::Hex => {
                let length = self.length.unwrap_or(HEX_BYTES);
                for key in &self.keys {
                    values.insert(key.clone(), hex_digits(length, &mut random).map_err(|error| failed(&error))?);
                }
                format!("{length} bytes in hexadecimal")
            }
            Kind::Uuid => {
                for key in &self.keys {
                    values.insert(key.clone(), uuid(&mut random).map_err(|error| failed(&error))?);
                }
                "UUID".to_owned()
            }
            Kind::SshKey => {
                let key = ssh_key(&id.to_string(), &mut random).map_err(|error| failed(&error))?;
                values.insert("ssh-publickey".to_owned(), SecretBytes::new(key.public.into_bytes()));
                values.insert("ssh-privatekey".to_owned(), key.private);
                secret_type = Some("kubernetes.io/ssh-auth");
                "SSH key, Ed25519".to_owned()
            }
            Kind::Rsa | Kind::Ec => {
                let (kind, told) = self.key_kind();
                for key in &self.keys {
                    let pair = make_key_pair(kind).map_err(|error| failed(&error))?;
                    values.insert(public(key), SecretBytes::new(pair.public.into_bytes()));
                    values.insert(key.clone(), pair.private);
                }
                format!("key pair, {told}")
            }
            Kind::Tls => {
                let mut names = Names::default();
                self.dns_name.iter().for_each(|name| names.add(name));
                let (kind, told) = self.key_kind();
                let valid_seconds = i64::from(self.days.unwrap_or(CERTIFICATE_DAYS)) * 86_400;
                let made = make_self_signed(kind, &names, SystemClock.unix_seconds(), valid_seconds)
                    .map_err(|error| failed(&error))?;
                values.insert("tls.crt".to_owned(), SecretBytes::new(made.certificate.into_bytes()));
                values.insert("tls.key".to_owned(), made.key);
                secret_type = Some("kubernetes.io/tls");
                format!("certificate that its own key has signed, {told}")
            }
        };
        let told = format!("{} ({told})", listed(self.target_keys().iter()));
        Ok(Made { values, secret_type, told })
    }

    fn key_kind(&self) -> (KeyKind, &'static str) {
        match (self.kind, self.bits, self.curve) {
            (Kind::Rsa, Some(RsaBits::Two), _) => (KeyKind::Rsa2048, "RSA, 2048 bits"),
            (Kind::Rsa, Some(RsaBits::Four), _) => (KeyKind::Rsa4096, "RSA, 4096 bits"),
            (Kind::Rsa, _, _) => (KeyKind::Rsa3072, "RSA, 3072 bits"),
            (_, _, Some(Curve::P384)) => (KeyKind::P384, "P-384"),
            _ => (KeyKind::P256, "P-256"),
        }
    }
}

/// A DNS name, perhaps with a wildcard before it, or an address.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text).to_ascii_lowercase();
    text.parse::<std::net::IpAddr>().is_ok_and(|address| !address.is_unspecified())
        || (dns1123_subdomain(&name).is_empty() && name.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Where the public part of a key is.
fn public(key: &str) -> String {
    format!("{key}.pub")
}

fn name(kind: Kind) -> String {
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_names_and_addresses() {
        for host in ["a", "a.example", "*.a.example", "A.Example", "10.0.0.1", "::1"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a b", "*", "a.*", "10.0.0", "0.0.0.0", "https://a", "a_b"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
