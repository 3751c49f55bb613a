//! `list`: a collection at one revision, in pages if asked, read row by row while it is sent.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::cursor::Cursor;
use super::live::Loaded;
use super::{Error, Objects, Request};
use crate::model::kinds::Kind;
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::store::{Range, SnapshotError};

/// Which part of a collection, at which revision.
#[derive(Debug, Default)]
pub struct PageRequest {
    /// At most so many objects; `None` is all.
    pub limit: Option<usize>,
    /// A token from the page before.
    pub continue_token: Option<String>,
    /// The exact revision to show; `None` is the latest.
    pub at: Option<u64>,
    /// The oldest revision that will do.
    pub not_older_than: Option<u64>,
    /// Label selector.
    pub labels: LabelSelector,
    /// Field selector.
    pub fields: FieldSelector,
}

/// One page, still sealed: [`Objects::open_page`] reads it object by object.
pub struct Page {
    kind: &'static Kind,
    /// Revision of the whole list.
    pub revision: u64,
    /// Rows in order (namespace, name).
    pub rows: Vec<u64>,
    /// Token for the next page.
    pub continue_token: Option<String>,
    /// How many objects follow this page; absent with selectors.
    pub remaining: Option<u64>,
    /// Objects of the page that are left out because their rows do not pass authentication.
    pub withheld: usize,
}

impl Page {
    /// Kind of its objects.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }
}

impl Objects {
    /// The page that `page` asks for, of the collection that the permit names.
    pub fn list(&self, request: Request<'_>, page: &PageRequest) -> Result<Page, Error> {
        let kind = request.kind()?;
        let namespace = Some(request.namespace()).filter(|namespace| !namespace.is_empty());
        if let Some(asked) = page.not_older_than.or(page.at)
            && asked > self.revision()
        {
            return Err(Error::FutureRevision { asked, current: self.revision() });
        }
        let cursor = match &page.continue_token {
            Some(token) => Some(self.open_cursor(request, page, token)?),
            None => None,
        };
        let at = match &cursor {
            Some(cursor) => cursor.revision,
            None => page.at,
        };
        let after = cursor.as_ref().map(|cursor| (cursor.namespace.as_str(), cursor.name.as_str()));
        let selects = !page.labels.is_empty() || !page.fields.is_empty();
        if !selects {
            let remaining = cursor.as_ref().and_then(|cursor| cursor.remaining);
            let snapshot = self
                .store
                .snapshot(kind.id, &Range { namespace, at, after, limit: page.limit, remaining, name: None })
                .map_err(|error| snapshot_error(error, cursor.is_some()))?;
            let remaining = snapshot.remaining.filter(|count| *count > 0);
            let continue_token = match &snapshot.reached {
                // As the index has them: the row's own columns are anybody's who can write to the file.
                Some((namespace, name)) if remaining.is_some() => {
                    Some(self.cursor_behind(request, page, snapshot.revision, (namespace, name), remaining)?)
                }
                _ => None,
            };
            let mut rows = snapshot.revisions;
            let withheld = self.store.withhold(&mut rows);
            return Ok(Page { kind, revision: snapshot.revision, remaining, rows, continue_token, withheld });
        }
        self.list_selected(request, page, at, after, cursor.is_some())
    }

    fn list_selected(
        &self,
        request: Request<'_>,
        page: &PageRequest,
        at: Option<u64>,
        after: Option<(&str, &str)>,
        continued: bool,
    ) -> Result<Page, Error> {
        let kind = request.kind()?;
        let namespace = Some(request.namespace()).filter(|namespace| !namespace.is_empty());
        // What every `kubectl get NAME -w` and `wait` asks: one name needs no search.
        let name = page.fields.exact("metadata.name");
        let range = Range { namespace, at, name, after, ..Range::default() };
        let mut snapshot = self.store.snapshot(kind.id, &range).map_err(|error| snapshot_error(error, continued))?;
        let mut withheld = self.store.withhold(&mut snapshot.revisions);
        let limit = page.limit.unwrap_or(usize::MAX);
        let (mut rows, mut last, mut more) = (Vec::new(), None, false);
        for row in snapshot.revisions {
            let judged = self.load_in_passing(kind, row).and_then(|loaded| {
                let mentions_all = page.labels.needs().all(|key| loaded.mentions(key));
                let is_wanted = mentions_all && selected(&loaded, &page.labels, &page.fields)?;
                Ok(is_wanted.then_some(loaded))
            });
            let loaded = match judged {
                Ok(Some(loaded)) => Some(loaded),
                Ok(None) => continue,
                Err(Error::Integrity(_)) => {
                    withheld += 1;
                    continue;
                }
                // Another row that cannot be judged stays in the page, where reading it reports why.
                Err(_) => None,
            };
            if rows.len() == limit {
                more = true;
                break;
            }
            rows.push(row);
            last = loaded;
        }
        let revision = snapshot.revision;
        let continue_token = match &last {
            // It was opened, and so these are what was sealed.
            Some(last) if more => {
                Some(self.cursor_behind(request, page, revision, (last.namespace(), last.name()), None)?)
            }
            None if more => return Err(Error::Unavailable("the store cannot be read")),
            _ => None,
        };
        Ok(Page { kind, revision, rows, continue_token, remaining: None, withheld })
    }

    /// Opens one row of a page.
    pub fn open_page(&self, page: &Page, revision: u64) -> Result<Loaded, Error> {
        self.load_in_passing(page.kind, revision)
    }

    fn cursor_behind(
        &self,
        request: Request<'_>,
        page: &PageRequest,
        revision: u64,
        (namespace, name): (&str, &str),
        remaining: Option<u64>,
    ) -> Result<String, Error> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let cursor = Cursor { revision: Some(revision), namespace, name, remaining };
        cursor.seal(&self.keyring, &scope(request, page), self.clock.unix_seconds())
    }

    /// Where `token` leads, or that the list it belongs to cannot be gone on with as it was.
    fn open_cursor(&self, request: Request<'_>, page: &PageRequest, token: &str) -> Result<Cursor, Error> {
        let (scope, now) = (scope(request, page), self.clock.unix_seconds());
        let (cursor, expired) = Cursor::open(&self.keyring, token, &scope, now)?;
        let compacted = cursor.revision.is_some_and(|revision| revision < self.store.compacted());
        if !expired && !compacted {
            return Ok(cursor);
        }
        let fresh = Cursor { revision: None, remaining: None, ..cursor };
        Err(Error::Expired(TOKEN_EXPIRED.to_owned(), Some(fresh.seal(&self.keyring, &scope, now)?)))
    }
}

const TOKEN_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// What a continue token is bound to: the collection, the selectors and the user.
pub(super) fn scope(request: Request<'_>, page: &PageRequest) -> String {
    let attributes = request.permit.attributes();
    let mut hash = Sha256::new();
    for part in [
        attributes.group.as_str(),
        &attributes.resource,
        &attributes.namespace,
        &page.labels.to_string(),
        &page.fields.to_string(),
        &request.permit.user().name,
        &request.permit.user().uid,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Whether an object matches both selectors.
pub(super) fn selected(loaded: &Loaded, labels: &LabelSelector, fields: &FieldSelector) -> Result<bool, Error> {
    if labels.is_empty() && fields.is_empty() {
        return Ok(true);
    }
    Ok(object_matches(&loaded.bare()?, labels, fields))
}

/// Whether an object, of which neither secret values nor the last-applied annotation are needed, matches both.
pub(super) fn object_matches(object: &Value, labels: &LabelSelector, fields: &FieldSelector) -> bool {
    let label = |name: &str| object.pointer("/metadata/labels")?.get(name)?.as_str();
    let field = |name: &str| {
        if name == "source" {
            return reporter(object);
        }
        let mut value = Some(object);
        for part in name.split('.') {
            value = value.and_then(|value| value.get(part));
        }
        value.and_then(Value::as_str).unwrap_or_default()
    };
    labels.matches(label) && fields.matches(field)
}

/// Who reports an event; older recorders say so in another place than newer ones.
fn reporter(event: &Value) -> &str {
    let component = event.pointer("/source/component").and_then(Value::as_str).filter(|text| !text.is_empty());
    component.or_else(|| event.get("reportingComponent")?.as_str()).unwrap_or_default()
}

fn snapshot_error(error: SnapshotError, continued: bool) -> Error {
    match error {
        SnapshotError::Compacted { .. } if continued => Error::Expired(TOKEN_EXPIRED.to_owned(), None),
        SnapshotError::Compacted { .. } => {
            Error::Expired("The resourceVersion for the provided list is too old.".to_owned(), None)
        }
        SnapshotError::FutureRevision { asked, current } => Error::FutureRevision { asked, current },
    }
}
