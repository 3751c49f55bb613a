//! `metadata.managedFields`: reading, ordering and writing the entries.
//!
//! What a client sends is taken only if every entry makes sense and all of them together are of sane size; there is
//! no half-read list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::FieldSet;
use super::shape::collapse_leaves;
use super::{Writer, fields_v1};
use crate::model::field_error::go_quote;
use crate::model::schema::Message;

/// `Update` entries that an object keeps; older ones are merged into [`ANCIENT`].
const MAX_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// Of a client's own managedFields: entries, and keys of FieldsV1 in all of them.
const MAX_SENT_ENTRIES: usize = 1024;
const MAX_SENT_KEYS: usize = 65_536;
const MAX_MANAGER_BYTES: usize = 128;
const MAX_SUBRESOURCE_BYTES: usize = 256;

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// Server-side apply.
    Apply,
    /// Anything else.
    Update,
}

/// Who owns fields. An applier is the same one in every API version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    manager: String,
    operation: Operation,
    /// Empty for `Apply`.
    api_version: String,
    subresource: String,
}

/// What is owned.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    api_version: String,
    /// RFC 3339, UTC, whole seconds, `Z`; so text order is time order.
    time: Option<String>,
    /// The paths.
    pub(super) fields: FieldSet,
}

/// All entries of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managed {
    entries: BTreeMap<Identity, Entry>,
}

impl Identity {
    /// The writer, under `operation`.
    pub(super) fn of(writer: &Writer<'_>, operation: Operation) -> Self {
        Self {
            manager: if writer.manager.is_empty() { "unknown" } else { writer.manager }.to_owned(),
            operation,
            api_version: if operation == Operation::Apply { String::new() } else { writer.api_version.to_owned() },
            subresource: writer.subresource.to_owned(),
        }
    }

    /// As in conflict messages: `"m1"`, `"ed" using v1`, `"x" with subresource "status" using v1`.
    pub(super) fn printed(&self) -> String {
        let mut text = go_quote(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&go_quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(" using ");
            text.push_str(&self.api_version);
        }
        text
    }
}

impl Entry {
    /// The paths, and when they were last written.
    pub(super) fn into_parts(self) -> (FieldSet, Option<String>) {
        (self.fields, self.time)
    }
}

impl Managed {
    /// What the stored object says; unreadable entries count as none at all.
    pub(super) fn of_live(live: &Value) -> Self {
        live.pointer("/metadata/managedFields")
            .and_then(|entries| Self::read(entries, usize::MAX, usize::MAX))
            .unwrap_or_default()
    }

    /// What a client sent; `None` if it is not a valid list or too big.
    pub(super) fn of_sent(sent: &Value) -> Option<Self> {
        Self::read(sent, MAX_SENT_ENTRIES, MAX_SENT_KEYS)
    }

    /// Whether there is no entry, which means that fields are not tracked.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets entries in other API versions than the one served, and paths into what is one leaf today.
    pub(super) fn reconcile(&mut self, message: &Message, api_version: &str) {
        self.entries.retain(|_, entry| entry.api_version == api_version);
        for entry in self.entries.values_mut() {
            collapse_leaves(message, &mut entry.fields);
        }
    }

    /// Every entry but `identity`'s, in the order in which conflicts are reported.
    pub(super) fn others(&self, identity: &Identity) -> impl Iterator<Item = (&Identity, &Entry)> {
        self.entries.iter().filter(move |(other, _)| *other != identity)
    }

    /// All paths that anybody owns.
    pub(super) fn owned(&self) -> FieldSet {
        let mut all = FieldSet::default();
        for entry in self.entries.values() {
            all.union(entry.fields.clone());
        }
        all
    }

    /// Takes the entry out.
    pub(super) fn take(&mut self, identity: &Identity) -> Option<Entry> {
        self.entries.remove(identity)
    }

    /// Puts an applier's entry in; one that owns nothing is no entry.
    pub(super) fn put(&mut self, identity: Identity, fields: FieldSet, api_version: &str, time: Option<String>) {
        if !fields.is_empty() {
            self.entries.insert(identity, Entry { api_version: api_version.to_owned(), time, fields });
        }
    }

    /// Everybody loses `gained` and `removed`; entries that own nothing vanish.
    pub(super) fn dispossess(&mut self, gained: &FieldSet, removed: &FieldSet) {
        self.entries.retain(|_, entry| {
            entry.fields.subtract(gained);
            entry.fields.subtract(removed);
            !entry.fields.is_empty()
        });
    }

    /// The writer's `Update` entry gains fields, now.
    pub(super) fn gain(&mut self, writer: &Writer<'_>, gained: FieldSet) {
        let entry = self.entries.entry(Identity::of(writer, Operation::Update)).or_insert_with(|| Entry {
            api_version: writer.api_version.to_owned(),
            time: None,
            fields: FieldSet::default(),
        });
        entry.fields.union(gained);
        entry.time = Some(writer.now.to_owned());
    }

    /// Merges the oldest `Update` entries of one version into one until there are few enough.
    pub(super) fn cap_updaters(&mut self) {
        let updaters = self.entries.keys().filter(|identity| identity.operation == Operation::Update);
        let mut excess = updaters.count().saturating_sub(MAX_UPDATERS);
        if excess == 0 {
            return;
        }
        let mut oldest: Vec<(Option<String>, Identity)> = self
            .entries
            .iter()
            .filter(|(identity, _)| identity.operation == Operation::Update)
            .map(|(identity, entry)| (entry.time.clone(), identity.clone()))
            .collect();
        oldest.sort_unstable();
        let mut first_of_version: BTreeMap<String, Identity> = BTreeMap::new();
        for (_, identity) in oldest {
            if excess == 0 {
                return;
            }
            let Some(first) = first_of_version.get(&identity.api_version).cloned() else {
                first_of_version.insert(identity.api_version.clone(), identity);
                continue;
            };
            let bucket = Identity {
                manager: ANCIENT.to_owned(),
                operation: Operation::Update,
                api_version: identity.api_version.clone(),
                subresource: String::new(),
            };
            if bucket == identity {
                continue;
            }
            if !self.entries.contains_key(&bucket)
                && let Some(entry) = self.entries.remove(&first)
            {
                self.entries.insert(bucket.clone(), entry);
            }
            if let Some(merged) = self.entries.remove(&identity)
                && let Some(entry) = self.entries.get_mut(&bucket)
            {
                entry.fields.union(merged.fields);
                entry.time = merged.time;
                excess -= 1;
            }
        }
    }

    /// Sets `metadata.managedFields`, last in the metadata; without entries there is no such field.
    pub(super) fn write(self, object: &mut Value) {
        let Some(object) = object.as_object_mut() else { return };
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        let Some(metadata) = metadata.as_object_mut() else { return };
        metadata.shift_remove("managedFields");
        if self.entries.is_empty() {
            return;
        }
        let mut entries: Vec<(Identity, Entry)> = self.entries.into_iter().collect();
        entries.sort_by(|(a, x), (b, y)| {
            let (a, b) = ((a.operation, &x.time, &a.manager), (b.operation, &y.time, &b.manager));
            a.cmp(&b).then_with(|| x.api_version.cmp(&y.api_version))
        });
        let entries = entries.into_iter().map(|(identity, entry)| write_entry(identity, entry)).collect();
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }

    fn read(entries: &Value, max_entries: usize, mut max_keys: usize) -> Option<Self> {
        let entries = entries.as_array().filter(|entries| entries.len() <= max_entries)?;
        let mut managed = Self::default();
        for entry in entries {
            let (identity, entry) = read_entry(entry, &mut max_keys)?;
            managed.entries.insert(identity, entry);
        }
        Some(managed)
    }
}

/// Whether two objects are equal but for times in `managedFields` (and, with them, the order of its entries): a write
/// that changes nothing else is no write.
#[must_use]
pub fn same_but_times(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    same_but(a, b, "metadata", |a, b| match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_but(a, b, "managedFields", same_entries),
        _ => a == b,
    })
}

fn same_but(
    a: &Map<String, Value>,
    b: &Map<String, Value>,
    special: &str,
    same: impl Fn(&Value, &Value) -> bool,
) -> bool {
    a.len() == b.len()
        && a.iter().all(|(key, x)| b.get(key).is_some_and(|y| if key == special { same(x, y) } else { x == y }))
}

fn same_entries(a: &Value, b: &Value) -> bool {
    let (Value::Array(a), Value::Array(b)) = (a, b) else { return a == b };
    if a.len() != b.len() {
        return false;
    }
    let (mut a, mut b): (Vec<&Value>, Vec<&Value>) = (a.iter().collect(), b.iter().collect());
    a.sort_by_key(|entry| entry_key(entry));
    b.sort_by_key(|entry| entry_key(entry));
    a.into_iter().zip(b).all(|(a, b)| match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let fields = |entry: &Map<String, Value>| entry.len() - usize::from(entry.contains_key("time"));
            fields(a) == fields(b) && a.iter().all(|(key, value)| key == "time" || b.get(key) == Some(value))
        }
        _ => a == b,
    })
}

fn entry_key(entry: &Value) -> [&str; 4] {
    ["manager", "operation", "apiVersion", "subresource"].map(|name| text(entry, name))
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn read_entry(entry: &Value, max_keys: &mut usize) -> Option<(Identity, Entry)> {
    let operation = match text(entry, "operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let (manager, subresource) = (text(entry, "manager"), text(entry, "subresource"));
    let api_version = text(entry, "apiVersion");
    if api_version.is_empty()
        || text(entry, "fieldsType") != "FieldsV1"
        || manager.len() > MAX_MANAGER_BYTES
        || manager.chars().any(char::is_control)
        || subresource.len() > MAX_SUBRESOURCE_BYTES
    {
        return None;
    }
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => FieldSet::default(),
        Some(fields) => fields_v1::read(fields, max_keys)?,
    };
    let time = match entry.get("time") {
        None | Some(Value::Null) => None,
        Some(Value::String(time)) => Some(whole_seconds(time)?.into_owned()),
        Some(_) => return None,
    };
    let identity = Identity {
        manager: manager.to_owned(),
        operation,
        api_version: if operation == Operation::Apply { String::new() } else { api_version.to_owned() },
        subresource: subresource.to_owned(),
    };
    Some((identity, Entry { api_version: api_version.to_owned(), time, fields }))
}

fn write_entry(identity: Identity, entry: Entry) -> Value {
    let mut object = Map::with_capacity(7);
    object.insert("manager".to_owned(), Value::String(identity.manager));
    let operation = if identity.operation == Operation::Apply { "Apply" } else { "Update" };
    object.insert("operation".to_owned(), Value::from(operation));
    object.insert("apiVersion".to_owned(), Value::String(entry.api_version));
    if let Some(time) = entry.time {
        object.insert("time".to_owned(), Value::String(time));
    }
    object.insert("fieldsType".to_owned(), Value::from("FieldsV1"));
    object.insert("fieldsV1".to_owned(), fields_v1::write(&entry.fields));
    if !identity.subresource.is_empty() {
        object.insert("subresource".to_owned(), Value::String(identity.subresource));
    }
    Value::Object(object)
}

/// An RFC 3339 time as Kubernetes stores it: UTC, whole seconds, `Z`.
fn whole_seconds(time: &str) -> Option<Cow<'_, str>> {
    let parsed: jiff::Timestamp = time.parse().ok()?;
    let canonical = time.len() == 20 && time.ends_with('Z') && time.get(10..11) == Some("T");
    Some(if canonical { Cow::Borrowed(time) } else { Cow::Owned(crate::clock::rfc3339(parsed.as_second())) })
}
