//! What an import does, or did, as it is told: names and lengths, and why something is refused.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::cli::output::{list_at, one_line, text_at, texts_at};
use crate::sensitive::Document;

/// How many Secrets become what, and the lines that say so.
#[derive(Debug, Default)]
pub struct Report {
    pub created: usize,
    pub replaced: usize,
    pub unchanged: usize,
    pub refused: usize,
    /// What is to be printed.
    pub text: String,
    /// What is to be warned of.
    pub warnings: Vec<String>,
    /// What was written, `prod/db` and how.
    pub made: Vec<String>,
    /// Of what a plan said already that it is refused.
    told: BTreeSet<String>,
    /// Whether only what no plan said is to be printed.
    is_brief: bool,
}

impl Report {
    /// One of what was planned: it counts what the plan refused, and tells of what came otherwise.
    pub fn following(plan: &Self) -> Self {
        Self { told: plan.told.clone(), refused: plan.told.len(), is_brief: true, ..Self::default() }
    }

    /// Whether anything is written.
    pub fn writes(&self) -> bool {
        self.created + self.replaced > 0
    }

    /// A namespace that is made.
    pub fn namespace(&mut self, name: &str) {
        let _ = writeln!(self.text, "namespace {name} new");
    }

    /// A Secret that is not written.
    pub fn refuse(&mut self, namespace: &str, name: &str, why: &str) {
        let place = format!("{namespace}/{name}");
        if self.told.insert(place.clone()) {
            self.refused += 1;
            let _ = writeln!(self.text, "{} refused: {}", one_line(&place), one_line(why));
        }
    }

    /// Takes an answer in.
    #[expect(clippy::disallowed_methods, reason = "names and lengths are told")]
    pub fn add(&mut self, answer: &Document, namespace: &str) {
        for secret in list_at(answer.expose(), "/status/secrets") {
            let name = text_at(secret, "/name");
            let place = one_line(&format!("{namespace}/{name}"));
            self.warnings.extend(texts_at(secret, "/warnings").iter().map(|text| format!("Secret {place}: {text}")));
            let what = match text_at(secret, "/outcome") {
                "Created" => {
                    self.created += 1;
                    self.made.push(format!("{place} created"));
                    "new"
                }
                "Replaced" => {
                    self.replaced += 1;
                    self.made.push(format!("{place} replaced"));
                    "differs"
                }
                "Refused" => {
                    self.refuse(namespace, name, text_at(secret, "/message"));
                    ""
                }
                _ => {
                    self.unchanged += 1;
                    "unchanged"
                }
            };
            if self.is_brief {
                continue;
            }
            if !what.is_empty() {
                let _ = writeln!(self.text, "{place} {what}");
            }
            for key in list_at(secret, "/keys") {
                self.key(key);
            }
        }
    }

    fn key(&mut self, key: &Value) {
        let length = |name: &str| key.get(name).and_then(Value::as_u64);
        let name = one_line(text_at(key, "/key"));
        let _ = match (length("before"), length("after")) {
            (None, Some(after)) => writeln!(self.text, "  + {name} ({after} bytes)"),
            (Some(before), None) => writeln!(self.text, "  - {name} ({before} bytes)"),
            (Some(before), Some(after)) => writeln!(self.text, "  ~ {name} ({before} → {after} bytes)"),
            (None, None) => Ok(()),
        };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} created, {} replaced, {} unchanged", self.created, self.replaced, self.unchanged)?;
        if self.refused > 0 { write!(f, ", {} refused", self.refused) } else { Ok(()) }
    }
}
