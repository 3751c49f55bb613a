//! Manifests as kubectl writes them: YAML documents, or JSON; several in JSON are a `List`.

use crate::codec::{json, yaml};
use crate::sensitive::SecretBuffer;

use super::SecretDocument;

/// kubectl indents JSON by four.
const JSON_INDENT: usize = 4;
/// Column of an item of a `List`.
const ITEM_COLUMN: usize = 8;
const LIST_START: &str =
    "{\n    \"kind\": \"List\",\n    \"apiVersion\": \"v1\",\n    \"metadata\": {},\n    \"items\": [";
const LIST_END: &str = "\n    ]\n}\n";

/// Writes Secrets one after the other, so that a caller can send what is there before the last one is read.
///
/// ```text
/// new → push … push → finish      take the buffer's content whenever it is large enough
/// ```
pub struct ManifestStream {
    shape: Shape,
    string_data: bool,
    begun: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Documents.
    Yaml,
    /// One object.
    Json,
    /// A `List`.
    JsonList,
}

impl ManifestStream {
    /// In JSON or YAML. `many` is whether another number than one will come: in JSON that is a `List`.
    #[must_use]
    pub fn new(json: bool, many: bool, string_data: bool) -> Self {
        let shape = match (json, many) {
            (false, _) => Shape::Yaml,
            (true, false) => Shape::Json,
            (true, true) => Shape::JsonList,
        };
        Self { shape, string_data, begun: false }
    }

    /// Appends one Secret.
    #[expect(clippy::disallowed_methods, reason = "manifests are what this format shows values in")]
    pub fn push(&mut self, secret: &SecretDocument, out: &mut SecretBuffer) {
        let manifest = secret.manifest(self.string_data);
        let first = !std::mem::replace(&mut self.begun, true);
        match self.shape {
            Shape::Yaml => {
                if !first {
                    out.push_str("---\n");
                }
                yaml::write(out, manifest.expose());
            }
            Shape::Json => {
                json::write_pretty(out, manifest.expose(), JSON_INDENT, 0);
                out.push('\n');
            }
            Shape::JsonList => {
                out.push_str(if first { LIST_START } else { "," });
                out.push_str("\n        ");
                json::write_pretty(out, manifest.expose(), JSON_INDENT, ITEM_COLUMN);
            }
        }
    }

    /// Appends what stands after the last one.
    pub fn finish(self, out: &mut SecretBuffer) {
        if self.shape == Shape::JsonList {
            if self.begun {
                out.push_str(LIST_END);
            } else {
                out.push_str(LIST_START);
                out.push_str("]\n}\n");
            }
        }
    }
}
