//! How fast a tree of files is scanned, beside what `grep` takes to read it and to look for the same values in it.
//!
//! The tree is what Git tracks of this repository, as often as it takes; the values are made up, and none is in it. Ours is
//! what `strongroom scan` does with each file, in one thread: read it, look for manifests, look for values in every form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use strongroom::scan::{Fingerprint, ScanKey, Scanner, fingerprint, in_manifests};
use strongroom::sensitive::SecretBytes;

use crate::failure::Outcome;
use crate::figures::{Spread, length};
use crate::objects::mix;
use crate::options::Options;
use crate::report::{Row, Unit};

/// Bytes of the tree, at least.
const TREE_BYTES: usize = 64 * 1024 * 1024;
const VALUES: [u64; 2] = [1_000, 10_000];

/// MB/s with 1,000 and 10,000 known values.
pub fn run(options: &Options, rows: &mut Vec<Row>) -> Outcome<()> {
    let folder = tempfile::tempdir_in(options.folder())?;
    let tree = folder.path().join("tree");
    let (files, bytes) = make_tree(&tree)?;
    // Made up as well: this file is in the tree.
    let nowhere = value(u64::MAX);
    let read = in_rounds(options, bytes, || grep(&tree, &["-F", &nowhere]))?;
    let shown = files.len();
    let title = |what: &str| format!("scan of {shown} files, {} MB: {what}", bytes / 1_000_000);
    for count in VALUES {
        let values: Vec<String> = (0..count).map(value).collect();
        let patterns = folder.path().join("patterns");
        fs::write(&patterns, values.join("\n") + "\n")?;
        let key = ScanKey::from_bytes(&SecretBytes::new(vec![7; 32])).ok_or("32 bytes are a key")?;
        let known: Vec<Fingerprint> = values
            .iter()
            .enumerate()
            .filter_map(|(number, value)| fingerprint(&key, value.as_bytes(), number))
            .collect();
        if known.len() != values.len() {
            return Err("not every value has a fingerprint".into());
        }
        let scanner = Scanner::new(&key, &known);
        let ours = in_rounds(options, bytes, || scan(&scanner, &files))?;
        let with_patterns = patterns.to_str().ok_or("the folder's name is not text")?;
        let theirs = in_rounds(options, bytes, || grep(&tree, &["-F", "-f", with_patterns]))?;
        let median = |rounds: &[f64]| Spread::of(rounds.iter().copied()).map(|spread| spread.median);
        rows.push(
            Row::own(
                title(&format!("{count} known values; ratio to grep -F -f")),
                Unit::MegabytesPerSecond,
                median(&ours),
            )
            .with_ratio(Spread::of_ratios(&ours, &theirs)),
        );
        rows.push(
            Row::own(
                title(&format!("{count} known values; ratio to grep -F of one text")),
                Unit::MegabytesPerSecond,
                median(&ours),
            )
            .with_ratio(Spread::of_ratios(&ours, &read)),
        );
    }
    Ok(())
}

/// Bytes a second of each round.
fn in_rounds(options: &Options, bytes: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<Vec<f64>> {
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let begun = Instant::now();
        work()?;
        rounds.push(length(bytes) / begun.elapsed().as_secs_f64());
    }
    Ok(rounds)
}

fn scan(scanner: &Scanner<'_>, files: &[PathBuf]) -> Outcome<()> {
    for file in files {
        let bytes = fs::read(file)?;
        std::hint::black_box(in_manifests(&bytes));
        if let Some(found) = scanner.find(&bytes).first() {
            return Err(format!("{}:{}: a made-up value was found", file.display(), found.line).into());
        }
    }
    Ok(())
}

/// In bytes and not in characters, and by one thread, as ours.
fn grep(tree: &Path, arguments: &[&str]) -> Outcome<()> {
    let mut command = Command::new("grep");
    let status = command.env("LC_ALL", "C").arg("-rc").args(arguments).arg(tree).stdout(Stdio::null()).status()?;
    // 1 says that nothing was found.
    if status.code() == Some(1) { Ok(()) } else { Err(format!("grep ended with {status}").into()) }
}

/// As passwords and tokens are: 24 letters and digits.
fn value(number: u64) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |at: u64| {
        let drawn = mix(number.wrapping_mul(64).wrapping_add(at)) % 62;
        DIGITS.get(usize::try_from(drawn).unwrap_or(0)).map_or('0', |digit| char::from(*digit))
    };
    (0..24).map(digit).collect()
}

/// The files, and their bytes together.
fn make_tree(tree: &Path) -> Outcome<(Vec<PathBuf>, usize)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output()?;
    let names: Vec<&str> = std::str::from_utf8(&listed.stdout)?.split('\0').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err("Git lists no files of this repository".into());
    }
    let (mut files, mut bytes) = (Vec::new(), 0);
    for copy in 0.. {
        for name in &names {
            let Ok(content) = fs::read(root.join(name)) else { continue };
            let file = tree.join(copy.to_string()).join(name);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            bytes += content.len();
            fs::write(&file, content)?;
            files.push(file);
        }
        if bytes >= TREE_BYTES {
            break;
        }
    }
    Ok((files, bytes))
}
