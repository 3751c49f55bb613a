//! `Accept` → the form of the answer, as Kubernetes negotiates it.
//!
//! Source: Kubernetes API concepts, "Alternate representations of resources". Alternatives that are not
//! served are skipped, so that a client that prefers protobuf and allows JSON is answered in JSON.

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// The representation of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The object or list itself.
    Plain,
    /// `meta.k8s.io` Table, of this version.
    Table(&'static str),
    /// `meta.k8s.io` PartialObjectMetadata, of this version.
    Partial(&'static str),
    /// `meta.k8s.io` PartialObjectMetadataList, of this version.
    PartialList(&'static str),
}

/// What was agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Encoding.
    pub encoding: Encoding,
    /// Representation.
    pub shape: Shape,
}

/// What an endpoint can answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// One object: as itself, as Table, as PartialObjectMetadata.
    Object,
    /// A list: as itself, as Table, as PartialObjectMetadataList.
    List,
    /// A stream of events: JSON only.
    Watch,
    /// A stream that begins with what there is (KEP-3157): never a Table.
    WatchList,
    /// As itself only (reviews).
    Plain,
}

impl Offer {
    fn is_stream(self) -> bool {
        matches!(self, Self::Watch | Self::WatchList)
    }
}

/// Nothing that the client accepts is served; the text of the 406.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAcceptable(pub String);

const META_V1: &str = "meta.k8s.io/v1";
const META_V1BETA1: &str = "meta.k8s.io/v1beta1";

struct Entry<'a> {
    media_type: String,
    as_kind: Option<&'a str>,
    group: Option<&'a str>,
    version: Option<&'a str>,
}

/// Chooses the first alternative of `accept` (in the client's order) that is served.
pub fn negotiate(accept: Option<&str>, offer: Offer) -> Result<Negotiated, NotAcceptable> {
    let accept = accept.map(str::trim).filter(|accept| !accept.is_empty()).unwrap_or("*/*");
    let mut unknown_shape = false;
    for entry in accept.split(',').map(entry) {
        if let Some(text) = other_number(&entry, offer) {
            return Err(NotAcceptable(text.to_owned()));
        }
        let encoding = match entry.media_type.as_str() {
            "*/*" | "application/*" | "application/json" => Encoding::Json,
            "application/yaml" if !offer.is_stream() => Encoding::Yaml,
            _ => continue,
        };
        match shape(&entry, offer) {
            Some(shape) => return Ok(Negotiated { encoding, shape }),
            None => unknown_shape = true,
        }
    }
    Err(NotAcceptable(if offer.is_stream() {
        "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch".to_owned()
    } else if unknown_shape {
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf".to_owned()
    } else {
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf".to_owned()
    }))
}

fn entry(text: &str) -> Entry<'_> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let mut entry = Entry { media_type, as_kind: None, group: None, version: None };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "as" => entry.as_kind = Some(value.trim()),
            "g" => entry.group = Some(value.trim()),
            "v" => entry.version = Some(value.trim()),
            _ => {}
        }
    }
    entry
}

/// One object's metadata is asked for of a list, or a list's of one object. Kubernetes does not go on to the next
/// alternative then, so that the mistake is seen.
fn other_number(entry: &Entry<'_>, offer: Offer) -> Option<&'static str> {
    if entry.media_type != "application/json" && entry.media_type != "application/yaml" {
        return None;
    }
    let is_served = entry.group == Some("meta.k8s.io") && matches!(entry.version, Some("v1" | "v1beta1"));
    match (entry.as_kind, offer) {
        (Some("PartialObjectMetadata"), Offer::List) if is_served => {
            Some("you requested PartialObjectMetadata, but the requested object is a list")
        }
        (Some("PartialObjectMetadataList"), Offer::Object) if is_served => {
            Some("you requested PartialObjectMetadataList, but the requested object is not a list")
        }
        _ => None,
    }
}

fn shape(entry: &Entry<'_>, offer: Offer) -> Option<Shape> {
    let Some(as_kind) = entry.as_kind else { return Some(Shape::Plain) };
    if entry.group != Some("meta.k8s.io") || offer == Offer::Plain {
        return None;
    }
    let version = match entry.version {
        Some("v1") => META_V1,
        Some("v1beta1") => META_V1BETA1,
        _ => return None,
    };
    match (as_kind, offer) {
        ("Table", offer) if offer != Offer::WatchList => Some(Shape::Table(version)),
        ("PartialObjectMetadata", Offer::Object | Offer::Watch | Offer::WatchList) => Some(Shape::Partial(version)),
        ("PartialObjectMetadataList", Offer::List) => Some(Shape::PartialList(version)),
        _ => None,
    }
}

/// The version of aggregated discovery that the client asks for first, if it does: `v2` or `v2beta1`.
pub fn aggregated_discovery(accept: Option<&str>) -> Option<&'static str> {
    for entry in accept?.split(',').map(entry) {
        if entry.media_type != "application/json" && entry.media_type != "*/*" {
            continue;
        }
        match (entry.as_kind, entry.group, entry.version) {
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => return Some("v2"),
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2beta1")) => return Some("v2beta1"),
            (Some(_), ..) => {}
            (None, ..) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(shape: Shape) -> Negotiated {
        Negotiated { encoding: Encoding::Json, shape }
    }

    #[test]
    fn clients_get_the_first_alternative_that_is_served() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(Some(table), Offer::List).unwrap(), json(Shape::Table(META_V1)));
        assert_eq!(
            negotiate(Some("application/vnd.kubernetes.protobuf,application/json"), Offer::Object).unwrap(),
            json(Shape::Plain)
        );
        assert_eq!(
            negotiate(Some("application/json;as=Foo;v=v1;g=meta.k8s.io,application/json"), Offer::List).unwrap(),
            json(Shape::Plain)
        );
        assert_eq!(negotiate(Some("application/json, */*;q=0.8"), Offer::Object).unwrap(), json(Shape::Plain));
        assert_eq!(negotiate(None, Offer::Watch).unwrap(), json(Shape::Plain));
        assert_eq!(
            negotiate(Some("application/yaml"), Offer::Object),
            Ok(Negotiated { encoding: Encoding::Yaml, shape: Shape::Plain })
        );
    }

    #[test]
    fn what_is_not_served_is_refused_with_what_is() {
        assert!(negotiate(Some("text/html"), Offer::Object).unwrap_err().0.starts_with("406: Not Acceptable"));
        assert!(negotiate(Some("application/yaml"), Offer::Watch).unwrap_err().0.contains("stream=watch"));
        let only_table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert!(negotiate(Some(only_table), Offer::WatchList).is_err());
        let or_plain = format!("{only_table},application/json");
        assert_eq!(negotiate(Some(&or_plain), Offer::WatchList).unwrap(), json(Shape::Plain));
        assert!(negotiate(Some(only_table), Offer::Plain).unwrap_err().0.starts_with("only the following"));
    }

    #[test]
    fn metadata_of_one_object_is_not_what_a_list_has_and_the_other_way_round() {
        let one = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
        let many = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(Some(one), Offer::Object).unwrap(), json(Shape::Partial(META_V1)));
        assert_eq!(negotiate(Some(one), Offer::Watch).unwrap(), json(Shape::Partial(META_V1)));
        assert_eq!(negotiate(Some(many), Offer::List).unwrap(), json(Shape::PartialList(META_V1)));
        assert!(negotiate(Some(one), Offer::List).unwrap_err().0.ends_with("is a list"));
        assert!(negotiate(Some(many), Offer::Object).unwrap_err().0.ends_with("is not a list"));
        // A review has no other forms: the next alternative is taken.
        assert_eq!(negotiate(Some(one), Offer::Plain).unwrap(), json(Shape::Plain));
    }

    #[test]
    fn discovery_versions_are_matched_exactly() {
        let both = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated_discovery(Some(both)), Some("v2"));
        assert_eq!(
            aggregated_discovery(Some(
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
            )),
            Some("v2beta1")
        );
        assert_eq!(aggregated_discovery(Some("application/json")), None);
        assert_eq!(aggregated_discovery(None), None);
    }
}
