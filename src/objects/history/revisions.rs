//! The versions of Secrets as objects of their own (SecretRevision): listed, read, destroyed.
//!
//! Nothing is stored of them but the versions themselves. The name of one is `SECRET.UID.NUMBER` with the first eight digits of
//! the Secret's uid: two Secrets that had the same name one after the other have different ones, and a Secret's name may hold
//! dots, for the last two parts are never its own. A Secret's name that leaves no room for them is cut and told apart by a hash.
//!
//! What it never does: show a version that nobody keeps any more, or destroy the one that is the Secret.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::before_history;
use crate::audit;
use crate::clock::rfc3339;
use crate::model::kinds::{SECRET, SECRET_REVISION};
use crate::model::validation::options::DeleteOptions;
use crate::objects::create::{make_uid, uid_text};
use crate::objects::cursor::Cursor;
use crate::objects::list::{object_matches, scope};
use crate::objects::live::{Loaded, read_error};
use crate::objects::trail::Trail;
use crate::objects::{Error, Objects, PageRequest, Request, Resource};
use crate::sensitive::Document;
use crate::store::{Destruction, Kept, StoreError};

/// What is said to who would destroy the version that is the Secret.
pub const CURRENT: &str = "it is the current revision of the Secret; change or delete the Secret first";

/// Revisions of one page, where the client asks for more or says nothing.
const PAGE_MAX: usize = 10_000;
/// Names that are asked of the store at once.
const PART_NAMES: usize = 256;
/// The longest name that an object can have.
const NAME_MAX_BYTES: usize = 253;
/// What follows a Secret's name: two dots, eight digits of a uid, and a number.
const SUFFIX_MAX_BYTES: usize = 20;
/// What is left of a Secret's name that is too long, before `-` and a hash.
const CUT_BYTES: usize = 212;

const TOKEN_EXPIRED: &str =
    "The provided continue parameter is too old. You can start a new list without the continue parameter.";

/// A version of a Secret, whose `meta` is open.
pub struct SecretRevision {
    secret: Loaded,
    trail: Trail,
    is_current: bool,
    superseded_at: Option<i64>,
    /// When the Secret was deleted, and by whom.
    end: Option<(i64, String)>,
}

/// Some of the revisions of a collection.
pub struct RevisionPage {
    /// Revision of the store.
    pub revision: u64,
    /// In the order of namespace, name and time.
    pub items: Vec<SecretRevision>,
    /// Token for the next page.
    pub continue_token: Option<String>,
    /// Versions that are left out because they do not pass authentication.
    pub withheld: usize,
}

/// A revision that was destroyed, or would have been.
pub struct DestroyedRevision {
    /// As it was.
    pub revision: SecretRevision,
    /// Whether the write-ahead log holds nothing of it any more. If not, it will with the next checkpoint.
    pub log_emptied: bool,
}

impl SecretRevision {
    /// `metadata.name`
    pub fn name(&self) -> String {
        revision_name(self.secret.name(), &self.secret.row_uid(), self.trail.number)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.secret.namespace()
    }

    /// Name of the Secret.
    pub fn secret_name(&self) -> &str {
        self.secret.name()
    }

    /// `metadata.uid`: always the same of one revision of one Secret.
    pub fn uid(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/secret-revision/v1\0");
        hash.update(self.secret.row_uid());
        hash.update(self.trail.number.to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let first = digest.first_chunk::<16>().copied().unwrap_or_default();
        uuid::Builder::from_custom_bytes(first).into_uuid().to_string()
    }

    /// The object, without values.
    pub fn bare(&self) -> Result<Value, Error> {
        let secret = self.secret.bare()?;
        let Trail { number, unix_seconds, by, added, changed, removed, metadata_changed } = &self.trail;
        let mut metadata = json!({
            "name": self.name(), "namespace": self.namespace(), "uid": self.uid(),
            "resourceVersion": self.secret.revision().to_string(), "creationTimestamp": rfc3339(*unix_seconds),
        });
        let mut status = json!({"current": self.is_current});
        let put = |object: &mut Value, field: &str, value: Value| {
            if let Some(fields) = object.as_object_mut() {
                fields.insert(field.to_owned(), value);
            }
        };
        for field in ["labels", "annotations"] {
            if let Some(map) = secret.pointer("/metadata").and_then(|metadata| metadata.get(field)) {
                put(&mut metadata, field, map.clone());
            }
        }
        if !by.is_empty() {
            put(&mut status, "changedBy", by.as_str().into());
        }
        for (field, keys) in [("keysAdded", added), ("keysChanged", changed), ("keysRemoved", removed)] {
            if !keys.is_empty() {
                put(&mut status, field, json!(keys));
            }
        }
        if *metadata_changed {
            put(&mut status, "metadataChanged", true.into());
        }
        if let Some(at) = self.superseded_at {
            put(&mut status, "supersededAt", rfc3339(at).into());
        }
        if let Some((at, by)) = &self.end {
            put(&mut status, "deleted", true.into());
            put(&mut status, "deletedAt", rfc3339(*at).into());
            if !by.is_empty() {
                put(&mut status, "deletedBy", by.as_str().into());
            }
        }
        Ok(json!({
            "kind": SECRET_REVISION.kind, "apiVersion": SECRET_REVISION.api_version, "metadata": metadata,
            "spec": {"secretName": self.secret_name(), "secretUID": self.secret.uid(), "revision": number},
            "status": status,
            "type": secret.get("type").cloned().unwrap_or_default(),
        }))
    }

    /// The object as an item of a list, where kind and apiVersion are said of all.
    pub fn item(&self) -> Result<Value, Error> {
        let mut bare = self.bare()?;
        if let Some(fields) = bare.as_object_mut() {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
        }
        Ok(bare)
    }
}

impl Objects {
    /// The revision that the permit names.
    pub fn revision_of_secret(&self, request: Request<'_>) -> Result<SecretRevision, Error> {
        let missing = || request.resource().map_or_else(|error| error, Error::NotFound);
        let name = request.permit.name();
        let Some((base, _, number)) = parse(name) else { return Err(missing()) };
        let mut damaged = None;
        for secret in self.secrets_called(request.namespace(), base) {
            for version in self.shown(request.namespace(), &secret)? {
                match self.revision_at(&secret, version) {
                    Ok(found) if found.trail.number == number && found.name() == name => return Ok(found),
                    Ok(_) => {}
                    // It may be the one that is asked for.
                    Err(error) => damaged = Some(error),
                }
            }
        }
        Err(damaged.unwrap_or_else(missing))
    }

    /// The revision with its values.
    #[expect(clippy::disallowed_methods, reason = "the answer to a permitted read")]
    pub fn revision_document(&self, revision: &SecretRevision) -> Result<Document, Error> {
        let mut document = Document::new(revision.bare()?);
        let mut secret = self.document(&revision.secret)?;
        let data = secret.expose_mut().as_object_mut().and_then(|fields| fields.shift_remove("data"));
        if let (Some(data), Some(fields)) = (data, document.expose_mut().as_object_mut()) {
            fields.insert("data".to_owned(), data);
        }
        Ok(document)
    }

    /// The revisions that `page` asks for, of the collection that the permit names: those that there are now.
    pub fn revisions_of_secrets(&self, request: Request<'_>, page: &PageRequest) -> Result<RevisionPage, Error> {
        let current = self.revision();
        if let Some(asked) = page.not_older_than.or(page.at).filter(|asked| *asked > current) {
            return Err(Error::FutureRevision { asked, current });
        }
        if page.at.is_some_and(|at| at < current) {
            return Err(Error::Expired("The resourceVersion for the provided list is too old.".to_owned(), None));
        }
        let namespace = Some(request.namespace()).filter(|namespace| !namespace.is_empty());
        let (scope, now) = (scope(request, page), self.clock.unix_seconds());
        // Behind this namespace, Secret and row.
        let mut after: Option<(String, String, u64)> = None;
        if let Some(token) = &page.continue_token {
            let (cursor, expired) = Cursor::open(&self.keyring, token, &scope, now)?;
            if expired {
                return Err(Error::Expired(TOKEN_EXPIRED.to_owned(), None));
            }
            after = Some((cursor.namespace, cursor.name, cursor.revision.unwrap_or_default()));
        }
        let limit = page.limit.filter(|limit| *limit > 0).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let mut found = RevisionPage { revision: current, items: Vec::new(), continue_token: None, withheld: 0 };
        if let Some((namespace, secret, row)) = after.clone() {
            let is_full = self.collect(&namespace, &secret, row, page, limit, &mut found);
            if is_full {
                found.continue_token = Some(self.token_behind(&found, &scope, now)?);
                return Ok(found);
            }
        }
        let mut behind = after.map(|(namespace, secret, _)| (namespace, secret));
        // One Secret needs no search.
        if let (Some(namespace), Some(secret)) = (namespace, page.fields.exact("spec.secretName")) {
            if behind.is_none() && self.collect(namespace, secret, 0, page, limit, &mut found) {
                found.continue_token = Some(self.token_behind(&found, &scope, now)?);
            }
            return Ok(found);
        }
        loop {
            let from = behind.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
            let names = self.store.names(SECRET.id, namespace, from, PART_NAMES);
            let is_last = names.len() < PART_NAMES;
            for (namespace, secret) in &names {
                if page.fields.exact("spec.secretName").is_some_and(|only| only != secret) {
                    continue;
                }
                if self.collect(namespace, secret, 0, page, limit, &mut found) {
                    found.continue_token = Some(self.token_behind(&found, &scope, now)?);
                    return Ok(found);
                }
            }
            behind = names.into_iter().next_back();
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Adds the revisions of a Secret behind a row; whether there are more than fit.
    fn collect(
        &self,
        namespace: &str,
        secret: &str,
        after_row: u64,
        page: &PageRequest,
        limit: usize,
        found: &mut RevisionPage,
    ) -> bool {
        let Ok(versions) = self.shown(namespace, secret) else {
            found.withheld += 1;
            return false;
        };
        for version in versions.into_iter().filter(|(version, _)| version.revision > after_row) {
            let read = self.revision_at(secret, version);
            let read = read.and_then(|revision| revision.bare().map(|bare| (revision, bare)));
            let Ok((revision, bare)) = read else {
                found.withheld += 1;
                continue;
            };
            if !object_matches(&bare, &page.labels, &page.fields) {
                continue;
            }
            if found.items.len() == limit {
                return true;
            }
            found.items.push(revision);
        }
        false
    }

    fn token_behind(&self, page: &RevisionPage, scope: &str, now_unix_seconds: i64) -> Result<String, Error> {
        let last = page.items.last().ok_or(Error::Internal("a page without a last row"))?;
        let cursor = Cursor {
            revision: Some(last.secret.revision()),
            namespace: last.namespace().to_owned(),
            name: last.secret_name().to_owned(),
            remaining: None,
        };
        cursor.seal(&self.keyring, scope, now_unix_seconds)
    }

    /// Destroys the revision that the permit names.
    pub async fn destroy_revision(
        &self,
        request: Request<'_>,
        options: &DeleteOptions,
    ) -> Result<DestroyedRevision, Error> {
        let resource = request.resource()?;
        let revision = self.revision_of_secret(request)?;
        preconditions(&resource, &revision, options)?;
        if revision.is_current {
            return Err(Error::Conflict(resource, CURRENT.to_owned()));
        }
        if options.dry_run {
            return Ok(DestroyedRevision { revision, log_emptied: true });
        }
        let (namespace, secret) = (revision.namespace().to_owned(), revision.secret_name().to_owned());
        // With it what has the same number: versions before a change that was no revision of its own.
        let versions = self.store.versions(SECRET.id, &namespace, &secret);
        let is_same = |version: &&Kept| {
            let loaded = self.load_in_passing(&SECRET, version.revision);
            let trail = loaded.as_ref().map_err(|_| ()).and_then(|loaded| trail_or_first(loaded).map_err(|_| ()));
            trail.is_ok_and(|trail| trail.number == revision.trail.number)
                && loaded.is_ok_and(|loaded| loaded.row_uid() == revision.secret.row_uid())
        };
        let objects = versions.iter().filter(|version| !version.flags.is_tombstone());
        let revisions = objects.filter(is_same).map(|version| version.revision).collect();
        let facts = if request.permit.is_consequence() {
            request.facts.consequence(uid_text(&make_uid()?))
        } else {
            request.facts.mark_recorded(true);
            request.facts.clone()
        };
        let (user, attributes) = (request.permit.user(), request.permit.attributes());
        let record = audit::mutation(&facts, user, attributes, &revision.name(), &revision.uid(), 200);
        let destruction = Destruction { kind_id: SECRET.id, namespace, name: secret, revisions, audit: Some(record) };
        match self.store.destroy(destruction).await {
            Ok(destroyed) if destroyed.rows > 0 => {
                Ok(DestroyedRevision { revision, log_emptied: destroyed.log_emptied })
            }
            other => {
                facts.mark_recorded(false);
                Err(match other {
                    Ok(_) => Error::NotFound(resource),
                    Err(StoreError::Integrity(_)) => Error::Integrity(resource),
                    Err(StoreError::ReadOnly(why)) => Error::Unavailable(why),
                    Err(_) => Error::Unavailable("the store cannot be written: see the server's log"),
                })
            }
        }
    }

    /// Destroys what the selectors match in the collection that the permit names; what is current is left.
    pub async fn destroy_revisions(
        &self,
        request: Request<'_>,
        page: &PageRequest,
        options: &DeleteOptions,
    ) -> Result<Vec<DestroyedRevision>, Error> {
        let mut destroyed = Vec::new();
        let mut token = page.continue_token.clone();
        loop {
            let (labels, fields) = (page.labels.clone(), page.fields.clone());
            let part = PageRequest {
                continue_token: token.take(),
                limit: page.limit,
                labels,
                fields,
                ..PageRequest::default()
            };
            let found = self.revisions_of_secrets(request, &part)?;
            for revision in found.items.into_iter().filter(|revision| !revision.is_current) {
                let permit = request.permit.consequence_of_collection(revision.namespace(), &revision.name());
                let one = Request { permit: &permit, facts: request.facts };
                match self.destroy_revision(one, options).await {
                    Ok(gone) => destroyed.push(gone),
                    Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            // Who says nothing of pages means all.
            token = found.continue_token.filter(|_| page.limit.is_none_or(|limit| limit == 0));
            if token.is_none() {
                return Ok(destroyed);
            }
        }
    }

    /// The Secrets that revisions of this name can be of.
    fn secrets_called(&self, namespace: &str, base: &str) -> Vec<String> {
        if base.len() < CUT_BYTES || !self.store.versions(SECRET.id, namespace, base).is_empty() {
            return vec![base.to_owned()];
        }
        let mut called = Vec::new();
        let mut behind: Option<(String, String)> = None;
        loop {
            let from = behind.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
            let names = self.store.names(SECRET.id, Some(namespace), from, PART_NAMES);
            let is_last = names.len() < PART_NAMES;
            called.extend(names.iter().map(|(_, name)| name).filter(|name| base_of(name) == base).cloned());
            behind = names.into_iter().next_back();
            if is_last {
                return called;
            }
        }
    }

    /// The versions of a Secret that are shown, oldest first, each with the end that came after it.
    fn shown(&self, namespace: &str, secret: &str) -> Result<Vec<(Kept, Option<u64>)>, Error> {
        // Where rows of this name do not pass authentication, none of them is shown.
        self.store.find(SECRET.id, namespace, secret).map_err(|error| read_error(&error, &SECRET, secret))?;
        let mut end = None;
        let mut shown = Vec::new();
        for version in self.store.versions(SECRET.id, namespace, secret).into_iter().rev() {
            if version.flags.is_tombstone() {
                end = Some(version.revision);
            } else if version.is_kept || version.successor.is_none() {
                shown.push((version, end));
            }
        }
        shown.reverse();
        Ok(shown)
    }

    fn revision_at(&self, name: &str, (version, end): (Kept, Option<u64>)) -> Result<SecretRevision, Error> {
        let row = self.store.row_in_passing(version.revision).map_err(|error| read_error(&error, &SECRET, name))?;
        let secret = self.open(&SECRET, row)?;
        let trail = trail_or_first(&secret)?;
        let end = match end {
            Some(end) => {
                let trail = self.trail_of(end)?.unwrap_or_default();
                Some((trail.unix_seconds, trail.by))
            }
            None => None,
        };
        let superseded_at = version.successor.and_then(|successor| self.written_at(successor));
        Ok(SecretRevision { secret, trail, is_current: version.successor.is_none(), superseded_at, end })
    }
}

fn trail_or_first(secret: &Loaded) -> Result<Trail, Error> {
    match secret.trail()? {
        Some(trail) => Ok(trail),
        None => Ok(before_history(&secret.bare()?)),
    }
}

fn preconditions(resource: &Resource, revision: &SecretRevision, options: &DeleteOptions) -> Result<(), Error> {
    let (uid, row) = (revision.uid(), revision.secret.revision().to_string());
    let checks =
        [("UID", &options.precondition_uid, uid), ("ResourceVersion", &options.precondition_resource_version, row)];
    for (what, asked, stored) in checks {
        if let Some(asked) = asked.as_ref().filter(|asked| **asked != stored) {
            let text =
                format!("the {what} in the precondition ({asked}) does not match the {what} in record ({stored})");
            return Err(Error::DeletePrecondition(resource.clone(), text));
        }
    }
    Ok(())
}

/// See the module.
fn revision_name(secret: &str, uid: &[u8; 16], number: u32) -> String {
    let uid = hex::encode(uid);
    format!("{}.{}.{number}", base_of(secret), uid.get(..8).unwrap_or_default())
}

/// What stands for a Secret's name in the names of its revisions.
fn base_of(secret: &str) -> String {
    if secret.len() <= NAME_MAX_BYTES - SUFFIX_MAX_BYTES {
        return secret.to_owned();
    }
    let cut = secret.get(..CUT_BYTES).unwrap_or_default().trim_end_matches(['.', '-']);
    let hash = hex::encode(Sha256::digest(secret.as_bytes()));
    format!("{cut}-{}", hash.get(..16).unwrap_or_default())
}

/// What stands for the Secret's name, the beginning of its uid, and the number.
fn parse(name: &str) -> Option<(&str, &str, u32)> {
    let mut parts = name.rsplitn(3, '.');
    let (number, uid, base) = (parts.next()?, parts.next()?, parts.next()?);
    let is_uid = uid.len() == 8 && uid.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let value: u32 = number.parse().ok()?;
    (is_uid && !base.is_empty() && value.to_string() == number).then_some((base, uid, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::validation::names::dns1123_subdomain;

    const UID: [u8; 16] = [0x3f, 0x2a, 0x9c, 0x01, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

    #[test]
    fn the_name_of_a_revision_leads_back_to_its_secret() {
        for secret in ["db", "db.1", "db.3f2a9c01", "db.3f2a9c01.2", "a-b.c"] {
            let name = revision_name(secret, &UID, 12);
            assert_eq!(name, format!("{secret}.3f2a9c01.12"));
            assert_eq!(parse(&name), Some((secret, "3f2a9c01", 12)));
        }
    }

    #[test]
    fn what_no_revision_is_called_is_no_name() {
        for name in [
            "db",
            "db.1",
            "3f2a9c01.1",
            ".3f2a9c01.1",
            "db.3f2a9c01.",
            "db.3f2a9c01.01",
            "db.3f2a9c01.+1",
            "db.3f2a9c01.-1",
            "db.3F2A9C01.1",
            "db.3f2a9c0.1",
            "db.3f2a9c011.1",
            "db.3f2a9c0g.1",
            "db.3f2a9c01.4294967296",
            "",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_any_length_stay_legal_and_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for length in [1, 211, 212, 213, 232, 233, 234, 252, 253] {
            for filler in ["a", "b.", "c-"] {
                let mut secret = filler.repeat(length);
                secret.truncate(length - 1);
                secret.push('z');
                let name = revision_name(&secret, &UID, u32::MAX);
                assert!(name.len() <= NAME_MAX_BYTES, "{}", name.len());
                assert_eq!(dns1123_subdomain(&name), Vec::<String>::new(), "{name}");
                assert_eq!(parse(&name).map(|(base, ..)| base.to_owned()), Some(base_of(&secret)));
                let is_new = seen.insert(name);
                assert!(is_new || length == 1, "{secret}");
            }
        }
        let twins = ["x".repeat(250) + "abc", "x".repeat(250) + "abd"];
        assert_ne!(base_of(&twins[0]), base_of(&twins[1]));
    }
}
