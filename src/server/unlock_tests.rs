//! Precedence, forms, and that nothing falls through.

#![expect(clippy::disallowed_methods, reason = "the tests look at the secrets they planted")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const KEY_BYTES: usize = 32;

const EXISTING: Stage = Stage::Existing { takes_key: true, takes_passphrase: true };
const TAKES_KEY: Stage = Stage::Existing { takes_key: true, takes_passphrase: false };
const TAKES_PASSPHRASE: Stage = Stage::Existing { takes_key: false, takes_passphrase: true };

struct Answers(Vec<&'static str>);

impl Prompt for Answers {
    fn is_available(&self) -> bool {
        !self.0.is_empty()
    }

    fn ask(&mut self, _: &str) -> io::Result<SecretBytes> {
        Ok(SecretBytes::new(self.0.remove(0).into()))
    }
}

struct Place {
    directory: tempfile::TempDir,
    config: UnlockConfig,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let config = UnlockConfig {
            key_file_flag: None,
            passphrase_file_flag: None,
            prompt: false,
            systemd_credential: Some(at("systemd")),
            container_secret: at("container"),
            key_file_variable: None,
            passphrase_file_variable: None,
            passphrase_variable: PassphraseFromEnvironment::Absent,
            default_key_file: at("home/keys/unlock.key"),
        };
        Self { directory, config }
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        make_directory(path.parent().unwrap(), || true).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn resolve(&self, stage: Stage) -> Result<UnlockSource, UnlockSourceError> {
        self.resolve_asking(stage, vec![])
    }

    fn resolve_asking(&self, stage: Stage, answers: Vec<&'static str>) -> Result<UnlockSource, UnlockSourceError> {
        let make_key = || Some(SecretBytes::new(vec![0xee; KEY_BYTES]));
        resolve(&self.config, &self.directory.path().join("home"), stage, &make_key, &mut Answers(answers))
    }
}

#[test]
fn the_first_configured_way_is_the_one() {
    let mut place = Place::new();
    place.config.key_file_flag = Some(place.put("flag", &[0x81; KEY_BYTES]));
    place.put("systemd", b"from systemd");
    place.put("container", b"from the container");
    place.config.passphrase_file_variable = Some(place.put("variable", b"from the variable"));
    place.config.passphrase_variable = PassphraseFromEnvironment::Allowed(SecretBytes::new(b"environment".to_vec()));
    place.put("home/keys/unlock.key", &[0x82; KEY_BYTES]);
    let mut seen = Vec::new();
    for step in 0..6 {
        let source = place.resolve(EXISTING).unwrap();
        seen.push(source.origin);
        match step {
            0 => place.config.key_file_flag = None,
            1 => fs::remove_file(place.directory.path().join("systemd")).unwrap(),
            2 => fs::remove_file(place.directory.path().join("container")).unwrap(),
            3 => place.config.passphrase_file_variable = None,
            _ => place.config.passphrase_variable = PassphraseFromEnvironment::Absent,
        }
    }
    assert_eq!(
        seen,
        [
            Origin::KeyFile,
            Origin::SystemdCredential,
            Origin::ContainerSecret,
            Origin::PassphraseFile,
            Origin::Environment,
            Origin::DefaultKeyFile
        ]
    );
    fs::remove_file(place.directory.path().join("home/keys/unlock.key")).unwrap();
    assert_eq!(place.resolve_asking(EXISTING, vec!["typed"]).unwrap().origin, Origin::Terminal);
}

#[test]
fn a_configured_way_that_fails_is_an_error_and_not_a_reason_to_try_the_next() {
    let mut place = Place::new();
    place.put("home/keys/unlock.key", &[0x82; KEY_BYTES]);
    let open = place.put("open", &[0x81; KEY_BYTES]);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    place.config.key_file_flag = Some(open);
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::File(_))));
    place.config.key_file_flag = Some(place.directory.path().join("missing"));
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::KeyFileMissing(_))));
    place.config.key_file_flag = None;
    place.config.passphrase_file_flag = Some(place.directory.path().join("missing"));
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::File(_))));
    place.config.passphrase_file_flag = None;
    place.put("systemd", b"\n");
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::Empty)));
    fs::remove_file(place.directory.path().join("systemd")).unwrap();
    std::os::unix::fs::symlink("/nowhere", place.directory.path().join("container")).unwrap();
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::File(_))), "a dangling link is configured");
}

#[test]
fn a_passphrase_in_the_environment_is_refused_unless_allowed() {
    let mut place = Place::new();
    place.put("home/keys/unlock.key", &[0x82; KEY_BYTES]);
    place.config.passphrase_variable = PassphraseFromEnvironment::NotAllowed;
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::EnvironmentNotAllowed)));
}

#[test]
fn a_first_start_makes_the_default_key_file_once() {
    let place = Place::new();
    let made = place.resolve(Stage::FirstStart).unwrap();
    assert!(made.is_new && made.colocated);
    assert_eq!((made.origin, made.form), (Origin::DefaultKeyFile, Form::Key));
    assert_eq!(made.secret.expose(), [0xee; KEY_BYTES]);
    let path = made.path.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let again = place.resolve(TAKES_KEY).unwrap();
    assert!(!again.is_new);
    assert_eq!(again.secret.expose(), [0xee; KEY_BYTES]);
}

#[test]
fn a_home_whose_key_file_is_gone_gets_no_new_one() {
    let place = Place::new();
    assert!(matches!(place.resolve(TAKES_KEY), Err(UnlockSourceError::KeyFileMissing(_))));
    assert!(!place.config.default_key_file.exists());
}

#[test]
fn a_key_outside_the_home_is_not_colocated() {
    let mut place = Place::new();
    place.config.key_file_flag = Some(place.directory.path().join("elsewhere/unlock.key"));
    assert!(!place.resolve(Stage::FirstStart).unwrap().colocated);
}

#[test]
fn a_home_that_takes_only_a_passphrase_asks_for_it_whatever_key_lies_about() {
    let place = Place::new();
    place.put("home/keys/unlock.key", &[0x82; KEY_BYTES]);
    let source = place.resolve_asking(TAKES_PASSPHRASE, vec!["typed"]).unwrap();
    assert_eq!((source.origin, source.secret.expose()), (Origin::Terminal, &b"typed"[..]));
    assert!(matches!(place.resolve(TAKES_PASSPHRASE), Err(UnlockSourceError::NoTerminal)));
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let mut place = Place::new();
    place.config.prompt = true;
    assert!(matches!(place.resolve_asking(Stage::FirstStart, vec!["one", "two"]), Err(UnlockSourceError::Different)));
    let source = place.resolve_asking(Stage::FirstStart, vec!["one", "one"]).unwrap();
    assert_eq!(source.secret.expose(), b"one");
    assert!(matches!(place.resolve_asking(EXISTING, vec![""]), Err(UnlockSourceError::Empty)));
}

#[test]
fn a_key_is_never_taken_for_a_passphrase_nor_the_other_way_round() {
    let mut place = Place::new();
    let encoded = format!("strongroom-unlock-key-v1:{}\n", STANDARD.encode([7; KEY_BYTES]));
    place.config.passphrase_file_flag = Some(place.put("p", encoded.as_bytes()));
    assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::NotAPassphrase(_))));
    place.config.passphrase_file_flag = None;
    for content in [&b"correct horse\n"[..], b"strongroom-unlock-key-v1:AAAA", b""] {
        place.config.key_file_flag = Some(place.put("k", content));
        assert!(matches!(place.resolve(EXISTING), Err(UnlockSourceError::NotAKey(_))));
    }
    place.config.key_file_flag = None;
    let systemd = |content: &[u8]| {
        place.put("systemd", content);
        place.resolve(EXISTING).unwrap()
    };
    assert_eq!(systemd(encoded.as_bytes()).form, Form::Key);
    assert_eq!(systemd(&[0xc3; KEY_BYTES]).form, Form::Key);
    let text = systemd(b"thirty-two characters of text...");
    assert_eq!((text.form, text.secret.len()), (Form::Passphrase, 32));
}

#[test]
fn exactly_one_line_end_is_cut_from_a_passphrase() {
    let mut place = Place::new();
    let cases: [(&[u8], &[u8]); 5] =
        [(b"a b\n", b"a b"), (b"a\r\n", b"a"), (b"a\n\n", b"a\n"), (b" a ", b" a "), (b"a\r", b"a\r")];
    for (content, expected) in cases {
        place.config.passphrase_file_flag = Some(place.put("p", content));
        assert_eq!(place.resolve(EXISTING).unwrap().secret.expose(), expected);
    }
}
