//! `strongroom verify`

use std::fmt::Write as _;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::CliError;
use super::home_options::{HomeOption, UnlockOptions};
use super::output::{ObjectFormat, one_line, print, print_object};
use crate::clock::{SharedClock, SystemClock};
use crate::config::Environment;
use crate::sensitive::Document;
use crate::server::{self, Effect, Examination, Verified};
use crate::terminal::{Prompt as _, Terminal};

/// Lines of one sort that are printed.
const TOLD_MAX: usize = 1_000;

/// How the findings are shown, if not as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
}

/// Options of `verify`. The server must be stopped. Nothing is changed without --accept.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    home: HomeOption,
    #[command(flatten)]
    unlock: UnlockOptions,
    /// Make what is left the truth: damaged rows and what is foreign in the schema are removed, the sums made anew
    #[arg(long)]
    accept: bool,
    /// With --accept: do not ask
    #[arg(long, requires = "accept")]
    yes: bool,
    /// Show it as JSON
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Verify {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let config = self.unlock.resolve(self.home, environment)?;
        let clock: SharedClock = Arc::new(SystemClock);
        if self.accept && !self.yes && !Terminal.is_available() {
            return Err(CliError::NotDone("there is no terminal to ask on: --yes accepts without".to_owned()));
        }
        let is_json = self.output.is_some();
        let (yes, mut refused) = (self.yes, None);
        let mut ask = |found: &Examination| {
            if !is_json {
                print(&text(found));
            }
            if yes {
                return true;
            }
            match Terminal.ask("This cannot be undone: is there a copy of the home? Type yes to go on: ") {
                Ok(answer) if is_yes(&answer) => true,
                Ok(_) => false,
                Err(error) => {
                    refused = Some(CliError::NotDone(format!("nothing was changed: {error}")));
                    false
                }
            }
        };
        let wanted = self.accept;
        let accept = wanted.then_some(&mut ask as &mut dyn FnMut(&Examination) -> bool);
        let verified = server::verify(&config.home, config.unlock, &clock, accept)?;
        let was_shown = wanted && !verified.found.is_intact() && verified.found.is_acceptable();
        if is_json {
            print_object(&Document::new(object(&verified)), ObjectFormat::Json);
        } else if let Some(accepted) = &verified.accepted {
            print(&format!("accepted\n{}", text(accepted)));
        } else if was_shown {
            print("nothing was changed\n");
        } else {
            print(&text(&verified.found));
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let last = verified.accepted.as_ref().unwrap_or(&verified.found);
        if last.is_intact() { Ok(()) } else { Err(CliError::Unwell) }
    }
}

#[expect(clippy::disallowed_methods, reason = "an answer to a question is compared")]
fn is_yes(answer: &crate::sensitive::SecretBytes) -> bool {
    answer.expose().eq_ignore_ascii_case(b"yes")
}

fn text(found: &Examination) -> String {
    let Examination { versions, objects, audit, state, slots, .. } = found;
    let mut text = format!(
        "database: {objects} objects in {versions} rows, {audit} audit records, {state} values of its own, {slots} slots\n"
    );
    if found.is_intact() {
        text.push_str("everything is as it was written\n");
        return text;
    }
    let problems = found.findings.iter().map(|finding| format!("{}: {}", finding.area, finding.problem));
    lines(&mut text, "WRONG: ", problems, found.findings.len());
    lines(&mut text, "not served: ", found.not_served.iter().cloned(), found.not_served.len());
    text.push_str(match found.effect() {
        Effect::NoStart => "The server does not start with this home.\n",
        Effect::ReadOnly => "The server serves the rest, read-only.\n",
        Effect::Withheld => "The server serves everything else, and can be written to.\n",
        Effect::Served => "The server serves everything.\n",
    });
    if !found.is_acceptable() {
        text.push_str("What can be done: restore a backup. Not everything that is wrong can be left behind.\n");
        return text;
    }
    text.push_str(
        "What can be done: restore a backup; or make what is left the truth, with `strongroom verify --accept`:\n  \
         rows that do not pass authentication and what is foreign in the schema are removed, sums and counts are made \
         anew;\n  what is missing stays missing, and an older row that was put back stays.\n",
    );
    lines(&mut text, "  ", found.consequences().iter().cloned(), found.consequences().len());
    text
}

fn lines(text: &mut String, prefix: &str, all: impl Iterator<Item = String>, count: usize) {
    for line in all.take(TOLD_MAX) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{prefix}{}", one_line(&line));
    }
    if count > TOLD_MAX {
        let _ = writeln!(text, "{prefix}and {} more", count - TOLD_MAX);
    }
}

fn object(verified: &Verified) -> Value {
    let mut object = of_examination(&verified.found);
    if let (Some(accepted), Some(fields)) = (&verified.accepted, object.as_object_mut()) {
        fields.insert("accepted".to_owned(), of_examination(accepted));
    }
    object
}

fn of_examination(found: &Examination) -> Value {
    let findings = found.findings.iter().map(|finding| {
        json!({
            "area": finding.area, "problem": finding.problem, "effect": finding.effect.as_str(),
            "acceptable": finding.is_acceptable,
        })
    });
    json!({
        "intact": found.is_intact(), "effect": found.effect().as_str(), "acceptable": found.is_acceptable(),
        "objects": found.objects, "rows": found.versions, "auditRecords": found.audit, "values": found.state,
        "slots": found.slots, "findings": findings.collect::<Vec<_>>(), "notServed": found.not_served,
        "consequences": found.consequences(),
    })
}
