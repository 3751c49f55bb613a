//! The schemas of every object, made from the table of shapes and its constraints.
//!
//! A field that may be left out may be `null` too: decoding takes both for absent, and a patch removes by `null`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, AnyOfBuilder, ArrayBuilder, KnownFormat, Object, ObjectBuilder, RefBuilder,
    Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

use super::constraints::{self, Text};
use super::refinements::{self, Rule};
use super::{endpoints, meta};
use crate::model::kinds::{KINDS, Kind, REQUEST_KINDS, Verb};
use crate::model::schema::{self, Field, Message};

/// The components by their names.
pub type Components = BTreeMap<String, RefOr<Schema>>;

/// A reference to the schema of this name.
pub fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// A reference to the schema of this name, described anew.
pub fn described_reference(name: &str, description: &str) -> RefBuilder {
    RefBuilder::new().ref_location_from_schema_name(name).description(Some(description))
}

/// Text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The same type, or `null`.
pub fn nullable(of: Type) -> SchemaType {
    SchemaType::from_iter([of, Type::Null])
}

/// Every schema that operations refer to.
pub fn components() -> Components {
    let mut all = Components::new();
    for kind in KINDS.iter().chain(REQUEST_KINDS).copied() {
        add_kind(kind, &mut all);
    }
    for message in [&schema::STATUS, &schema::DELETE_OPTIONS, &schema::LIST_META] {
        add_message(message, &mut all);
    }
    meta::add(&mut all);
    endpoints::add_schemas(&mut all);
    all
}

fn add_kind(kind: &'static Kind, all: &mut Components) {
    let whole = with_fields(typed(kind), kind.message, Part::Of(kind));
    let whole = if kind.stored { whole.required("metadata") } else { whole };
    all.insert(kind.kind.to_owned(), whole.description(Some(kind.message.description)).into());
    add_inner(kind.message, all);
    if !kind.stored {
        return;
    }
    if kind.verbs.contains(&Verb::Patch) {
        let patch = with_fields(typed(kind), kind.message, Part::Patch)
            .description(Some(format!("Any part of a {}: what is absent stays, what is null is removed.", kind.kind)));
        all.insert(patch_name(kind), patch.into());
    }
    let list = ObjectBuilder::new()
        .property("kind", text().enum_values(Some([kind.list_kind])))
        .property("apiVersion", text().enum_values(Some([kind.api_version])))
        .property("metadata", reference("ListMeta"))
        .property("items", ArrayBuilder::new().items(reference(kind.kind)))
        .required("kind")
        .required("apiVersion")
        .required("metadata")
        .required("items")
        .description(Some(format!("{} objects. Those in it do not repeat kind and apiVersion.", kind.kind)));
    all.insert(kind.list_kind.to_owned(), list.into());
}

/// The name of the schema of a kind's patches.
pub fn patch_name(kind: &Kind) -> String {
    format!("{}Patch", kind.kind)
}

/// `kind` and `apiVersion`, which may be left out: the URL says them too.
fn typed(kind: &Kind) -> ObjectBuilder {
    let known = |value: &str, description: &str| {
        ObjectBuilder::new()
            .schema_type(nullable(Type::String))
            .enum_values(Some([json!(value), Value::Null]))
            .description(Some(description))
    };
    ObjectBuilder::new()
        .property("kind", known(kind.kind, "The kind of this object."))
        .property("apiVersion", known(kind.api_version, "Group and version of the shape of this object."))
}

/// Adds a message and what it is made of.
fn add_message(message: &'static Message, all: &mut Components) {
    if all.contains_key(message.name) {
        return;
    }
    // A place is kept first, so that a message that refers to itself ends.
    all.insert(message.name.to_owned(), RefOr::default());
    let mut object = ObjectBuilder::new();
    if message.name == schema::STATUS.name {
        object = object
            .property("kind", text().enum_values(Some(["Status"])))
            .property("apiVersion", text().enum_values(Some(["v1"])));
        for field in ["kind", "apiVersion", "metadata", "status"] {
            object = object.required(field);
        }
    }
    let object = with_fields(object, message, Part::Whole);
    let refinements = refinements::of(message.name);
    let schema = if refinements.is_empty() {
        Schema::from(object.description(Some(message.description)))
    } else {
        let all_of = AllOfBuilder::new().description(Some(message.description)).item(object);
        refinements.into_iter().fold(all_of, AllOfBuilder::item).into()
    };
    all.insert(message.name.to_owned(), schema.into());
    add_inner(message, all);
}

fn add_inner(message: &'static Message, all: &mut Components) {
    for field in message.fields {
        if let schema::Type::Message(inner) | schema::Type::Messages(inner, _) = field.ty {
            add_message(inner, all);
        }
    }
}

/// Which fields of a message are meant, and how.
#[derive(Clone, Copy)]
enum Part {
    /// All, as the table has them.
    Whole,
    /// All of a kind's own message, with what is particular to the kind.
    Of(&'static Kind),
    /// Any of them.
    Patch,
}

fn with_fields(mut object: ObjectBuilder, message: &'static Message, part: Part) -> ObjectBuilder {
    for field in message.fields {
        let required = constraints::is_required(message.name, field);
        let own = match part {
            Part::Of(kind) => own_property(kind, field),
            Part::Whole | Part::Patch => None,
        };
        let schema = own.unwrap_or_else(|| property(message, field, part, required));
        object = object.property(field.json, schema);
        if required && !matches!(part, Part::Patch) {
            object = object.required(field.json);
        }
    }
    object
}

/// Fields whose form depends on the kind that has them.
fn own_property(kind: &'static Kind, field: &Field) -> Option<RefOr<Schema>> {
    let described = |schema: AllOfBuilder| RefOr::from(schema.description(Some(field.description)));
    match (kind.kind, field.json) {
        (_, "metadata") if kind.stored => {
            let form = ObjectBuilder::new()
                .property("name", limited(Type::String.into(), constraints::name(kind)))
                .property("generateName", limited(nullable(Type::String), constraints::name_prefix(kind)));
            let named = |field: &str| ObjectBuilder::new().property(field, text().min_length(Some(1))).required(field);
            let either = AnyOfBuilder::new().item(named("name")).item(named("generateName"));
            Some(described(AllOfBuilder::new().item(reference("ObjectMeta")).item(form).item(Schema::from(either))))
        }
        ("Role", "rules") => {
            let of_resources = RefOr::from(Rule::default().no_items("nonResourceURLs"));
            let rule = AllOfBuilder::new().item(reference("PolicyRule")).item(of_resources);
            Some(list(nullable(Type::Array), Schema::from(rule).into(), kind.message, field))
        }
        ("ClusterRoleBinding", "subjects") => {
            let person = Rule::default().is("kind", &["Group", "User"]);
            let located = AnyOfBuilder::new().item(person).item(Rule::default().text("namespace"));
            let subject = AllOfBuilder::new().item(reference("Subject")).item(Schema::from(located));
            Some(list(nullable(Type::Array), Schema::from(subject).into(), kind.message, field))
        }
        ("LocalSubjectAccessReview", "spec") => {
            let of_resource = RefOr::from(Rule::default().object("resourceAttributes"));
            Some(described(AllOfBuilder::new().item(reference("SubjectAccessReviewSpec")).item(of_resource)))
        }
        ("ClusterRoleBinding", "roleRef") => {
            let kinds = ObjectBuilder::new().property("kind", text().enum_values(Some(["ClusterRole"])));
            Some(described(AllOfBuilder::new().item(reference("RoleRef")).item(kinds)))
        }
        ("SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview", "metadata") => {
            Some(review_metadata(kind).description(Some("Empty, as nothing is stored.")).into())
        }
        (_, "status") if !kind.stored => {
            let schema::Type::Message(status) = field.ty else { return None };
            Some(described_reference(status.name, field.description).read_only(true).into())
        }
        _ => None,
    }
}

fn review_metadata(kind: &Kind) -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .property("creationTimestamp", Object::with_type(Type::Null))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    if kind.namespaced {
        object.property("namespace", limited(Type::String.into(), constraints::namespace()))
    } else {
        object
    }
}

fn property(message: &'static Message, field: &'static Field, part: Part, required: bool) -> RefOr<Schema> {
    let is_answer_only = matches!(message.name, "Status" | "StatusDetails" | "StatusCause" | "ListMeta");
    let may_be_null = !is_answer_only && (!required || matches!(part, Part::Patch));
    let of = |ty: Type| if may_be_null { nullable(ty) } else { ty.into() };
    let rule = constraints::text(message.name, field.json);
    let object = ObjectBuilder::new().description(Some(field.description));
    match field.ty {
        schema::Type::String => limited(of(Type::String), rule).description(Some(field.description)).into(),
        schema::Type::Bool => object.schema_type(of(Type::Boolean)).into(),
        schema::Type::Int32 => {
            integer(object.schema_type(of(Type::Integer)), KnownFormat::Int32, i32::MIN.into(), i32::MAX.into())
        }
        schema::Type::Int64 => {
            let (least, most) = constraints::range(message.name, field.json);
            integer(object.schema_type(of(Type::Integer)), KnownFormat::Int64, least, most)
        }
        schema::Type::Bytes => base64(of(Type::String)).description(Some(field.description)).into(),
        schema::Type::Time | schema::Type::MicroTime => {
            let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
            object.schema_type(of(Type::String)).format(Some(format)).into()
        }
        schema::Type::FieldsV1 => object.schema_type(of(Type::Object)).into(),
        schema::Type::MapOfString => {
            let value = limited(nullable(Type::String), Text { write_only: false, ..rule });
            map(object.schema_type(of(Type::Object)), message, field, value)
        }
        schema::Type::MapOfBytes => {
            map(object.schema_type(of(Type::Object)), message, field, base64(nullable(Type::String)))
        }
        schema::Type::MapOfStrings => {
            let values = ArrayBuilder::new().schema_type(nullable(Type::Array)).items(text());
            object.schema_type(of(Type::Object)).additional_properties(Some(Schema::from(values))).into()
        }
        schema::Type::Strings(_) => list(of(Type::Array), limited(Type::String.into(), rule).into(), message, field),
        schema::Type::Messages(inner, _) => list(of(Type::Array), reference(inner.name).into(), message, field),
        schema::Type::Message(inner) => {
            if !may_be_null {
                return described_reference(inner.name, field.description).into();
            }
            let inner: RefOr<Schema> = match part {
                Part::Patch if inner.fields.iter().any(|field| field.required) => {
                    with_fields(ObjectBuilder::new(), inner, Part::Patch).into()
                }
                _ => reference(inner.name).into(),
            };
            let or_null = AnyOfBuilder::new().item(inner).item(Object::with_type(Type::Null));
            or_null.description(Some(field.description)).into()
        }
    }
}

/// Text under a rule.
pub fn limited(ty: SchemaType, rule: Text) -> ObjectBuilder {
    let may_be_null = matches!(ty, SchemaType::Array(_));
    let mut text = ObjectBuilder::new()
        .schema_type(ty)
        .pattern(rule.pattern)
        .min_length(rule.min_length)
        .max_length(rule.max_length);
    if rule.write_only {
        text = text.write_only(true);
    }
    if rule.one_of.is_empty() {
        return text;
    }
    // `enum` holds for null as well.
    let null = may_be_null.then_some(Value::Null);
    text.enum_values(Some(rule.one_of.iter().map(|value| json!(value)).chain(null)))
}

fn base64(ty: SchemaType) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(ty).content_encoding("base64").pattern(Some(constraints::BASE64))
}

fn integer(object: ObjectBuilder, format: KnownFormat, least: i64, most: i64) -> RefOr<Schema> {
    object.format(Some(SchemaFormat::KnownFormat(format))).minimum(Some(least)).maximum(Some(most)).into()
}

fn map(object: ObjectBuilder, message: &Message, field: &Field, values: ObjectBuilder) -> RefOr<Schema> {
    let keys = constraints::keys(message.name, field.json);
    let object = object.property_names(keys.map(|rule| limited(Type::String.into(), rule)));
    let is_write_only = constraints::text(message.name, field.json).write_only;
    let object = if is_write_only { object.write_only(true) } else { object };
    object.additional_properties(Some(values)).into()
}

fn list(ty: SchemaType, items: RefOr<Schema>, message: &Message, field: &Field) -> RefOr<Schema> {
    ArrayBuilder::new()
        .schema_type(ty)
        .items(items)
        .min_items(constraints::min_items(message.name, field.json))
        .description(Some(field.description))
        .into()
}
