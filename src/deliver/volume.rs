//! Files of a volume, as the kubelet makes them of Secrets and ConfigMaps.
//!
//! Without `items` each key is a file of its name; with them, each names a key, a path and maybe a mode
//! (`secret.MakePayload`, `configmap.MakePayload`). A projected volume puts several of these together, and what comes
//! later wins (`projected.collectData`). A mode is that of the item, else of the volume, else 0644. `optional` forgives
//! missing objects and keys. Paths are held to what the API's validation (`validateLocalNonReservedPath`) and the writer
//! (`validatePath`) let through, and are then cleaned (`path.Clean`).

use std::collections::BTreeMap;

use super::environment::{Problem, missing};
use super::objects::{Found, ObjectName, Objects, Values};
use crate::sensitive::SecretBytes;

/// The mode of files where nothing says otherwise (`SecretVolumeSourceDefaultMode`).
pub const DEFAULT_MODE: u32 = 0o644;
/// What a mode may be: the bits for reading, writing and executing.
pub const MODE_MAX: u32 = 0o777;

const PATH_MAX_BYTES: usize = 4096;
const FILE_NAME_MAX_BYTES: usize = 255;

/// A volume of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the Pod.
    pub name: String,
    /// Of files without a mode of their own.
    pub default_mode: u32,
    /// What is in it: one for a secret or configMap volume, any number for a projected one.
    pub sources: Vec<Source>,
}

/// An object whose values become files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub object: ObjectName,
    /// Which keys, and where; none means all, under their names.
    pub items: Vec<Item>,
    /// Whether the object, or a key of `items`, may be missing.
    pub optional: bool,
}

/// One key as a file (`KeyToPath`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub key: String,
    /// Where, below the volume.
    pub path: String,
    /// Its mode.
    pub mode: Option<u32>,
}

/// A file to be.
pub struct File<'a> {
    /// What is in it.
    pub value: &'a SecretBytes,
    /// Who may read it.
    pub mode: u32,
}

/// All files of a volume, by their clean paths.
#[derive(Default)]
pub struct Payload<'a>(BTreeMap<String, File<'a>>);

impl<'a> Payload<'a> {
    /// The files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File<'a>)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// What stands at the top, each once: the parts of paths before the first slash.
    pub fn top_level(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        // Paths are in order of their bytes, where `a-b` stands between `a` and `a/c`: names that were seen may come again.
        let mut seen = std::collections::BTreeSet::new();
        self.0.keys().filter_map(move |path| {
            let top = path.split('/').next().unwrap_or_default();
            (last.replace(top) != Some(top) && seen.insert(top)).then_some(top)
        })
    }

    /// How many files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The files of a volume, or all that is missing or wrong.
pub fn payload<'a>(volume: &Volume, objects: &'a Objects) -> Result<Payload<'a>, Vec<Problem>> {
    let mut files = BTreeMap::new();
    let mut problems = Vec::new();
    let path_problem = |path: &str, why| Problem::Path(volume.name.clone(), path.to_owned(), why);
    for source in &volume.sources {
        let values = match objects.find(&source.object) {
            Found::Values(values) => values,
            Found::Absent if source.optional => continue,
            found => {
                problems.extend(missing(&source.object, found));
                continue;
            }
        };
        let mut put = |path: &str, value: &'a SecretBytes, mode: u32| match clean(path) {
            Ok(path) => drop(files.insert(path, File { value, mode })),
            Err(why) => problems.push(path_problem(path, why)),
        };
        if source.items.is_empty() {
            for (key, value) in all(values) {
                put(key, value, volume.default_mode);
            }
            continue;
        }
        let mut absent = Vec::new();
        for item in &source.items {
            match all(values).find(|(key, _)| **key == item.key) {
                Some((_, value)) => put(&item.path, value, item.mode.unwrap_or(volume.default_mode)),
                None if source.optional => {}
                None => absent.push(Problem::Key(source.object.clone(), item.key.clone())),
            }
        }
        problems.extend(absent);
    }
    // A file where a folder is needed: the kubelet fails when it writes, and so is told of before.
    for path in files.keys() {
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        if above.into_iter().any(|above| files.contains_key(above)) {
            problems.push(path_problem(path, "lies below a path that is a file itself"));
        }
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(Payload(files)) } else { Err(problems) }
}

/// A Secret's data; a ConfigMap's, text and binary. A key is in one of the two.
fn all(values: &Values) -> impl Iterator<Item = (&String, &SecretBytes)> {
    values.data.iter().chain(&values.binary_data)
}

/// A path below a volume in its shortest form, or why it may not be one.
pub fn clean(path: &str) -> Result<String, &'static str> {
    if path.is_empty() {
        return Err("must not be empty");
    }
    if path.starts_with('/') {
        return Err("must be a relative path");
    }
    if path.len() > PATH_MAX_BYTES {
        return Err("must be no longer than 4096 bytes");
    }
    if path.contains('\0') {
        return Err("must not hold a NUL byte");
    }
    for part in path.split('/') {
        if part == ".." {
            return Err("must not contain '..'");
        }
        if part.len() > FILE_NAME_MAX_BYTES {
            return Err("file names must be no longer than 255 bytes");
        }
    }
    if path.starts_with("..") {
        return Err("must not start with '..'");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    // What begins with two dots after cleaning would stand beside the writer's own files.
    match parts.first() {
        None => Err("must name a file"),
        Some(first) if first.starts_with("..") => Err("must not start with '..'"),
        Some(_) => Ok(parts.join("/")),
    }
}
