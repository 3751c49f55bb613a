//! Files of environment variables, read back by a shell, by python-dotenv, and by readers of what docker and systemd
//! document.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use strongroom::export::{ExportError, Format, Options};
use strongroom::sensitive::SecretBytes;

use super::{export, secret};
use crate::support::clients;

const LIMIT: Duration = Duration::from_mins(2);
const VALUES: usize = 600;

/// Bytes of which most mean something to some reader.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let meaningful = b"'\"\\$`#=!*~;&|<>(){}[]^%@:,.-+? \t\n\r".to_vec();
    prop_oneof![
        8 => proptest::sample::select(meaningful).prop_map(|byte| vec![byte]),
        3 => proptest::sample::select(vec!["a", "1", "n", "export ", "${A}", "${A:-b}", "$(x)", "\r\n", "\\n", "\\\\", "''", " #"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => proptest::sample::select(vec!["\u{85}", "\u{2028}", "\u{feff}", "\u{ffff}", "\u{1}", "\u{1b}", "\u{7f}"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// Values, some of which are no text.
fn values() -> Vec<Vec<u8>> {
    let mut runner = TestRunner::default();
    let text = proptest::collection::vec(piece(), 0..9).prop_map(|pieces| pieces.concat());
    let any = prop_oneof![12 => text, 1 => proptest::collection::vec(any::<u8>(), 0..9)];
    (0..VALUES).map(|_| any.new_tree(&mut runner).unwrap().current()).collect()
}

/// The values that the format takes, under `K0`, `K1`, …, and the file that holds them.
///
/// What it refuses must be among what `may_refuse` names.
fn carried(format: Format, may_refuse: impl Fn(&[u8]) -> bool) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    for value in values() {
        match export(&[secret("x", &[("K", &value)])], format, &Options::default()) {
            Ok(_) => taken.push(value),
            Err(ExportError::NotCarried { reason, .. }) => {
                assert!(value.contains(&0) || may_refuse(&value), "{format}: {value:?} was refused: {reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(taken.len() > VALUES / 4, "{format} took {} of {VALUES}", taken.len());
    let keys: Vec<String> = (0..taken.len()).map(|index| format!("K{index}")).collect();
    let entries: Vec<(&str, &Vec<u8>)> = keys.iter().map(String::as_str).zip(&taken).collect();
    let file = export(&[secret("x", &entries)], format, &Options::default()).unwrap();
    (taken, file)
}

fn holds(value: &[u8], text: &str) -> bool {
    value.windows(text.len()).any(|window| window == text.as_bytes())
}

fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok()
}

#[test]
fn a_shell_reads_every_value_back() {
    let (taken, file) = carried(Format::Shell, |_| false);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), file).unwrap();
    let script = format!(
        ". ./file; i=0; while [ $i -lt {} ]; do eval \"printf '%s\\\\0' \\\"\\$K$i\\\"\"; i=$((i + 1)); done",
        taken.len()
    );
    for shell in ["sh", "bash"] {
        let program = clients::on_path(Path::new(shell));
        if shell != "sh" && !program.is_absolute() {
            continue;
        }
        clients::drives(&format!("the shell {}", fs::canonicalize(&program).unwrap().display()));
        let mut command = Command::new(program);
        let output = clients::run(command.args(["-eu", "-c", &script]).current_dir(folder.path()), b"", LIMIT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        assert_eq!(read.len(), taken.len() + 1);
        for (value, read) in taken.iter().zip(read) {
            assert_eq!(read, value, "{shell}");
        }
    }
}

/// A Python that has python-dotenv, and the version of that.
fn python_with_dotenv() -> Option<(PathBuf, [u32; 3])> {
    let python = clients::find("STRONGROOM_TEST_PYTHON", &["python3"])?;
    let version =
        Command::new(&python).args(["-c", "import dotenv.version; print(dotenv.version.__version__)"]).output();
    let Some(version) = version.ok().filter(|output| output.status.success()) else {
        clients::missing("the Python package python-dotenv");
        return None;
    };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    clients::drives(&format!("python-dotenv {version}"));
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    Some((python, std::array::from_fn(|_| parts.next().unwrap_or_default())))
}

#[test]
fn python_dotenv_reads_every_value_back() {
    let Some((python, _)) = python_with_dotenv() else { return };
    let refusable = |value: &[u8]| {
        !is_text(value) || holds(value, "${") || (holds(value, "\r") && holds(value, "$")) || value.ends_with(b"\\")
    };
    let (taken, file) = carried(Format::Dotenv, refusable);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    fs::write(&path, file).unwrap();
    let script = "import dotenv, json, sys; print(json.dumps(dotenv.dotenv_values(sys.argv[1])))";
    let mut command = Command::new(python);
    let output = clients::run(command.args(["-c", script]).arg(&path), b"", LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read.len(), taken.len());
    for (index, value) in taken.iter().enumerate() {
        assert_eq!(read[&format!("K{index}")].as_bytes(), value);
    }
}

#[test]
fn what_is_imported_is_what_python_dotenv_reads() {
    const FILES: usize = 2000;
    let Some((python, version)) = python_with_dotenv() else { return };
    if version < [1, 2, 4] {
        // Earlier ones read comments behind an empty value, and backslashes before a quote, in another way.
        return clients::missing("python-dotenv of 1.2.4 or later");
    }
    let line = prop_oneof![
        6 => proptest::collection::vec(piece(), 0..6).prop_map(|pieces| [b"K=".to_vec(), pieces.concat()].concat()),
        2 => proptest::sample::select(vec!["export A = 'x'", "# c", " B=\"y\\n\" # c", "'C'=z", "D", "E= #", "F=#", "A=a #b"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let file = proptest::collection::vec(line, 0..4).prop_map(|lines| String::from_utf8(lines.join(&b'\n')).unwrap());
    let mut runner = TestRunner::default();
    let files: Vec<String> = (0..FILES).map(|_| file.new_tree(&mut runner).unwrap().current()).collect();
    // Text mode makes one character of every kind of line break.
    let script = "
import dotenv.parser, io, json, sys
def read(text):
    text = io.TextIOWrapper(io.BytesIO(text.encode()), encoding='utf-8')
    bindings = list(dotenv.parser.parse_stream(text))
    if any(b.error or (b.key is not None and b.value is None) for b in bindings):
        return None
    return {b.key: b.value for b in bindings if b.key is not None}
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
";
    let input = serde_json::to_vec(&files).unwrap();
    let output = clients::run(Command::new(python).args(["-c", script]), &input, LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Option<BTreeMap<String, String>>> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(theirs.iter().flatten().count() > FILES / 4);
    for (file, theirs) in files.iter().zip(theirs) {
        assert_eq!(imported(file), theirs, "{file:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was imported")]
fn imported(file: &str) -> Option<BTreeMap<String, String>> {
    let text = |value: SecretBytes| String::from_utf8(value.expose().to_vec()).unwrap();
    let values = strongroom::import::dotenv(file.as_bytes()).ok()?;
    Some(values.into_iter().map(|(key, value)| (key, text(value))).collect())
}

#[test]
fn a_reader_of_dockers_rules_reads_every_value_back() {
    let refusable = |value: &[u8]| !is_text(value) || value.contains(&b'\n') || value.ends_with(b"\r");
    let (taken, file) = carried(Format::DockerEnv, refusable);
    let read = docker(std::str::from_utf8(&file).unwrap());
    assert_eq!(read.len(), taken.len());
    for (index, value) in taken.iter().enumerate() {
        assert_eq!(read[&format!("K{index}")].as_bytes(), value);
    }
}

#[test]
fn a_reader_of_systemds_rules_reads_every_value_back() {
    let refusable = |value: &[u8]| {
        !std::str::from_utf8(value)
            .is_ok_and(|text| !text.contains(|c: char| u32::from(c) & 0xfffe == 0xfffe || c == '\u{feff}'))
    };
    let (taken, file) = carried(Format::SystemdEnv, refusable);
    let read = systemd(std::str::from_utf8(&file).unwrap());
    assert_eq!(read.len(), taken.len());
    for (index, value) in taken.iter().enumerate() {
        assert_eq!(read[&format!("K{index}")].as_bytes(), value);
    }
}

#[test]
fn the_readers_follow_what_is_documented() {
    let read =
        systemd(" A = x y \\\n z\n#B=1\n;C=1\nD\nE='a\"$\\\n'\nF=\"a\\\"b\\c\\$\\\nd\ne\" \nG=\\'a\\\\\nH=\"a\"'b'\n");
    let expected = [("A", "x y  z"), ("E", "a\"$\\\n"), ("F", "a\"b\\c$d\ne"), ("G", "'a\\"), ("H", "ab")];
    assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let read = docker("\u{feff}#A=1\n\n  B= 'x' # y \r\nC=a=b\n");
    let expected = [("B", " 'x' # y "), ("C", "a=b")];
    assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

/// `docker run --env-file`: a line for a variable, `#` at its start is a comment, white space before the name is passed over,
/// and the value is what stands behind the first `=`, quotes included. Lines are those of Go's `bufio.Scanner`.
fn docker(file: &str) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for line in file.strip_prefix('\u{feff}').unwrap_or(file).split('\n') {
        assert!(line.len() < 64 << 10, "a line is too long");
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').expect("a variable without a value is taken from the environment");
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "{name:?} is no name");
        read.insert(name.to_owned(), value.to_owned());
    }
    read
}

/// `EnvironmentFile=` as systemd.exec(5) has it.
fn systemd(file: &str) -> BTreeMap<String, String> {
    let excluded = |c: char| {
        c == '\0' || c == '\u{feff}' || u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c)
    };
    assert!(!file.contains(excluded), "the file holds a character that is excluded");
    let mut read = BTreeMap::new();
    let mut chars = file.chars().peekable();
    while chars.peek().is_some() {
        // Lines that are empty, comments, or have no `=`.
        while chars.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
        let comment = matches!(chars.peek(), Some('#' | ';'));
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| *c != '\n' && (comment || *c != '=')) {
            name.push(c);
        }
        if comment || chars.peek() != Some(&'=') {
            continue;
        }
        chars.next();
        let value = systemd_value(&mut chars);
        let name = name.trim_end();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            read.insert(name.to_owned(), value);
        }
    }
    read
}

fn systemd_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let blank = |c: &char| matches!(c, ' ' | '\t' | '\r');
    let mut value = String::new();
    loop {
        while chars.next_if(blank).is_some() {}
        match chars.next() {
            None | Some('\n') => return value,
            Some('\'') => {
                for c in chars.by_ref().take_while(|c| *c != '\'') {
                    value.push(c);
                }
            }
            Some('"') => loop {
                match chars.next() {
                    None | Some('"') => break,
                    Some('\\') => match chars.next() {
                        None | Some('\n') => {}
                        Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                        Some(c) => {
                            value.push('\\');
                            value.push(c);
                        }
                    },
                    Some(c) => value.push(c),
                }
            },
            // Unquoted: up to the end of the line, quotes inside stay.
            Some(first) => {
                let mut next = Some(first);
                let mut kept = value.len();
                while let Some(c) = next {
                    match c {
                        '\n' => break,
                        '\\' => match chars.next() {
                            None | Some('\n') => {}
                            Some(c) => {
                                value.push(c);
                                kept = value.len();
                            }
                        },
                        c => {
                            value.push(c);
                            if !blank(&c) {
                                kept = value.len();
                            }
                        }
                    }
                    next = chars.next();
                }
                value.truncate(kept);
                return value;
            }
        }
    }
}
