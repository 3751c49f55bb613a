//! Holds the code to the table in ARCHITECTURE.md: who may name whom, which crate is at home where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    may_name: BTreeSet<String>,
    crates: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let row = Row { may_name: words(cells[2]), crates: words(cells[3]) };
            (cells[0].trim_matches('`').to_owned(), row)
        })
        .collect()
}

/// Every source file with the top-level module it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let source = root().join("src");
    let mut found = Vec::new();
    walk(&source, &mut found);
    found
        .into_iter()
        .filter_map(|path| {
            let first = path.strip_prefix(&source).unwrap().components().next().unwrap();
            let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
            (module != "lib" && module != "main").then_some((module, path))
        })
        .collect()
}

/// The code of a file as tokens, without comments and the contents of strings.
fn tokens(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut out = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next().is_some_and(|c| c != '\n') {},
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ':' if chars.peek() == Some(&':') => {
                chars.next();
                out.push("::".to_owned());
            }
            c if c.is_whitespace() => {}
            c => out.push(c.to_string()),
        }
    }
    out
}

/// The first segments after `crate::`, in plain, grouped and renamed paths.
fn named_modules(tokens: &[String]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "crate") {
        if tokens.get(at + 1).map(String::as_str) != Some("::") {
            continue;
        }
        match tokens.get(at + 2).map(String::as_str) {
            Some("{") => {
                let mut depth = 0;
                let mut first = true;
                for token in &tokens[at + 2..] {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        "," if depth == 1 => first = true,
                        word if depth == 1 && first => {
                            named.insert(word.to_owned());
                        }
                        _ => {}
                    }
                    if token != "{" && token != "," {
                        first = false;
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            Some(module) => {
                named.insert(module.to_owned());
            }
            None => {}
        }
    }
    named
}

#[test]
fn modules_name_only_what_their_row_allows() {
    let table = table();
    let mut wrong = Vec::new();
    for (module, path) in sources() {
        let row = table.get(&module).unwrap_or_else(|| panic!("`{module}` has no row in ARCHITECTURE.md"));
        for named in named_modules(&tokens(&path)) {
            if named != module && !row.may_name.contains(&named) {
                wrong.push(format!("{} names {named}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_has_no_cycle() {
    let table = table();
    let mut left: BTreeSet<&String> = table.keys().collect();
    while let Some(bottom) =
        left.iter().copied().find(|module| table[*module].may_name.iter().all(|named| !left.contains(named)))
    {
        left.remove(bottom);
    }
    assert!(left.is_empty(), "these name each other: {left:?}");
}

/// Whether a path begins with this crate. A module of the same name in another path is not it.
fn begins_a_path(tokens: &[String], name: &str) -> bool {
    let positions = tokens.iter().enumerate().filter(|(_, token)| *token == name);
    positions.into_iter().any(|(at, _)| at.checked_sub(1).is_none_or(|before| tokens[before] != "::"))
}

#[test]
fn crates_are_named_only_at_home() {
    let table = table();
    let mut wrong = Vec::new();
    for (module, path) in sources() {
        let tokens = tokens(&path);
        for (home, row) in table.iter().filter(|(home, _)| **home != module) {
            for name in row.crates.iter().filter(|name| begins_a_path(&tokens, name)) {
                wrong.push(format!("{} names {name}, at home in {home}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .map(|(_, path)| path)
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            !text.starts_with("//!") && !text.starts_with("#!") && !path.to_string_lossy().contains("tests")
        })
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn every_folder_of_tests_is_part_of_this_binary() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") && path.file_stem().unwrap() != "main" {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(main.contains(&format!("mod {name};")), "tests/it/{name}.rs is not listed in main.rs");
        }
    }
}

#[test]
fn a_module_with_the_name_of_a_crate_is_not_the_crate() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(!begins_a_path(&words("other :: hmac :: Key"), "hmac"));
    assert!(begins_a_path(&words("use hmac :: Key"), "hmac"));
    assert!(begins_a_path(&words("other :: { hmac , b }"), "hmac"));
}

#[test]
fn the_reader_of_paths_sees_groups_and_renames() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.rs");
    fs::write(&file, "// crate::comment\nuse crate::{a::{b, c}, d as e, f};\nfn g() { crate::h::i(\"crate::text\") }")
        .unwrap();
    let named: Vec<String> = named_modules(&tokens(&file)).into_iter().collect();
    assert_eq!(named, ["a", "d", "f", "h"]);
}
