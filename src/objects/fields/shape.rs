//! How a value of each type divides into fields of their own, and which fields nobody owns.

use serde_json::Value;

use super::path::{Element, Scalar};
use super::set::FieldSet;
use crate::model::schema::{ListKind, Message, Type};

/// The granularity of a type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One field as a whole: scalars, atomic lists, atomic messages.
    Leaf,
    /// Each key of a map is a leaf.
    Map,
    /// Each field of the message on its own.
    Struct(&'static Message),
    /// Each item of a list of scalars is a leaf.
    Set,
    /// Each item of a list, told apart by key fields.
    Keyed(&'static Message, &'static [&'static str]),
}

impl Shape {
    /// The granularity of a field's type.
    pub(super) fn of(ty: Type) -> Self {
        match ty {
            Type::MapOfString | Type::MapOfBytes | Type::MapOfStrings => Self::Map,
            Type::Message(message) if !message.atomic => Self::Struct(message),
            Type::Strings(ListKind::Set) => Self::Set,
            Type::Messages(message, ListKind::Map(keys)) => Self::Keyed(message, keys),
            _ => Self::Leaf,
        }
    }

    /// The step to an item of a list of this granularity.
    pub(super) fn element(self, item: &Value) -> Element {
        match self {
            Self::Keyed(_, keys) => Element::keyed(item, keys),
            _ => Element::Item(Scalar::of(item)),
        }
    }
}

/// Where in an object a message stands: two places have fields that nobody owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The object itself.
    Root,
    /// Its `metadata`.
    Metadata,
    /// Anywhere else.
    Inner,
}

impl Place {
    /// Where the field `name` of a message at this place stands.
    pub(super) fn below(self, name: &str) -> Self {
        if self == Self::Root && name == "metadata" { Self::Metadata } else { Self::Inner }
    }

    /// Whether the field is identity or the server's bookkeeping, which no manager owns.
    pub(super) fn is_untracked(self, name: &str) -> bool {
        match self {
            Self::Root => matches!(name, "apiVersion" | "kind"),
            Self::Metadata => matches!(
                name,
                "name"
                    | "namespace"
                    | "creationTimestamp"
                    | "selfLink"
                    | "uid"
                    | "clusterName"
                    | "generation"
                    | "managedFields"
                    | "resourceVersion"
            ),
            Self::Inner => false,
        }
    }
}

/// Paths that lead into a leaf (written when it was granular, or by hand) become the leaf.
pub(super) fn collapse_leaves(message: &Message, set: &mut FieldSet) {
    for (element, paths) in set.children_mut() {
        let Element::Field(name) = element else { continue };
        let Some(field) = message.field(name) else { continue };
        match Shape::of(field.ty) {
            Shape::Leaf => paths.collapse(),
            Shape::Struct(inner) => collapse_leaves(inner, paths),
            Shape::Keyed(inner, _) if !inner.atomic => {
                paths.children_mut().for_each(|(_, item)| collapse_leaves(inner, item));
            }
            Shape::Map | Shape::Set | Shape::Keyed(..) => paths.children_mut().for_each(|(_, item)| item.collapse()),
        }
    }
}
