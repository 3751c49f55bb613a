//! Label selectors: `app in (a,b),tier!=web,!canary`.
//!
//! The grammar is Kubernetes' own, odd corners included: `n in ()` selects the empty value, keywords may
//! be keys and values, and white space is free. Source: `k8s.io/apimachinery/pkg/labels`.

mod parser;
mod syntax;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use self::parser::Parser;
use self::syntax::{label_value_errors, qualified_name_errors};
use super::{MAX_REQUIREMENTS, SelectorError, check_length};
use crate::model::field_error::{FieldError, FieldErrorKind};

/// Errors of one selector that are listed.
const MAX_ERRORS: usize = 100;

/// Most values of one expression of a `metav1.LabelSelector`.
const MAX_VALUES: usize = 10_000;

/// What a requirement asks of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `=` and `==`
    Equals(String),
    /// `!=`; also matches objects without the label.
    NotEquals(String),
    /// `in (…)`
    In(BTreeSet<String>),
    /// `notin (…)`; also matches objects without the label.
    NotIn(BTreeSet<String>),
    /// `>`: both sides are integers.
    GreaterThan(i64),
    /// `<`: both sides are integers.
    LessThan(i64),
}

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
}

/// Conditions that must all hold. `Display` is canonical: parsed again, it gives an equal selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Parses the query parameter `labelSelector`.
    ///
    /// # Errors
    /// Kubernetes' text for the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        check_length(text)?;
        let requirements = Parser::new(text).requirements().map_err(SelectorError)?;
        Ok(Self::canonical(requirements))
    }

    /// Reads a `metav1.LabelSelector`; absent members select everything.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes' validation words it, under `path`; at most 100 errors.
    pub fn from_api(selector: &Value, path: &str) -> Result<Self, Vec<FieldError>> {
        let mut requirements = Vec::new();
        let mut errors = Vec::new();
        match_labels(selector, path, &mut requirements, &mut errors);
        match_expressions(selector, path, &mut requirements, &mut errors);
        errors.truncate(MAX_ERRORS);
        if errors.is_empty() { Ok(Self::canonical(requirements)) } else { Err(errors) }
    }

    /// Selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions, in canonical order.
    pub fn requirements(&self) -> &[Requirement] {
        &self.0
    }

    /// Labels that an object must have to match.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let absent_may_match = |operator: &Operator| {
            matches!(operator, Operator::DoesNotExist | Operator::NotEquals(_) | Operator::NotIn(_))
        };
        self.0.iter().filter(move |one| !absent_may_match(&one.operator)).map(|one| one.key.as_str())
    }

    /// Whether an object matches, whose labels `value_of` gives.
    pub fn matches<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>) -> bool {
        self.0.iter().all(|requirement| requirement.operator.matches(value_of(&requirement.key)))
    }

    fn canonical(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_unstable();
        Self(requirements)
    }
}

impl Operator {
    fn matches(&self, value: Option<&str>) -> bool {
        let integer = || value.and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
            Self::Equals(wanted) => value == Some(wanted),
            Self::NotEquals(unwanted) => value != Some(unwanted),
            Self::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Self::NotIn(unwanted) => value.is_none_or(|value| !unwanted.contains(value)),
            Self::GreaterThan(limit) => integer().is_some_and(|value| value > *limit),
            Self::LessThan(limit) => integer().is_some_and(|value| value < *limit),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals(value) => write!(f, "{key}={value}"),
            Operator::NotEquals(value) => write!(f, "{key}!={value}"),
            Operator::In(values) => write_set(f, key, "in", values),
            Operator::NotIn(values) => write_set(f, key, "notin", values),
            Operator::GreaterThan(limit) => write!(f, "{key}>{limit}"),
            Operator::LessThan(limit) => write!(f, "{key}<{limit}"),
        }
    }
}

fn write_set(f: &mut fmt::Formatter<'_>, key: &str, operator: &str, values: &BTreeSet<String>) -> fmt::Result {
    write!(f, "{key} {operator} (")?;
    for (index, value) in values.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma}{value}")?;
    }
    f.write_str(")")
}

fn match_labels(selector: &Value, path: &str, requirements: &mut Vec<Requirement>, errors: &mut Vec<FieldError>) {
    let path = format!("{path}.matchLabels");
    let labels = match selector.get("matchLabels") {
        None | Some(Value::Null) => return,
        Some(Value::Object(labels)) => labels,
        Some(_) => return errors.push(wrong_type(path, "must be a map")),
    };
    if labels.len() > MAX_REQUIREMENTS {
        return errors.push(too_many(path, MAX_REQUIREMENTS));
    }
    for (key, value) in labels {
        let Value::String(value) = value else {
            errors.push(wrong_type(path.clone(), "must be a string"));
            continue;
        };
        errors.extend(qualified_name_errors(key).into_iter().map(|text| FieldError::invalid(&path, key, text)));
        errors.extend(label_value_errors(value).into_iter().map(|text| FieldError::invalid(&path, value, text)));
        requirements.push(Requirement { key: key.clone(), operator: Operator::Equals(value.clone()) });
    }
}

fn match_expressions(selector: &Value, path: &str, requirements: &mut Vec<Requirement>, errors: &mut Vec<FieldError>) {
    let path = format!("{path}.matchExpressions");
    let expressions = match selector.get("matchExpressions") {
        None | Some(Value::Null) => return,
        Some(Value::Array(expressions)) => expressions,
        Some(_) => return errors.push(wrong_type(path, "must be a list")),
    };
    if expressions.len() > MAX_REQUIREMENTS {
        return errors.push(too_many(path, MAX_REQUIREMENTS));
    }
    for (index, expression) in expressions.iter().enumerate() {
        if errors.len() >= MAX_ERRORS {
            return;
        }
        requirements.extend(match_expression(expression, &format!("{path}[{index}]"), errors));
    }
}

fn match_expression(expression: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Requirement> {
    let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or_default();
    let (key, operator) = (text("key"), text("operator"));
    let values_path = format!("{path}.values");
    let values: &[Value] = expression.get("values").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let set = || values.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let operator = match operator {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(FieldError::required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'"));
            None
        }
        "In" => Some(Operator::In(set())),
        "NotIn" => Some(Operator::NotIn(set())),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.push(FieldError::forbidden(
                &values_path,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ));
            None
        }
        "Exists" => Some(Operator::Exists),
        "DoesNotExist" => Some(Operator::DoesNotExist),
        other => {
            errors.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator"));
            None
        }
    };
    let key_path = format!("{path}.key");
    errors.extend(qualified_name_errors(key).into_iter().map(|text| FieldError::invalid(&key_path, key, text)));
    for (index, value) in values.iter().enumerate().take(MAX_VALUES) {
        if errors.len() >= MAX_ERRORS {
            break;
        }
        let path = format!("{values_path}[{index}]");
        match value {
            Value::String(value) => {
                errors
                    .extend(label_value_errors(value).into_iter().map(|text| FieldError::invalid(&path, value, text)));
            }
            _ => errors.push(wrong_type(path, "must be a string")),
        }
    }
    if values.len() > MAX_VALUES {
        errors.push(too_many(values_path, MAX_VALUES));
    }
    operator.map(|operator| Requirement { key: key.to_owned(), operator })
}

fn wrong_type(field: String, detail: &str) -> FieldError {
    FieldError { field, kind: FieldErrorKind::TypeInvalid, value: None, detail: detail.to_owned() }
}

fn too_many(field: String, max: usize) -> FieldError {
    FieldError { field, kind: FieldErrorKind::TooMany, value: None, detail: format!("must have at most {max} items") }
}

#[cfg(test)]
#[path = "label_tests.rs"]
mod tests;
