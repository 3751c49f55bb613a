//! Which keys of a Secret go to a target, and what they are called there.

use std::collections::BTreeMap;

use regex::Regex;

/// Key selection: `include`, then `exclude`, then each `rewrite`, in order.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// One of these must match; without any, all keys are in.
    pub include: Vec<Regex>,
    /// None of these may match.
    pub exclude: Vec<Regex>,
    /// Replaces what matches, once, by the text, in which `$1` and `${name}` are groups.
    pub rewrite: Vec<(Regex, String)>,
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &[Regex], b: &[Regex]| a.iter().map(Regex::as_str).eq(b.iter().map(Regex::as_str));
        let pair = |(regex, to): &(Regex, String)| (regex.as_str().to_owned(), to.clone());
        same(&self.include, &other.include)
            && same(&self.exclude, &other.exclude)
            && self.rewrite.iter().map(pair).eq(other.rewrite.iter().map(pair))
    }
}

/// Why keys cannot be chosen. Names keys, and no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Two keys would be one.
    #[error("keys {0:?} and {1:?} would both be written as {2:?}")]
    Twice(String, String, String),
    /// Not a key.
    #[error("key {0:?} would be written as {1:?}, which cannot be a key of a Secret")]
    Name(String, String),
}

impl Keys {
    /// For each key that goes to the target: the key there, and the key here.
    pub fn chosen<'a>(
        &self,
        keys: impl Iterator<Item = &'a str>,
        is_key: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, &'a str>, KeyError> {
        let mut chosen = BTreeMap::new();
        for key in keys {
            let is_included = self.include.is_empty() || self.include.iter().any(|regex| regex.is_match(key));
            if !is_included || self.exclude.iter().any(|regex| regex.is_match(key)) {
                continue;
            }
            let mut written = key.to_owned();
            for (regex, to) in &self.rewrite {
                written = regex.replace(&written, to.as_str()).into_owned();
            }
            if !is_key(&written) {
                return Err(KeyError::Name(key.to_owned(), written));
            }
            if let Some(other) = chosen.insert(written.clone(), key) {
                return Err(KeyError::Twice(other.to_owned(), key.to_owned(), written));
            }
        }
        Ok(chosen)
    }
}
