//! Request options: what may stand in the query of a request, or in the body of a DELETE.
//!
//! Source: `k8s.io/apimachinery/pkg/apis/meta/v1/validation` and `…/internalversion/validation`. Selectors are only
//! carried here, not parsed. Unknown parameters are ignored, as in Kubernetes.

use std::fmt::Write as _;
use std::str::FromStr;

use serde_json::Value;

use super::metadata;
use crate::model::field_error::{FieldError, go_quote, go_strings, is_print};

/// Why the options of a request are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionsError {
    /// 400, with this text.
    BadRequest(String),
    /// 422 on `<kind>.meta.k8s.io` with an empty name.
    Invalid {
        /// `CreateOptions`, `UpdateOptions`, `PatchOptions`, `DeleteOptions` or `ListOptions`.
        kind: &'static str,
        /// At least one.
        errors: Vec<FieldError>,
    },
}

impl OptionsError {
    /// The message of the Status.
    pub fn message(&self) -> String {
        match self {
            Self::BadRequest(text) => text.clone(),
            Self::Invalid { kind, errors } => {
                format!("{kind}.meta.k8s.io \"\" is invalid: {}", super::message(errors))
            }
        }
    }
}

/// What happens to fields nobody knows and to duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, with a warning each.
    #[default]
    Warn,
    /// They fail the request.
    Strict,
}

/// What becomes of the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Deleted after it.
    Background,
    /// Deleted before it.
    Foreground,
    /// Left alone.
    Orphan,
}

/// Options of POST, PUT and PATCH.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// Everything is done but storing.
    pub dry_run: bool,
    /// As sent; empty when absent (see [`manager_from_user_agent`]).
    pub field_manager: String,
    /// How strict decoding is.
    pub field_validation: FieldValidation,
    /// An apply takes over fields of other managers.
    pub force: bool,
}

/// Options of DELETE, for one object or a collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Everything is done but deleting.
    pub dry_run: bool,
    /// What becomes of dependents, also when asked through `orphanDependents`; `None` is the kind's default.
    pub propagation: Option<Propagation>,
    /// The deprecated spelling, as sent (`Some(false)` makes an unfinished deletion answer 202).
    pub orphan_dependents: Option<bool>,
    /// Seconds as sent; the kinds served here end at once.
    pub grace_period_seconds: Option<i64>,
    /// The object must have this uid.
    pub precondition_uid: Option<String>,
    /// The object must have this resourceVersion.
    pub precondition_resource_version: Option<String>,
    /// An object that cannot be read may be deleted (`ignoreStoreReadErrorWithClusterBreakingPotential`).
    pub ignore_store_read_error: bool,
}

/// How a list's resourceVersion is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceVersionMatch {
    /// Exactly that version.
    Exact,
    /// That version or a later one.
    NotOlderThan,
}

/// Options of LIST and WATCH.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Raw label selector; empty selects everything.
    pub label_selector: String,
    /// Raw field selector; empty selects everything.
    pub field_selector: String,
    /// A watch is asked for.
    pub watch: bool,
    /// The watch may carry BOOKMARK events.
    pub allow_watch_bookmarks: bool,
    /// `None` means the most recent; `Some(0)` any.
    pub resource_version: Option<u64>,
    /// How `resource_version` is meant.
    pub resource_version_match: Option<ResourceVersionMatch>,
    /// Seconds after which a watch ends.
    pub timeout_seconds: Option<u64>,
    /// Items per page; `None` is no limit.
    pub limit: Option<u64>,
    /// Token of the next page; empty on the first.
    pub continue_token: String,
    /// A watch begins with the objects there are. Set as well for a watch from no version or version 0 that says
    /// nothing of it, as the WatchList feature of 1.32 does.
    pub send_initial_events: Option<bool>,
}

impl ListOptions {
    /// A watch that marks the end of its initial events with a bookmark, and therefore never is a Table.
    pub fn is_watch_list(&self) -> bool {
        self.watch && self.send_initial_events == Some(true) && self.allow_watch_bookmarks
    }
}

/// Options of a POST. `query` holds the decoded parameters in order; of repeated ones the first counts.
pub fn create(query: &[(String, String)]) -> Result<WriteOptions, OptionsError> {
    write("CreateOptions", query, Vec::new(), false)
}

/// Options of a PUT.
pub fn update(query: &[(String, String)]) -> Result<WriteOptions, OptionsError> {
    write("UpdateOptions", query, Vec::new(), false)
}

/// Options of a PATCH; `apply` for server-side apply, which must name its manager and alone may be forced.
pub fn patch(query: &[(String, String)], apply: bool) -> Result<WriteOptions, OptionsError> {
    let mut errors = Vec::new();
    let force = first(query, "force").map(flag);
    if apply && first(query, "fieldManager").unwrap_or_default().is_empty() {
        errors.push(FieldError::required("fieldManager", "is required for apply patch"));
    }
    if !apply && force.is_some() {
        errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
    }
    write("PatchOptions", query, errors, force.unwrap_or_default())
}

/// Options of a DELETE without a body.
pub fn delete_from_query(query: &[(String, String)]) -> Result<DeleteOptions, OptionsError> {
    let non_empty = |key| first(query, key).filter(|text| !text.is_empty()).map(str::to_owned);
    let raw = RawDelete {
        grace_period_seconds: first(query, "gracePeriodSeconds").map(integer).transpose()?,
        orphan_dependents: first(query, "orphanDependents").map(flag),
        propagation_policy: first(query, "propagationPolicy"),
        dry_run: all(query, "dryRun"),
        precondition_uid: non_empty("uid"),
        precondition_resource_version: non_empty("resourceVersion"),
        ignore_store_read_error: first(query, "ignoreStoreReadErrorWithClusterBreakingPotential").is_some_and(flag),
    };
    raw.validate()
}

/// Options of a DELETE from its body, a DeleteOptions document. Unknown fields are ignored; a field of the wrong
/// type is refused, lest a dry run be misread as a deletion.
pub fn delete_from_body(body: &Value) -> Result<DeleteOptions, OptionsError> {
    let preconditions = body.get("preconditions").unwrap_or(&Value::Null);
    if !matches!(preconditions, Value::Null | Value::Object(_)) {
        return Err(wrong_type(preconditions, "preconditions", "v1.Preconditions"));
    }
    let dry_run = match body.get("dryRun").unwrap_or(&Value::Null) {
        Value::Null => Vec::new(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| wrong_type(item, "dryRun", "string")))
            .collect::<Result<_, _>>()?,
        other => return Err(wrong_type(other, "dryRun", "[]string")),
    };
    let ignore = "ignoreStoreReadErrorWithClusterBreakingPotential";
    let raw = RawDelete {
        grace_period_seconds: member(body, "gracePeriodSeconds", "int64", Value::as_i64)?,
        orphan_dependents: member(body, "orphanDependents", "bool", Value::as_bool)?,
        propagation_policy: member(body, "propagationPolicy", "v1.DeletionPropagation", Value::as_str)?,
        dry_run,
        precondition_uid: member(preconditions, "uid", "types.UID", Value::as_str)?.map(str::to_owned),
        precondition_resource_version: member(preconditions, "resourceVersion", "string", Value::as_str)?
            .map(str::to_owned),
        ignore_store_read_error: member(body, ignore, "bool", Value::as_bool)?.unwrap_or_default(),
    };
    raw.validate()
}

/// Options of a LIST or WATCH; also of a deletecollection, whose query selects what is deleted.
pub fn list(query: &[(String, String)]) -> Result<ListOptions, OptionsError> {
    let text = |key| first(query, key).unwrap_or_default();
    let watch = first(query, "watch").is_some_and(flag);
    let timeout_seconds = first(query, "timeoutSeconds").map(integer).transpose()?.and_then(positive);
    let limit = first(query, "limit").map(integer).transpose()?.and_then(positive);
    let (version, continue_token) = (text("resourceVersion"), text("continue"));
    let mut version_match = text("resourceVersionMatch");
    let mut send_initial_events = first(query, "sendInitialEvents").map(flag);
    if watch && send_initial_events.is_none() && version_match.is_empty() && matches!(version, "" | "0") {
        send_initial_events = Some(true);
        version_match = "NotOlderThan";
    }
    let mut errors = Vec::new();
    if watch {
        watch_errors(version_match, continue_token, send_initial_events, &mut errors);
    } else {
        list_errors(version, version_match, continue_token, send_initial_events, &mut errors);
    }
    if !errors.is_empty() {
        return Err(OptionsError::Invalid { kind: "ListOptions", errors });
    }
    let resource_version = resource_version(version)?;
    if !watch && !continue_token.is_empty() && !matches!(version, "" | "0") {
        let text = "specifying resource version is not allowed when using continue";
        return Err(OptionsError::BadRequest(text.to_owned()));
    }
    Ok(ListOptions {
        label_selector: text("labelSelector").to_owned(),
        field_selector: text("fieldSelector").to_owned(),
        watch,
        allow_watch_bookmarks: first(query, "allowWatchBookmarks").is_some_and(flag),
        resource_version,
        resource_version_match: match version_match {
            "Exact" => Some(ResourceVersionMatch::Exact),
            "NotOlderThan" => Some(ResourceVersionMatch::NotOlderThan),
            _ => None,
        },
        timeout_seconds,
        limit,
        continue_token: continue_token.to_owned(),
        send_initial_events,
    })
}

/// The `timeout` that every request may have, a duration as Go writes it (`32s`, `1m30s`). Only whether it is one
/// matters: answers do not take long enough to be cut off.
pub fn timeout(query: &[(String, String)]) -> Result<(), OptionsError> {
    let Some(text) = first(query, "timeout").filter(|text| !text.is_empty()) else { return Ok(()) };
    if is_go_duration(text) {
        return Ok(());
    }
    let text = format!("invalid timeout specified in the request URL - time: invalid duration {text:?}");
    Err(OptionsError::BadRequest(text))
}

/// Go's `time.ParseDuration`: numbers with optional fractions, each with its unit; or a zero alone.
fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(number_ends);
        let unit_ends = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_ends);
        let is_number = number.matches('.').count() <= 1 && number.bytes().any(|byte| byte.is_ascii_digit());
        if !is_number || !matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = next;
    }
    true
}

/// A resourceVersion in a query: `None` when empty. Kubernetes answers 500 with this text, we answer 400.
pub fn resource_version(version: &str) -> Result<Option<u64>, OptionsError> {
    if version.is_empty() {
        return Ok(None);
    }
    parse::<u64>("ParseUint", version).map(Some).map_err(|problem| {
        OptionsError::BadRequest(FieldError::invalid("resourceVersion", version, problem).to_string())
    })
}

/// The manager of fields when the request names none: the printable beginning of the User-Agent up to its first
/// `/`, at most 128 bytes.
pub fn manager_from_user_agent(user_agent: &str) -> String {
    let mut manager = String::new();
    for c in user_agent.split('/').next().unwrap_or_default().chars().filter(|c| is_print(*c)) {
        if manager.len() + c.len_utf8() > metadata::FIELD_MANAGER_MAX_BYTES {
            break;
        }
        manager.push(c);
    }
    manager
}

fn write(
    kind: &'static str,
    query: &[(String, String)],
    mut errors: Vec<FieldError>,
    force: bool,
) -> Result<WriteOptions, OptionsError> {
    let field_manager = first(query, "fieldManager").unwrap_or_default();
    metadata::field_manager("fieldManager", field_manager, &mut errors);
    let dry_run = dry_run(&all(query, "dryRun"), &mut errors);
    let field_validation = match first(query, "fieldValidation").unwrap_or_default() {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        other => {
            errors.push(FieldError::not_supported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]));
            FieldValidation::Strict
        }
    };
    if errors.is_empty() {
        Ok(WriteOptions { dry_run, field_manager: field_manager.to_owned(), field_validation, force })
    } else {
        Err(OptionsError::Invalid { kind, errors })
    }
}

fn dry_run(values: &[&str], errors: &mut Vec<FieldError>) -> bool {
    if values.iter().any(|value| *value != "All") {
        errors.push(FieldError::not_supported_raw("dryRun", go_strings(values.iter().copied()), &["All"]));
    }
    !values.is_empty()
}

fn list_errors(
    version: &str,
    version_match: &str,
    continue_token: &str,
    send_initial_events: Option<bool>,
    errors: &mut Vec<FieldError>,
) {
    if !version_match.is_empty() {
        let mut forbid = |detail| errors.push(FieldError::forbidden("resourceVersionMatch", detail));
        if version.is_empty() {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if !continue_token.is_empty() {
            forbid("resourceVersionMatch is forbidden when continue is provided");
        }
        if version_match == "Exact" && version == "0" {
            forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if !matches!(version_match, "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan", ""];
            errors.push(FieldError::not_supported("resourceVersionMatch", version_match, &supported));
        }
    }
    if send_initial_events.is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
}

fn watch_errors(
    version_match: &str,
    continue_token: &str,
    send_initial_events: Option<bool>,
    errors: &mut Vec<FieldError>,
) {
    let forbidden = |detail| FieldError::forbidden("resourceVersionMatch", detail);
    let is_not_older = version_match == "NotOlderThan";
    if send_initial_events.is_some() && !is_not_older {
        errors.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if version_match.is_empty() {
        return;
    }
    if send_initial_events.is_none() {
        errors.push(forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
    }
    if !is_not_older {
        errors.push(FieldError::not_supported("resourceVersionMatch", version_match, &["NotOlderThan"]));
    }
    if !continue_token.is_empty() {
        errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
    }
}

/// DeleteOptions as sent, from either place.
struct RawDelete<'a> {
    grace_period_seconds: Option<i64>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<&'a str>,
    dry_run: Vec<&'a str>,
    precondition_uid: Option<String>,
    precondition_resource_version: Option<String>,
    ignore_store_read_error: bool,
}

impl RawDelete<'_> {
    fn validate(self) -> Result<DeleteOptions, OptionsError> {
        const POLICY: &str = "propagationPolicy";
        let mut errors = Vec::new();
        if let (Some(_), Some(policy)) = (self.orphan_dependents, self.propagation_policy) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(POLICY, policy, detail));
        }
        let propagation = match self.propagation_policy {
            None => {
                self.orphan_dependents.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background })
            }
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Background") => Some(Propagation::Background),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported(POLICY, other, &supported));
                None
            }
        };
        let dry_run = dry_run(&self.dry_run, &mut errors);
        if self.ignore_store_read_error {
            let has_preconditions = self.precondition_uid.is_some() || self.precondition_resource_version.is_some();
            for (is_set, name) in [
                (dry_run, "dryRun"),
                (self.propagation_policy.is_some(), POLICY),
                (self.orphan_dependents.is_some(), "orphanDependents"),
                (self.grace_period_seconds.is_some(), "gracePeriodSeconds"),
                (has_preconditions, "preconditions"),
            ] {
                if is_set {
                    errors.push(FieldError::invalid_raw(
                        "ignoreStoreReadErrorWithClusterBreakingPotential",
                        "true",
                        format!("cannot be set together with .{name}"),
                    ));
                }
            }
        }
        if !errors.is_empty() {
            return Err(OptionsError::Invalid { kind: "DeleteOptions", errors });
        }
        Ok(DeleteOptions {
            dry_run,
            propagation,
            orphan_dependents: self.orphan_dependents,
            grace_period_seconds: self.grace_period_seconds,
            precondition_uid: self.precondition_uid,
            precondition_resource_version: self.precondition_resource_version,
            ignore_store_read_error: self.ignore_store_read_error,
        })
    }
}

fn first<'a>(query: &'a [(String, String)], key: &str) -> Option<&'a str> {
    query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn all<'a>(query: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    query.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
}

/// Only `0` and `false` are false; present but empty is true.
fn flag(text: &str) -> bool {
    !(text == "0" || text.eq_ignore_ascii_case("false"))
}

fn integer(text: &str) -> Result<i64, OptionsError> {
    parse::<i64>("ParseInt", text).map_err(OptionsError::BadRequest)
}

fn positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// A decimal number, or what Go's `strconv` says of the text.
fn parse<N: FromStr<Err = std::num::ParseIntError>>(function: &str, text: &str) -> Result<N, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    // Unlike Go's ParseUint, Rust's accepts a plus sign.
    let refused_sign = function == "ParseUint" && text.starts_with('+');
    let reason = match text.parse() {
        Ok(number) if !refused_sign => return Ok(number),
        Err(error) if !refused_sign && matches!(error.kind(), PosOverflow | NegOverflow) => "value out of range",
        _ => "invalid syntax",
    };
    let mut out = String::new();
    let _ = write!(out, "strconv.{function}: parsing {}: {reason}", go_quote(text));
    Err(out)
}

fn member<'a, T>(
    body: &'a Value,
    key: &str,
    go_type: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, OptionsError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| wrong_type(value, key, go_type)),
    }
}

fn wrong_type(value: &Value, key: &str, go_type: &str) -> OptionsError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    OptionsError::BadRequest(format!(
        "json: cannot unmarshal {found} into Go struct field DeleteOptions.{key} of type {go_type}"
    ))
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
