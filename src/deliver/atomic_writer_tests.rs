//! Files as the kubelet writes them, and what is left of a write that fails.

use std::collections::BTreeMap;

use super::super::objects::{Found, ObjectName, Objects, Values};
use super::super::volume::{Item, Source, Volume, payload};
use super::*;
use crate::sensitive::SecretBytes;

const NOW: i64 = 1_795_860_908;

fn objects(values: &[(&str, &str)]) -> Objects {
    let data = values.iter().map(|(key, value)| ((*key).to_owned(), SecretBytes::new(value.as_bytes().to_vec())));
    let values = Values { version: String::new(), data: data.collect(), binary_data: BTreeMap::new() };
    let mut objects = Objects::default();
    objects.insert(ObjectName::secret("n", "s"), Found::Values(values));
    objects
}

fn volume(items: &[(&str, &str)]) -> Volume {
    let item = |(key, path): &(&str, &str)| Item { key: (*key).to_owned(), path: (*path).to_owned(), mode: None };
    let source =
        Source { object: ObjectName::secret("n", "s"), items: items.iter().map(item).collect(), optional: false };
    Volume { name: "v".to_owned(), default_mode: 0o400, sources: vec![source] }
}

fn write(writer: &mut AtomicWriter, volume: &Volume, values: &[(&str, &str)]) -> Result<bool, WriteError> {
    writer.write(&payload(volume, &objects(values)).unwrap(), NOW)
}

/// Names with what they lead to or hold, without the random part.
fn listing(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let name = name.split_once(".2").map_or(name.clone(), |_| name.rsplit_once('.').unwrap().0.to_owned());
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
            match fs::read_link(&path) {
                Ok(target) => {
                    let target = target.to_str().unwrap().to_owned();
                    let target = if target.starts_with("..2") { target.rsplit_once('.').unwrap().0 } else { &target };
                    format!("{name} -> {target}")
                }
                Err(_) if path.is_dir() => format!("{name}/ {mode:o}"),
                Err(_) => format!("{name} {mode:o}"),
            }
        })
        .collect();
    all.sort();
    all
}

#[test]
fn the_layout_is_the_kubelets() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("d");
    let mut writer = AtomicWriter::open(&folder, 0o755).unwrap();
    assert!(writer.is_ours());
    let deep = volume(&[("a", "x/y/a"), ("b", "x/b"), ("a", "top")]);
    assert!(write(&mut writer, &deep, &[("a", "1"), ("b", "2")]).unwrap());
    let visible = listing(&folder);
    assert_eq!(visible.len(), 4, "{visible:?}");
    assert!(visible[0].starts_with("..2026_11_28_") && visible[0].ends_with("/ 755"), "{visible:?}");
    let stamped = visible[0].trim_end_matches("/ 755");
    assert_eq!(visible[1..], [format!("..data -> {stamped}"), "top -> ..data/top".into(), "x -> ..data/x".into()]);
    assert_eq!(listing(&folder.join("x")), ["b 400", "y/ 755"]);
    assert_eq!(fs::read(folder.join("x/y/a")).unwrap(), b"1");
    // The same again changes nothing; other values do, and names that are gone are taken away.
    let before = fs::read_link(folder.join("..data")).unwrap();
    assert!(!write(&mut writer, &deep, &[("a", "1"), ("b", "2"), ("c", "not asked for")]).unwrap());
    assert_eq!(fs::read_link(folder.join("..data")).unwrap(), before);
    assert!(write(&mut writer, &volume(&[]), &[("a", "3")]).unwrap());
    let names: Vec<String> = listing(&folder).into_iter().filter(|name| !name.starts_with("..")).collect();
    assert_eq!(names, ["a -> ..data/a"]);
    // The former files are there for readers that are on their way, and then no more.
    assert!(folder.join(&before).is_dir());
    writer.former.iter_mut().for_each(|(_, since)| *since -= GRACE);
    assert_eq!(writer.sweep(), None);
    assert!(!folder.join(&before).exists());
    writer.remove().unwrap();
    assert!(!folder.exists());
}

#[test]
fn another_mode_is_a_change() {
    let place = tempfile::tempdir().unwrap();
    let mut writer = AtomicWriter::open(&place.path().join("d"), 0o700).unwrap();
    let mut volume = volume(&[]);
    assert!(write(&mut writer, &volume, &[("a", "1")]).unwrap());
    volume.default_mode = 0o640;
    assert!(write(&mut writer, &volume, &[("a", "1")]).unwrap());
    let file = fs::metadata(place.path().join("d/a")).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn what_is_of_another_making_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::write(folder.join("a"), "mine").unwrap();
    let mut writer = AtomicWriter::open(folder, 0o700).unwrap();
    assert!(!writer.is_ours());
    let error = write(&mut writer, &volume(&[]), &[("a", "1")]).unwrap_err();
    assert!(matches!(error, WriteError::Foreign(_)), "{error}");
    assert!(write(&mut writer, &volume(&[("a", "b")]), &[("a", "1")]).unwrap());
    writer.remove().unwrap();
    assert_eq!(
        listing(folder),
        ["a 600"].map(|_| format!("a {:o}", fs::metadata(folder.join("a")).unwrap().permissions().mode() & 0o777))
    );
    // Nor is a link of somebody else's followed.
    symlink("/etc", folder.join("..data")).unwrap();
    let mut writer = AtomicWriter::open(folder, 0o700).unwrap();
    assert!(matches!(write(&mut writer, &volume(&[("a", "b")]), &[("a", "1")]), Err(WriteError::Foreign(_))));
}

#[test]
fn what_fails_leaves_the_old_state_whole() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("d");
    let mut writer = AtomicWriter::open(&folder, 0o700).unwrap();
    write(&mut writer, &volume(&[]), &[("a", "old")]).unwrap();
    let before = listing(&folder);
    // A path within the rules that is too long with what stands before it: the first file is written by then.
    let long = vec!["y".repeat(254); 16].join("/");
    let broken = volume(&[("a", "a"), ("b", &long)]);
    assert!(matches!(write(&mut writer, &broken, &[("a", "new"), ("b", "2")]), Err(WriteError::Io { .. })));
    assert_eq!(listing(&folder), before);
    fs::create_dir(folder.join("z")).unwrap();
    assert!(write(&mut writer, &volume(&[("a", "a"), ("b", "z")]), &[("a", "new"), ("b", "2")]).is_err());
    fs::remove_dir(folder.join("z")).unwrap();
    assert_eq!(listing(&folder), before);
    assert_eq!(fs::read(folder.join("a")).unwrap(), b"old");
}

#[test]
fn what_a_killed_process_left_is_removed_and_a_second_process_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("d");
    let mut writer = AtomicWriter::open(&folder, 0o700).unwrap();
    write(&mut writer, &volume(&[]), &[("a", "1")]).unwrap();
    fs::create_dir(folder.join("..2026_01_01_00_00_00.0123456789abcdef")).unwrap();
    symlink("nowhere", folder.join(DATA_NEW)).unwrap();
    drop(writer);
    let lock = FolderLock::take(&folder).unwrap();
    assert!(matches!(FolderLock::take(&folder), Err(WriteError::Taken(_))));
    drop(lock);
    FolderLock::take(&folder).unwrap();
    let mut writer = AtomicWriter::open(&folder, 0o700).unwrap();
    assert_eq!(listing(&folder).len(), 3);
    assert!(!write(&mut writer, &volume(&[]), &[("a", "1")]).unwrap());
}

#[test]
fn a_reader_never_misses_a_file_however_fast_it_is_written() {
    const WRITES: usize = 1_000;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("d");
    let mut writer = AtomicWriter::open(&folder, 0o700).unwrap();
    let state = |number: usize| format!("{number:06}").repeat(200);
    let both = volume(&[]);
    write(&mut writer, &both, &[("a", &state(0)), ("b", &state(0))]).unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut reads) = (0, 0);
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let a = fs::read_to_string(folder.join("a")).unwrap();
                let number: usize = a[..6].parse().unwrap();
                assert_eq!(a, state(number), "a mixed state");
                let now = folder.join(fs::read_link(folder.join(DATA)).unwrap());
                let [a, b] = ["a", "b"].map(|key| fs::read_to_string(now.join(key)).unwrap());
                assert_eq!(a, b, "a mixed state");
                assert!(number >= last, "an old state after a new one");
                (last, reads) = (number, reads + 1);
            }
            reads
        });
        for number in 1..=WRITES {
            let state = state(number);
            let written = write(&mut writer, &both, &[("a", &state), ("b", &state)]);
            // The reader ends, whatever came of it.
            if number == WRITES || written.is_err() {
                is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            assert!(written.unwrap());
        }
        reader.join().unwrap()
    });
    assert!(reads > 0);
    assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), state(WRITES));
}
