//! Objects as they are stored: found, opened, and turned into text or a tree.

use std::sync::Arc;

use serde_json::Value;

use super::record::{Form, Meta, Plain, RecordFormatError};
use super::trail::Trail;
use super::{Error, Objects, Resource};
use crate::model::kinds::Kind;
use crate::sensitive::{Document, SecretBytes};
use crate::store::{ReadError, SealedRow};

/// What of an object is open.
enum Opened {
    /// Its `meta`.
    Meta(SecretBytes),
    /// All of it, because it was sealed just now.
    Whole(Arc<Plain>),
}

/// An object whose `meta` is open. Its `data` is opened only while it is written out.
pub struct Loaded {
    kind: &'static Kind,
    row: Arc<SealedRow>,
    opened: Opened,
    /// The revision it is shown with: its own, or that of its deletion.
    revision: u64,
}

impl Loaded {
    /// The revision it is shown with.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its namespace, or `""`.
    pub fn namespace(&self) -> &str {
        &self.row.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.row.name
    }

    /// Its uid, as objects show it.
    pub fn uid(&self) -> String {
        super::create::uid_text(&self.row.uid)
    }

    /// Its stored revision.
    pub(super) fn row_revision(&self) -> u64 {
        self.row.revision
    }

    #[expect(clippy::disallowed_methods, reason = "meta holds no secret values")]
    fn meta(&self) -> Result<Meta<'_>, RecordFormatError> {
        Meta::parse(match &self.opened {
            Opened::Meta(meta) => meta.expose(),
            Opened::Whole(plain) => plain.meta.expose(),
        })
    }

    /// Memory of its stored form.
    pub fn stored_bytes(&self) -> usize {
        self.row.sealed.meta().len() + self.row.sealed.data().len()
    }

    /// Number of keys in `data`.
    pub fn data_keys(&self) -> usize {
        self.meta().map_or(0, |meta| meta.data_keys)
    }

    /// What its history says of this version; `None` of one that was written before there was any.
    pub(super) fn trail(&self) -> Result<Option<Trail>, Error> {
        self.meta().and_then(|meta| meta.trail()).map_err(|_| self.damaged())
    }

    /// Its uid, as rows hold it.
    pub(super) fn row_uid(&self) -> [u8; 16] {
        self.row.uid
    }

    /// Whether `meta` mentions `word` anywhere.
    pub fn mentions(&self, word: &str) -> bool {
        self.meta().is_ok_and(|meta| meta.mentions(word.as_bytes()))
    }

    /// The object without secret values and without the last-applied annotation, as a tree.
    pub fn bare(&self) -> Result<Value, Error> {
        let mut text = Vec::new();
        self.meta()
            .and_then(|meta| meta.write_bare(self.kind, Form::Object, self.revision, &mut text))
            .map_err(|_| self.damaged())?;
        serde_json::from_slice(&text).map_err(|_| self.damaged())
    }

    fn damaged(&self) -> Error {
        Error::Integrity(Resource::new(self.kind, &self.row.name))
    }
}

impl Objects {
    /// Opens the version of an object that was stored as `revision`.
    pub(super) fn load(&self, kind: &'static Kind, name: &str, revision: u64) -> Result<Loaded, Error> {
        let row = self.store.row(revision).map_err(|error| read_error(&error, kind, name))?;
        let loaded = self.open(kind, row)?;
        // It passes authentication, and yet the index has led to it under another name.
        if name.is_empty() || name == loaded.name() { Ok(loaded) } else { Err(loaded.damaged()) }
    }

    /// As [`Objects::load`], for one who reads many objects once.
    pub(super) fn load_in_passing(&self, kind: &'static Kind, revision: u64) -> Result<Loaded, Error> {
        let row = self.store.row_in_passing(revision).map_err(|error| read_error(&error, kind, ""))?;
        self.open(kind, row)
    }

    pub(super) fn open(&self, kind: &'static Kind, row: Arc<SealedRow>) -> Result<Loaded, Error> {
        let damaged = |row: &SealedRow| Error::Integrity(Resource::new(kind, &row.name));
        let (row, meta) = if let Ok(meta) = self.keyring.open_meta(&row.record_id(), &row.sealed) {
            (row, meta)
        } else {
            let fresh = self.store.reread(&row).map_err(|_| damaged(&row))?;
            let meta = self.keyring.open_meta(&fresh.record_id(), &fresh.sealed).map_err(|_| damaged(&row))?;
            (fresh, meta)
        };
        if row.kind_id != kind.id {
            return Err(damaged(&row));
        }
        Ok(Loaded { kind, revision: row.revision, row, opened: Opened::Meta(meta) })
    }

    /// A version that was sealed from `plain` just now.
    pub(super) fn sealed_now(kind: &'static Kind, row: Arc<SealedRow>, plain: Arc<Plain>) -> Loaded {
        Loaded { kind, revision: row.revision, row, opened: Opened::Whole(plain) }
    }

    /// As [`Objects::open`], shown with the revision of the object's deletion.
    pub(super) fn open_as_of(&self, kind: &'static Kind, row: Arc<SealedRow>, revision: u64) -> Result<Loaded, Error> {
        Ok(Loaded { revision, ..self.open(kind, row)? })
    }

    /// Appends the whole object as JSON to `out`, secret values included.
    #[expect(clippy::disallowed_methods, reason = "the answer to a permitted read")]
    pub fn write_json(&self, loaded: &Loaded, form: Form, out: &mut Vec<u8>) -> Result<(), Error> {
        let meta = loaded.meta().map_err(|_| loaded.damaged())?;
        if let Opened::Whole(plain) = &loaded.opened {
            let written = meta.write_full(loaded.kind, form, loaded.revision, plain.data.expose(), out);
            return written.map_err(|_| loaded.damaged());
        }
        let data = if meta.needs_data() {
            self.open_data(&loaded.row).map_err(|_| loaded.damaged())?
        } else {
            SecretBytes::new(Vec::new())
        };
        meta.write_full(loaded.kind, form, loaded.revision, data.expose(), out).map_err(|_| loaded.damaged())
    }

    fn open_data(&self, row: &SealedRow) -> Result<SecretBytes, ReadError> {
        if let Ok(data) = self.keyring.open_data(&row.record_id(), &row.sealed) {
            return Ok(data);
        }
        let fresh = self.store.reread(row)?;
        let opened = self.keyring.open_data(&fresh.record_id(), &fresh.sealed);
        opened.map_err(|_| ReadError::Integrity { revision: row.revision })
    }

    /// The whole object as a tree, secret values included.
    pub fn document(&self, loaded: &Loaded) -> Result<Document, Error> {
        let mut text = zeroize::Zeroizing::new(Vec::new());
        self.write_json(loaded, Form::Object, &mut text)?;
        serde_json::from_slice(&text).map(Document::new).map_err(|_| loaded.damaged())
    }
}

pub(super) fn read_error(error: &ReadError, kind: &'static Kind, name: &str) -> Error {
    match error {
        ReadError::Integrity { .. } => Error::Integrity(Resource::new(kind, name)),
        ReadError::NotFound { .. } => Error::NotFound(Resource::new(kind, name)),
        ReadError::Unavailable => Error::Unavailable("the store cannot be read"),
    }
}
