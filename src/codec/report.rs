//! What a decoder has to say about a document: where it broke, and at which paths something was odd.
//!
//! It never holds a value of the document: paths are made of field names, keys and indexes, and are bounded
//! in number and length whatever the document looks like.

use std::fmt;

/// Most paths that are reported for one document; `sigs.k8s.io/json` stops there too.
const MAX_REPORTS: usize = 100;
/// Longest path, in bytes; the rest is cut off.
const MAX_PATH_BYTES: usize = 1024;
/// Deepest nesting of a document. Kubernetes allows 10,000; no object it stores comes near this.
pub(super) const MAX_DEPTH: usize = 128;
/// Most values, keys not counted, in one document.
pub(super) const MAX_NODES: usize = 200_000;

/// Why a body is no document. `Display` is Go's sentence without the piece of the body that Go quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The class of mistake: `unexpected end of JSON input`, `did not find expected key`.
    pub class: &'static str,
    /// Line, from 1; 0 where it is not known.
    pub line: usize,
    /// Column, from 1; 0 where it is not known.
    pub column: usize,
    pub(super) syntax: Syntax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Json,
    Yaml,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.syntax {
            Syntax::Json => f.write_str(self.class),
            Syntax::Yaml if self.line == 0 => write!(f, "yaml: {}", self.class),
            Syntax::Yaml => write!(f, "yaml: line {}: {}", self.line, self.class),
        }
    }
}

impl std::error::Error for ParseError {}

/// One step from the root of a document to where a decoder stands; a list linked towards the root.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) parent: Option<&'a Place<'a>>,
    pub(super) step: Step<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// A field of a message, or any key where messages are not known.
    Field(&'a str),
    /// A key of a map.
    Key(&'a str),
    /// An index of a list.
    Index(usize),
}

impl<'a> Place<'a> {
    pub(super) fn field(parent: Option<&'a Place<'a>>, name: &'a str) -> Self {
        Self { parent, step: Step::Field(name) }
    }

    pub(super) fn key(parent: &'a Place<'a>, key: &'a str) -> Self {
        Self { parent: Some(parent), step: Step::Key(key) }
    }

    pub(super) fn index(parent: Option<&'a Place<'a>>, index: usize) -> Self {
        Self { parent, step: Step::Index(index) }
    }

    /// The path as strict decoding prints it: `metadata.ownerReferences[0].name`.
    pub(super) fn path(&self) -> String {
        let mut out = String::new();
        for step in self.steps() {
            match step {
                Step::Field(name) | Step::Key(name) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    push_bounded(&mut out, name);
                }
                Step::Index(index) => {
                    out.push('[');
                    out.push_str(&index.to_string());
                    out.push(']');
                }
            }
            if out.len() >= MAX_PATH_BYTES {
                break;
            }
        }
        out
    }

    /// Only the fields, as `encoding/json` prints them: `metadata.ownerReferences.name`.
    pub(super) fn fields(&self) -> String {
        let names: Vec<&str> = self
            .steps()
            .into_iter()
            .filter_map(|step| match step {
                Step::Field(name) => Some(name),
                Step::Key(_) | Step::Index(_) => None,
            })
            .collect();
        names.join(".")
    }

    fn steps(&self) -> Vec<Step<'a>> {
        let mut steps = vec![self.step];
        let mut at = self.parent;
        while let Some(place) = at {
            steps.push(place.step);
            at = place.parent;
        }
        steps.reverse();
        steps
    }
}

/// Paths in the order in which they were met, each once.
#[derive(Default)]
pub(super) struct Reports(Vec<String>);

impl Reports {
    pub(super) fn record(&mut self, place: &Place<'_>) {
        if self.0.len() < MAX_REPORTS {
            let path = place.path();
            if !self.0.contains(&path) {
                self.0.push(path);
            }
        }
    }

    pub(super) fn into_paths(self) -> Vec<String> {
        self.0
    }
}

/// True while another report may be added to a list kept elsewhere.
pub(super) fn has_room(reports: usize) -> bool {
    reports < MAX_REPORTS
}

/// A name short enough to be reported.
pub(super) fn bounded(name: &str) -> String {
    let mut out = String::new();
    push_bounded(&mut out, name);
    out
}

fn push_bounded(out: &mut String, name: &str) {
    if name.len() <= MAX_PATH_BYTES {
        out.push_str(name);
    } else {
        out.extend(name.chars().take(MAX_PATH_BYTES / 4));
        out.push('…');
    }
}
