//! Schemas of what is no kind's own: tables, reduced objects, watch events, JSON patches, discovery.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};

use super::schemas::{Components, nullable, reference, text};

/// Adds them all.
pub fn add(all: &mut Components) {
    add_forms(all);
    add_json_patch(all);
    add_discovery(all);
    let version = strings(&[
        ("major", "Kubernetes' major version that is spoken."),
        ("minor", "Kubernetes' minor version that is spoken."),
        ("gitVersion", "Both, and the version of this server."),
        ("gitCommit", "Not filled in."),
        ("gitTreeState", "Always clean."),
        ("buildDate", "Not filled in."),
        ("goVersion", "Not filled in."),
        ("compiler", "What built the server."),
        ("platform", "Operating system and architecture."),
    ]);
    all.insert("Version".to_owned(), version.description(Some("What the server is.")).into());
}

fn add_forms(all: &mut Components) {
    let api_version = || text().enum_values(Some(["meta.k8s.io/v1", "meta.k8s.io/v1beta1"]));
    let kind = |name: &str| text().enum_values(Some([name]));
    let column = strings(&[
        ("name", "Heading of the column."),
        ("type", "Type of its cells."),
        ("format", "`name` for the column of names, `date` for times."),
        ("description", "What the column shows."),
    ])
    .property("priority", integer("0: always shown; 1: in wide output."))
    .required("priority");
    let row = ObjectBuilder::new()
        .property("cells", ArrayBuilder::new().items(Object::with_type(SchemaType::AnyValue)))
        .property(
            "object",
            ObjectBuilder::new()
                .schema_type(nullable(Type::Object))
                .description(Some("As includeObject asks: the object's metadata, the object itself, or null.")),
        )
        .required("cells");
    let table = ObjectBuilder::new()
        .property("kind", kind("Table"))
        .property("apiVersion", api_version())
        .property("metadata", reference("ListMeta"))
        .property(
            "columnDefinitions",
            ArrayBuilder::new()
                .schema_type(nullable(Type::Array))
                .items(column)
                .description(Some("The columns; of a watch only in its first event.")),
        )
        .property("rows", ArrayBuilder::new().items(row))
        .description(Some("Objects as rows of cells, as `kubectl get` shows them."));
    all.insert("Table".to_owned(), required(table, &["kind", "apiVersion", "metadata", "rows"]).into());
    let partial = ObjectBuilder::new()
        .property("kind", kind("PartialObjectMetadata"))
        .property("apiVersion", api_version())
        .property("metadata", reference("ObjectMeta"))
        .description(Some("An object reduced to its metadata."));
    all.insert("PartialObjectMetadata".to_owned(), required(partial, &["kind", "apiVersion", "metadata"]).into());
    let list = ObjectBuilder::new()
        .property("kind", kind("PartialObjectMetadataList"))
        .property("apiVersion", api_version())
        .property("metadata", reference("ListMeta"))
        .property("items", ArrayBuilder::new().items(reference("PartialObjectMetadata")))
        .description(Some("A list of objects reduced to their metadata."));
    all.insert(
        "PartialObjectMetadataList".to_owned(),
        required(list, &["kind", "apiVersion", "metadata", "items"]).into(),
    );
    let event = ObjectBuilder::new()
        .property(
            "type",
            text().enum_values(Some(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"])).description(Some(
                "What happened, as the selectors of the watch see it. BOOKMARK only tells how far the watch is; after ERROR it ends.",
            )),
        )
        .property("object", ObjectBuilder::new().description(Some("The object after it; of ERROR a Status.")))
        .description(Some("One line of a watch."));
    all.insert("WatchEvent".to_owned(), required(event, &["type", "object"]).into());
}

/// RFC 6902.
fn add_json_patch(all: &mut Components) {
    let pointer = |description: &str| text().pattern(Some("^(/([^~/]|~[01])*)*$")).description(Some(description));
    let operation = |names: &[&str]| {
        ObjectBuilder::new()
            .property("op", text().enum_values(Some(names.iter().copied())))
            .property("path", pointer("Where (RFC 6901)."))
            .required("op")
            .required("path")
    };
    let value = Object::with_type(SchemaType::AnyValue);
    let operations = OneOfBuilder::new()
        .item(operation(&["add", "replace", "test"]).property("value", value).required("value"))
        .item(operation(&["remove"]))
        .item(operation(&["move", "copy"]).property("from", pointer("Whence (RFC 6901).")).required("from"));
    let patch = ArrayBuilder::new()
        .items(operations)
        .max_items(Some(10_000))
        .description(Some("Operations that are carried out in order, all or none (RFC 6902)."));
    all.insert("JsonPatch".to_owned(), Schema::from(patch).into());
}

fn add_discovery(all: &mut Components) {
    let texts = || ArrayBuilder::new().items(text());
    let group_version = strings(&[("groupVersion", "GROUP/VERSION."), ("version", "VERSION.")]);
    all.insert("GroupVersion".to_owned(), group_version.description(Some("A version of a group.")).into());
    let address = strings(&[("clientCIDR", "Clients."), ("serverAddress", "Where they find the server.")]);
    let versions = strings(&[("kind", "APIVersions.")])
        .property("versions", texts())
        .property("serverAddressByClientCIDRs", ArrayBuilder::new().items(address))
        .description(Some("The versions of the core group."));
    all.insert("APIVersions".to_owned(), required(versions, &["versions", "serverAddressByClientCIDRs"]).into());
    let group = strings(&[("name", "The group.")])
        .property("versions", ArrayBuilder::new().items(reference("GroupVersion")))
        .property("preferredVersion", reference("GroupVersion"));
    let group = required(group, &["versions", "preferredVersion"]);
    let typed = strings(&[("kind", "APIGroup."), ("apiVersion", "v1.")]);
    let whole = AllOfBuilder::new().item(reference("GroupVersions")).item(typed).description(Some("A group."));
    all.insert("GroupVersions".to_owned(), group.description(Some("A group and its versions.")).into());
    all.insert("APIGroup".to_owned(), Schema::from(whole).into());
    let groups = strings(&[("kind", "APIGroupList."), ("apiVersion", "v1.")])
        .property("groups", ArrayBuilder::new().items(reference("GroupVersions")))
        .required("groups")
        .description(Some("The groups besides the core group."));
    all.insert("APIGroupList".to_owned(), groups.into());
    let resource = strings(&[
        ("name", "Plural name, as in URLs; PLURAL/SUBRESOURCE for a subresource."),
        ("singularName", "Singular name; empty for a subresource."),
        ("kind", "The kind of its objects."),
    ])
    .property("namespaced", Object::with_type(Type::Boolean))
    .property("verbs", texts())
    .property("shortNames", texts())
    .property("group", text().description(Some("Group of the kind, where it is another.")))
    .property("version", text().description(Some("Version of the kind, where it is of another group.")))
    .property("storageVersionHash", text().description(Some("Tells whether two versions are stored alike.")));
    let resources = strings(&[("kind", "APIResourceList."), ("groupVersion", "VERSION or GROUP/VERSION.")])
        .property("apiVersion", text())
        .property("resources", ArrayBuilder::new().items(required(resource, &["namespaced", "verbs"])))
        .required("resources")
        .description(Some("The resources of a version of a group."));
    all.insert("APIResourceList".to_owned(), resources.into());
    let any = || ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(true)));
    let aggregated =
        strings(&[("kind", "APIGroupDiscoveryList."), ("apiVersion", "apidiscovery.k8s.io/v2 or v2beta1.")])
            .property("metadata", any())
            .property(
                "items",
                ArrayBuilder::new().items(any().description(Some("A group with its versions and resources."))),
            )
            .description(Some("All of discovery at once (KEP-3352)."));
    all.insert("APIGroupDiscoveryList".to_owned(), required(aggregated, &["metadata", "items"]).into());
    let paths = ObjectBuilder::new().property("paths", texts()).required("paths");
    all.insert("RootPaths".to_owned(), paths.description(Some("Paths that can be read.")).into());
    let place = strings(&[("serverRelativeURL", "Where the document can be kept for good.")]);
    let index = ObjectBuilder::new()
        .property("paths", ObjectBuilder::new().additional_properties(Some(Schema::from(place))))
        .required("paths")
        .description(Some("Where each of Kubernetes' own documents is (KEP-2896)."));
    all.insert("OpenAPIIndex".to_owned(), index.into());
    let document =
        |field: &str| any().property(field, text()).required(field).property("paths", any()).required("paths");
    let v3 = document("openapi").description(Some("A document of OpenAPI 3.0, as kubectl reads it."));
    all.insert("OpenAPIv3".to_owned(), v3.into());
    let v2 = document("swagger").description(Some("A document of OpenAPI 2.0, as kubectl reads it."));
    all.insert("OpenAPIv2".to_owned(), v2.into());
}

fn integer(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(description)).into()
}

/// An object of texts that are all there.
fn strings(fields: &[(&str, &str)]) -> ObjectBuilder {
    fields.iter().fold(ObjectBuilder::new(), |object, (name, description)| {
        object.property(*name, text().description(Some(*description))).required(*name)
    })
}

fn required(object: ObjectBuilder, fields: &[&str]) -> ObjectBuilder {
    fields.iter().fold(object, |object, field| object.required(*field))
}
