//! Field selectors: `metadata.name=a,type!=Opaque`.
//!
//! Knows which fields each kind can be selected by. A term without field and value (`=`), which Kubernetes
//! ignores, is a field that no kind supports. Source: `k8s.io/apimachinery/pkg/fields`.

use std::fmt;

use super::{SelectorError, check_count, check_length};
use crate::model::field_error::go_quote;
use crate::model::kinds::Kind;

/// What an Event is selected by: `pkg/registry/core/event/strategy.go`.
const EVENT_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// How a field's value is compared; a field that the object lacks is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldOperator {
    /// `=` and `==`
    Equals,
    /// `!=`
    NotEquals,
}

/// One condition on a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldRequirement {
    /// `metadata.name`
    pub field: String,
    /// The comparison.
    pub operator: FieldOperator,
    /// The value, unescaped.
    pub value: String,
}

/// Conditions that must all hold. `Display` is canonical: parsed again, it gives an equal selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<FieldRequirement>);

impl FieldSelector {
    /// Parses `field=value,field!=value`; in a value `\\`, `\,` and `\=` are escapes. Empty terms are skipped.
    ///
    /// # Errors
    /// Kubernetes' text for the first bad term in byte order, as there.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        check_length(text)?;
        let mut terms = split_terms(text);
        terms.retain(|term| !term.is_empty());
        check_count(terms.len())?;
        terms.sort_unstable();
        let mut requirements = terms.into_iter().map(|term| requirement(text, term)).collect::<Result<Vec<_>, _>>()?;
        requirements.sort_unstable();
        Ok(Self(requirements))
    }

    /// Selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions, in canonical order.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.0
    }

    /// The value that every match has in `field`: the first that an `=` demands. (With two different ones
    /// nothing matches.)
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|requirement| requirement.field == field && requirement.operator == FieldOperator::Equals)
            .map(|requirement| requirement.value.as_str())
    }

    /// The fields by which a kind can be selected, and whether it has a conversion of its own for them, which words
    /// the refusal of others.
    pub fn fields_of(kind: &Kind) -> (&'static [&'static str], bool) {
        match (kind.group, kind.kind) {
            ("", "Secret") => (&["metadata.name", "metadata.namespace", "type"], true),
            ("", "Namespace") => (&["metadata.name", "status.phase"], true),
            ("", "Event") => (EVENT_FIELDS, true),
            ("strongroom.dev", "SecretRevision") => {
                (&["metadata.name", "metadata.namespace", "spec.secretName", "spec.secretUID"], true)
            }
            _ => (&["metadata.name", "metadata.namespace"], false),
        }
    }

    /// Whether objects of `kind` can be selected by these fields.
    ///
    /// # Errors
    /// The text for the first field that is not supported.
    pub fn check_supported(&self, kind: &Kind) -> Result<(), SelectorError> {
        let (fields, own_conversion) = Self::fields_of(kind);
        let Some(unsupported) = self.0.iter().find(|requirement| !fields.contains(&requirement.field.as_str())) else {
            return Ok(());
        };
        Err(SelectorError(if own_conversion {
            format!("field label not supported: {}", unsupported.field)
        } else {
            format!(
                "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                go_quote(&unsupported.field)
            )
        }))
    }

    /// Whether an object matches, whose fields `value_of` gives: `""` for one that it lacks.
    pub fn matches<'v>(&self, value_of: impl Fn(&str) -> &'v str) -> bool {
        self.0.iter().all(|requirement| {
            let equal = value_of(&requirement.field) == requirement.value;
            equal == (requirement.operator == FieldOperator::Equals)
        })
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let operator = match requirement.operator {
                FieldOperator::Equals => "=",
                FieldOperator::NotEquals => "!=",
            };
            write!(f, "{comma}{}{operator}{}", requirement.field, escape(&requirement.value))?;
        }
        Ok(())
    }
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// The terms between commas; a comma behind a backslash is data.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|character| {
        let separates = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        separates
    })
    .collect()
}

fn requirement(selector: &str, term: &str) -> Result<FieldRequirement, SelectorError> {
    let (field, operator, value) = split_term(term)
        .ok_or_else(|| SelectorError(format!("invalid selector: '{selector}'; can't understand '{term}'")))?;
    Ok(FieldRequirement { field: field.to_owned(), operator, value: unescape(value)? })
}

/// Field, operator and escaped value. A field has no escapes, so the first operator is the one.
fn split_term(term: &str) -> Option<(&str, FieldOperator, &str)> {
    let equals = term.find('=')?;
    let (left, right) = (term.get(..equals)?, term.get(equals + 1..)?);
    if let Some(field) = left.strip_suffix('!') {
        return Some((field, FieldOperator::NotEquals, right));
    }
    Some((left, FieldOperator::Equals, right.strip_prefix('=').unwrap_or(right)))
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}")));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(character)
                )));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
#[path = "field_tests.rs"]
mod tests;
