//! What must hold between the fields of a message, and of a field in certain kinds.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};

use super::constraints;
use super::schemas::{limited, nullable, text};

/// What must hold between the fields of a message.
pub fn of(message: &str) -> Vec<Schema> {
    match message {
        "SelfSubjectAccessReviewSpec" | "AccessExplanationSpec" | "ResourceAccessReviewSpec" => vec![one_of(ASKED)],
        "SubjectAccessReviewSpec" => {
            let subject = AnyOfBuilder::new().item(Rule::default().text("user")).item(Rule::default().items("groups"));
            vec![one_of(ASKED), subject.into()]
        }
        "FieldSelectorAttributes" | "LabelSelectorAttributes" => {
            let raw = Rule::default().text("rawSelector").no_items("requirements");
            let parsed = Rule::default().items("requirements").no_text("rawSelector");
            vec![OneOfBuilder::new().item(raw).item(parsed).into()]
        }
        "FieldSelectorRequirement" | "LabelSelectorRequirement" => {
            let compared = Rule::default().is("operator", &["In", "NotIn"]).items("values");
            let there = Rule::default().is("operator", &["Exists", "DoesNotExist"]).no_items("values");
            vec![OneOfBuilder::new().item(compared).item(there).into()]
        }
        "PolicyRule" => {
            let resources = Rule::default().items("apiGroups").items("resources").no_items("nonResourceURLs");
            let paths = ["apiGroups", "resources", "resourceNames"].into_iter();
            let paths = paths.fold(Rule::default().items("nonResourceURLs"), Rule::no_items);
            vec![OneOfBuilder::new().item(resources).item(paths).into()]
        }
        "Subject" => {
            let name = limited(Type::String.into(), constraints::subdomain());
            let account = Rule::default().is("kind", &["ServiceAccount"]).needs("name", name).no_text("apiGroup");
            let person = Rule::default().is("kind", &["Group", "User"]);
            vec![OneOfBuilder::new().item(account).item(person).into()]
        }
        "SecretExportSpec" => {
            let named = Rule::default().items("names").no("selector");
            let selected = Rule::default().object("selector").no_items("names");
            let formats = [
                (&["json", "yaml"][..], None, true),
                (&["docker-env", "dotenv", "pod", "shell", "systemd-env"], None, false),
                (&["sealedsecret"], Some("sealedSecret"), false),
                (&["sops"], Some("sops"), true),
                (&["external-secret"], Some("externalStore"), false),
            ];
            let mut choice = OneOfBuilder::new();
            for (names, wanted, has_string_data) in formats {
                let others = ["sealedSecret", "sops", "externalStore"].into_iter();
                let others = others.filter(|other| Some(*other) != wanted);
                let rule = others.fold(Rule::default().is("format", names), Rule::no);
                let rule = wanted.into_iter().fold(rule, Rule::object);
                choice = choice.item(if has_string_data { rule } else { rule.without("stringData") });
            }
            vec![OneOfBuilder::new().item(named).item(selected).into(), choice.into()]
        }
        "DeleteOptions" => {
            let (orphans, policy) = ("orphanDependents", "propagationPolicy");
            let policies = AnyOfBuilder::new().item(Rule::default().no(orphans)).item(Rule::default().no(policy));
            let ignores = "ignoreStoreReadErrorWithClusterBreakingPotential";
            let careful =
                ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some([json!(false), Value::Null]));
            let careful = Rule(ObjectBuilder::new().property(ignores, careful));
            let alone = Rule::default().no(orphans).no(policy).no("gracePeriodSeconds").no("preconditions");
            vec![policies.into(), AnyOfBuilder::new().item(careful).item(alone.no_items("dryRun")).into()]
        }
        _ => Vec::new(),
    }
}

/// The two things that an access review can ask about.
const ASKED: [&str; 2] = ["resourceAttributes", "nonResourceAttributes"];

/// Exactly one of two objects is there.
fn one_of([one, other]: [&str; 2]) -> Schema {
    OneOfBuilder::new().item(Rule::default().object(one).no(other)).item(Rule::default().object(other).no(one)).into()
}

/// Conditions on fields, which must all hold.
#[derive(Default)]
pub struct Rule(ObjectBuilder);

impl Rule {
    /// There is a field of this form.
    pub fn needs(self, field: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self(self.0.property(field, schema).required(field))
    }

    /// There is text in it.
    pub fn text(self, field: &str) -> Self {
        self.needs(field, text().min_length(Some(1)))
    }

    /// It has one of these values.
    pub fn is(self, field: &str, values: &[&str]) -> Self {
        self.needs(field, text().enum_values(Some(values.iter().copied())))
    }

    /// There is something in the list.
    pub fn items(self, field: &str) -> Self {
        self.needs(field, ArrayBuilder::new().items(Object::with_type(SchemaType::AnyValue)).min_items(Some(1)))
    }

    /// There is an object.
    pub fn object(self, field: &str) -> Self {
        self.needs(field, Object::with_type(Type::Object))
    }

    /// It is absent or null.
    pub fn no(self, field: &str) -> Self {
        Self(self.0.property(field, Object::with_type(Type::Null)))
    }

    /// It is absent, null or false.
    pub fn without(self, field: &str) -> Self {
        let values =
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some([json!(false), Value::Null]));
        Self(self.0.property(field, values))
    }

    /// It is absent, null or empty.
    pub fn no_text(self, field: &str) -> Self {
        Self(self.0.property(field, text().schema_type(nullable(Type::String)).max_length(Some(0))))
    }

    /// It is absent, null or an empty list.
    pub fn no_items(self, field: &str) -> Self {
        let items = Object::with_type(SchemaType::AnyValue);
        let none = ArrayBuilder::new().schema_type(nullable(Type::Array)).items(items).max_items(Some(0));
        Self(self.0.property(field, none))
    }
}

impl From<Rule> for RefOr<Schema> {
    fn from(rule: Rule) -> Self {
        rule.0.into()
    }
}
