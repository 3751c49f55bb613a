//! `get`: one object by name.

use super::live::Loaded;
use super::{Error, Objects, Request};

impl Objects {
    /// The object that the permit names.
    pub fn get(&self, request: Request<'_>) -> Result<Loaded, Error> {
        let kind = request.kind()?;
        let permit = request.permit;
        let entry = self
            .store
            .find(kind.id, request.namespace(), permit.name())
            .map_err(|error| super::live::read_error(&error, kind, permit.name()))?
            .ok_or_else(|| Error::NotFound(super::Resource::new(kind, permit.name())))?;
        self.load(kind, permit.name(), entry.revision)
    }
}
