//! Reading a spec: every rule of it, with the path of what breaks it.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::target::{
    Clusters, ConflictPolicy, CreationPolicy, DriftPolicy, Namespaces, Recreate, SourceDeletePolicy, SyncDeletePolicy,
    Target, Workload, WorkloadKind,
};
use super::{Glob, Keys, Limits, Source, Spec, Template};
use crate::model::duration::{LENGTH_OF_TIME, go_duration};
use crate::model::field_error::FieldError;
use crate::model::selector::LabelSelector;
use crate::model::validation::secret::SERVICE_ACCOUNT_TOKEN;
use crate::model::validation::{list, map, names, text};

const NAMES_MAX: usize = 10_000;
const TARGETS_MAX: usize = 100;
const PATTERNS_MAX: usize = 100;
/// Memory of a compiled pattern.
const REGEX_MAX_BYTES: usize = 256 * 1024;
const REFRESH: Duration = Duration::from_hours(1);
const REFRESH_MIN: Duration = Duration::from_secs(10);
const REFRESH_MAX: Duration = Duration::from_hours(24 * 366);
const DEFAULT_LIMITS: Limits = Limits { max_targets: 500, max_deletes_per_pass: 10, max_delete_percent: 20 };
const MAX_TARGETS_MAX: i64 = 100_000;
const DEFAULT_NAME: &str = "{{ name }}";
/// What a name may be made of.
const NAME_KEYS: &[&str] = &["name", "namespace", "target_namespace"];

/// Labels and annotations that are others' business: ownership of our own, and of tools that act on what they find.
const RESERVED: &[&str] = &[
    "strongroom.dev/",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/",
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
];

type Errors = Vec<FieldError>;

impl Spec {
    /// Reads `spec` of a SecretSync.
    pub fn parse(object: &Value) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let service_account_name = text(spec, "serviceAccountName").to_owned();
        if service_account_name.is_empty() {
            errors.push(FieldError::required("spec.serviceAccountName", "Secrets are read as this service account"));
        } else {
            named("spec.serviceAccountName", &service_account_name, &mut errors);
        }
        let source = source(spec, &mut errors);
        let listed = list(spec, "targets");
        if listed.is_empty() {
            errors.push(FieldError::required("spec.targets", "at least one target is needed"));
        }
        if listed.len() > TARGETS_MAX {
            errors.push(FieldError::too_many("spec.targets", listed.len(), TARGETS_MAX));
        }
        let targets: Vec<Option<Target>> = listed
            .iter()
            .take(TARGETS_MAX)
            .enumerate()
            .map(|(at, value)| target(value, &format!("spec.targets[{at}]"), &mut errors))
            .collect();
        let refresh = refresh(spec, &mut errors);
        let limits = limits(spec, &mut errors);
        let targets: Option<Vec<Target>> = targets.into_iter().collect();
        match targets {
            Some(targets) if errors.is_empty() => Ok(Self {
                service_account_name,
                source,
                targets,
                refresh,
                suspend: spec.get("suspend").and_then(Value::as_bool).unwrap_or_default(),
                limits,
            }),
            _ => Err(errors),
        }
    }
}

fn source(spec: &Value, errors: &mut Errors) -> Source {
    let source = spec.get("source").unwrap_or(&Value::Null);
    let names = strings(source, "names", "spec.source.names", NAMES_MAX, errors);
    for (at, name) in names.iter().enumerate() {
        let field = format!("spec.source.names[{at}]");
        named(&field, name, errors);
        if names.iter().take(at).any(|before| before == name) {
            errors.push(FieldError::duplicate(field, name));
        }
    }
    let selector = selector(source, "selector", "spec.source.selector", errors);
    if names.is_empty() && source.get("selector").is_none_or(Value::is_null) {
        errors.push(FieldError::required("spec.source", "names or a selector must be given"));
    }
    Source { names, selector }
}

fn target(value: &Value, path: &str, errors: &mut Errors) -> Option<Target> {
    let clusters = clusters(value, path, errors);
    let namespaces = namespaces(value, path, errors);
    let name_path = format!("{path}.name");
    let name = Some(text(value, "name")).filter(|name| !name.is_empty()).unwrap_or(DEFAULT_NAME);
    let name = template(name, &name_path, errors);
    if let Some(unknown) = name.iter().flat_map(Template::keys).find(|key| !NAME_KEYS.contains(key)) {
        let known = NAME_KEYS.join(", ");
        errors.push(FieldError::invalid(&name_path, unknown, format!("a name can be made of {known}")));
    }
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let labels = labels(metadata, &format!("{path}.metadata"), errors);
    let annotations = annotations(metadata, &format!("{path}.metadata"), errors);
    let keys = keys(value, path, errors);
    let data = data(value, path, errors);
    let type_ = Some(text(value, "type")).filter(|type_| !type_.is_empty()).map(str::to_owned);
    if type_.as_deref() == Some(SERVICE_ACCOUNT_TOKEN) {
        errors.push(FieldError::forbidden(format!("{path}.type"), "the cluster itself makes tokens of its accounts"));
    }
    let word = |field: &str| (text(value, field), format!("{path}.{field}"));
    let creation =
        policy(word("creationPolicy"), CreationPolicy::Owner, CreationPolicy::parse, CreationPolicy::WORDS, errors);
    let conflict =
        policy(word("conflictPolicy"), ConflictPolicy::Fail, ConflictPolicy::parse, ConflictPolicy::WORDS, errors);
    let on_source_delete = policy(
        word("onSourceDelete"),
        SourceDeletePolicy::Retain,
        SourceDeletePolicy::parse,
        SourceDeletePolicy::WORDS,
        errors,
    );
    let on_sync_delete = policy(
        word("onSyncDelete"),
        SyncDeletePolicy::Retain,
        SyncDeletePolicy::parse,
        SyncDeletePolicy::WORDS,
        errors,
    );
    let drift_policy =
        policy(word("driftPolicy"), DriftPolicy::Correct, DriftPolicy::parse, DriftPolicy::WORDS, errors);
    let recreate = policy(word("recreate"), Recreate::Never, Recreate::parse, Recreate::WORDS, errors);
    combinations(path, creation, conflict, on_source_delete, on_sync_delete, errors);
    let rollout_restart = restarts(value, path, errors);
    Some(Target {
        clusters: clusters?,
        namespaces,
        name: name?,
        labels,
        annotations,
        keys,
        data,
        type_,
        creation_policy: creation,
        conflict_policy: conflict,
        on_source_delete,
        on_sync_delete,
        drift_policy,
        recreate,
        rollout_restart,
    })
}

/// What contradicts itself.
fn combinations(
    path: &str,
    creation: CreationPolicy,
    conflict: ConflictPolicy,
    on_source_delete: SourceDeletePolicy,
    on_sync_delete: SyncDeletePolicy,
    errors: &mut Errors,
) {
    let mut forbid = |field: &str, detail: &str| errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
    let shares = matches!(creation, CreationPolicy::Merge);
    let writes_nothing = matches!(creation, CreationPolicy::None);
    if on_source_delete == SourceDeletePolicy::Delete && (shares || writes_nothing) {
        forbid(
            "onSourceDelete",
            "Delete needs an object that the SecretSync makes: creationPolicy Owner, Orphan or CreateOrMerge",
        );
    }
    if on_source_delete == SourceDeletePolicy::Merge && writes_nothing {
        forbid("onSourceDelete", "Merge takes out keys that were written: creationPolicy None writes none");
    }
    if on_sync_delete == SyncDeletePolicy::Delete && writes_nothing {
        forbid("onSyncDelete", "Delete takes back what was written: creationPolicy None writes nothing");
    }
    if on_sync_delete == SyncDeletePolicy::Delete && creation == CreationPolicy::Orphan {
        forbid("onSyncDelete", "creationPolicy Orphan leaves the object when the SecretSync is deleted");
    }
    if conflict == ConflictPolicy::Merge && matches!(creation, CreationPolicy::Owner | CreationPolicy::Orphan) {
        forbid("conflictPolicy", "Merge shares an object: creationPolicy Owner and Orphan own all of its data");
    }
    if conflict == ConflictPolicy::Adopt && writes_nothing {
        forbid("conflictPolicy", "Adopt writes: creationPolicy None writes nothing");
    }
}

fn clusters(value: &Value, path: &str, errors: &mut Errors) -> Option<Clusters> {
    let name = text(value, "cluster");
    let has_selector = value.get("clusterSelector").is_some_and(|selector| !selector.is_null());
    match (name.is_empty(), has_selector) {
        (true, false) => {
            errors
                .push(FieldError::required(format!("{path}.cluster"), "a cluster or a clusterSelector must be given"));
            None
        }
        (false, true) => {
            let detail = "may not be given together with cluster";
            errors.push(FieldError::forbidden(format!("{path}.clusterSelector"), detail));
            None
        }
        (false, false) => {
            named(&format!("{path}.cluster"), name, errors);
            Some(Clusters::Named(name.to_owned()))
        }
        (true, true) => {
            selector(value, "clusterSelector", &format!("{path}.clusterSelector"), errors).map(Clusters::Selected)
        }
    }
}

fn namespaces(value: &Value, path: &str, errors: &mut Errors) -> Namespaces {
    let path = format!("{path}.namespaces");
    let namespaces = value.get("namespaces").unwrap_or(&Value::Null);
    let names = strings(namespaces, "names", &format!("{path}.names"), NAMES_MAX, errors);
    for (at, name) in names.iter().enumerate() {
        invalid(&format!("{path}.names[{at}]"), name, names::dns1123_label(name), errors);
    }
    let selector = selector(namespaces, "selector", &format!("{path}.selector"), errors);
    let create = namespaces.get("create").and_then(Value::as_bool).unwrap_or_default();
    let match_names = globs(namespaces, "matchNames", &path, errors);
    if create && names.is_empty() && (!match_names.is_empty() || selector.is_some()) {
        errors.push(FieldError::forbidden(format!("{path}.create"), "only namespaces that are named can be made"));
    }
    Namespaces { exclude: globs(namespaces, "exclude", &path, errors), names, match_names, selector, create }
}

fn globs(value: &Value, field: &str, path: &str, errors: &mut Errors) -> Vec<Glob> {
    let path = format!("{path}.{field}");
    let mut globs = Vec::new();
    for (at, pattern) in strings(value, field, &path, PATTERNS_MAX, errors).iter().enumerate() {
        match Glob::parse(pattern) {
            Some(glob) => globs.push(glob),
            None => errors.push(FieldError::invalid(
                format!("{path}[{at}]"),
                pattern,
                "a pattern is a name in which * stands for any characters",
            )),
        }
    }
    globs
}

/// `labels` of `metadata`, which is at `path`.
pub(in crate::model) fn labels(metadata: &Value, path: &str, errors: &mut Errors) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in map(metadata, "labels").into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let field = format!("{path}.labels[{key}]");
        invalid(&field, key, names::qualified_name(key), errors);
        invalid(&field, value, names::label_value(value), errors);
        reserved(&field, key, errors);
        labels.insert(key.clone(), value.to_owned());
    }
    labels
}

/// `annotations` of `metadata`, which is at `path`.
pub(in crate::model) fn annotations(metadata: &Value, path: &str, errors: &mut Errors) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    for (key, value) in map(metadata, "annotations").into_iter().flatten() {
        let field = format!("{path}.annotations[{key}]");
        invalid(&field, key, names::annotation_key(key), errors);
        reserved(&field, key, errors);
        annotations.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    annotations
}

fn reserved(field: &str, key: &str, errors: &mut Errors) {
    let is_reserved = RESERVED.iter().any(|reserved| match reserved.strip_suffix('/') {
        Some(_) => key.starts_with(reserved),
        None => key == *reserved,
    });
    if is_reserved {
        errors.push(FieldError::forbidden(field, "this key is set by the tool that it belongs to, and by nobody else"));
    }
}

fn keys(value: &Value, path: &str, errors: &mut Errors) -> Keys {
    let keys = value.get("keys").unwrap_or(&Value::Null);
    let mut patterns = |field: &str| -> Vec<Regex> {
        let path = format!("{path}.keys.{field}");
        let texts = strings(keys, field, &path, PATTERNS_MAX, errors);
        texts.iter().enumerate().filter_map(|(at, text)| regex(text, &format!("{path}[{at}]"), errors)).collect()
    };
    let (include, exclude) = (patterns("include"), patterns("exclude"));
    let listed = list(keys, "rewrite");
    if listed.len() > PATTERNS_MAX {
        errors.push(FieldError::too_many(format!("{path}.keys.rewrite"), listed.len(), PATTERNS_MAX));
    }
    let mut rewrite = Vec::new();
    for (at, rule) in listed.iter().take(PATTERNS_MAX).enumerate() {
        let field = format!("{path}.keys.rewrite[{at}].regexp");
        let pattern = text(rule, "regexp");
        if pattern.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else if let Some(regex) = regex(pattern, &field, errors) {
            rewrite.push((regex, text(rule, "to").to_owned()));
        }
    }
    Keys { include, exclude, rewrite }
}

fn regex(pattern: &str, field: &str, errors: &mut Errors) -> Option<Regex> {
    match RegexBuilder::new(pattern).size_limit(REGEX_MAX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let detail = match error {
                regex::Error::CompiledTooBig(_) => "the pattern is too large",
                _ => "this is no regular expression",
            };
            errors.push(FieldError::invalid(field, pattern, detail));
            None
        }
    }
}

fn data(value: &Value, path: &str, errors: &mut Errors) -> BTreeMap<String, Template> {
    let templates = value.get("template").and_then(|template| map(template, "data"));
    let mut data = BTreeMap::new();
    for (key, text) in templates.into_iter().flatten() {
        let field = format!("{path}.template.data[{key}]");
        invalid(&field, key, names::secret_key(key), errors);
        if let Some(template) = template(text.as_str().unwrap_or_default(), &field, errors) {
            data.insert(key.clone(), template);
        }
    }
    data
}

/// A template's text is not repeated in the error: somebody may have put a value into it.
fn template(text: &str, field: &str, errors: &mut Errors) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            errors.push(FieldError::forbidden(field, format!("this is no template: {error}")));
            None
        }
    }
}

fn policy<T>(
    (word, path): (&str, String),
    default: T,
    parse: impl Fn(&str) -> Option<T>,
    words: &[&str],
    errors: &mut Errors,
) -> T {
    if word.is_empty() {
        return default;
    }
    parse(word).unwrap_or_else(|| {
        errors.push(FieldError::not_supported(path, word, words));
        default
    })
}

fn restarts(value: &Value, path: &str, errors: &mut Errors) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for (at, entry) in list(value, "rolloutRestart").iter().take(PATTERNS_MAX).enumerate() {
        let path = format!("{path}.rolloutRestart[{at}]");
        let (kind, name) = (text(entry, "kind"), text(entry, "name"));
        named(&format!("{path}.name"), name, errors);
        match WorkloadKind::parse(kind) {
            Some(kind) => workloads.push(Workload { kind, name: name.to_owned() }),
            None => errors.push(FieldError::not_supported(format!("{path}.kind"), kind, WorkloadKind::WORDS)),
        }
    }
    workloads
}

fn refresh(spec: &Value, errors: &mut Errors) -> Duration {
    let text = spec.get("refresh").map(|refresh| text(refresh, "interval")).unwrap_or_default();
    if text.is_empty() {
        return REFRESH;
    }
    match go_duration(text).filter(|length| *length < REFRESH_MAX) {
        Some(interval) if interval >= REFRESH_MIN => interval,
        Some(_) => {
            errors.push(FieldError::invalid("spec.refresh.interval", text, "must be at least 10s"));
            REFRESH
        }
        None => {
            errors.push(FieldError::invalid("spec.refresh.interval", text, LENGTH_OF_TIME));
            REFRESH
        }
    }
}

fn limits(spec: &Value, errors: &mut Errors) -> Limits {
    let limits = spec.get("limits").unwrap_or(&Value::Null);
    let mut number = |field: &str, default: usize, max: i64| -> usize {
        let Some(number) = limits.get(field).and_then(Value::as_i64) else { return default };
        let path = format!("spec.limits.{field}");
        if (0..=max).contains(&number) {
            return usize::try_from(number).unwrap_or(default);
        }
        errors.push(FieldError::invalid_raw(path, number.to_string(), format!("must be between 0 and {max}")));
        default
    };
    Limits {
        max_targets: number("maxTargets", DEFAULT_LIMITS.max_targets, MAX_TARGETS_MAX),
        max_deletes_per_pass: number("maxDeletesPerPass", DEFAULT_LIMITS.max_deletes_per_pass, MAX_TARGETS_MAX),
        max_delete_percent: number("maxDeletePercent", DEFAULT_LIMITS.max_delete_percent, 100),
    }
}

fn selector(value: &Value, field: &str, path: &str, errors: &mut Errors) -> Option<LabelSelector> {
    let selector = value.get(field).filter(|selector| !selector.is_null())?;
    match LabelSelector::from_api(selector, path) {
        Ok(selector) => Some(selector),
        Err(found) => {
            errors.extend(found);
            None
        }
    }
}

fn strings(value: &Value, field: &str, path: &str, max: usize, errors: &mut Errors) -> Vec<String> {
    let listed = list(value, field);
    if listed.len() > max {
        errors.push(FieldError::too_many(path, listed.len(), max));
    }
    listed.iter().take(max).map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

fn named(field: &str, name: &str, errors: &mut Errors) {
    invalid(field, name, names::dns1123_subdomain(name), errors);
}

fn invalid(field: &str, value: &str, problems: names::Problems, errors: &mut Errors) {
    errors.extend(problems.into_iter().map(|problem| FieldError::invalid(field, value, problem)));
}
