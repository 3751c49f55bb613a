//! Users' credentials, as far as they are objects: setting a password shows in the User, in one transaction with it.

use serde_json::{Value, json};

use super::finish::{Change, Outcome};
use super::live::Loaded;
use super::update::MODIFIED;
use super::{Error, Objects, Request};
use crate::model::kinds::USER;
use crate::model::user::UserAccount;
use crate::store::StateChange;

impl Objects {
    /// The user that the permit names, for one who may act as that user.
    #[expect(clippy::disallowed_methods, reason = "a User holds no secret values")]
    pub fn user_to_act_for(&self, request: Request<'_>) -> Result<UserAccount, Error> {
        // Who may not act as a user of this name does not learn whether there is one.
        self.admit_as_user(request, &[])?;
        let record = UserAccount::parse(self.document(&self.get(request)?)?.expose());
        self.admit_as_user(request, &record.groups)?;
        Ok(record)
    }

    /// Sets the password of the user that the permit names and whose uid this is: `credential` is what the store keeps
    /// of it. When it was set is kept in the User.
    #[expect(clippy::disallowed_methods, reason = "a User holds no secret values")]
    pub async fn set_password(
        &self,
        request: Request<'_>,
        uid: &str,
        credential: StateChange,
        dry_run: bool,
    ) -> Result<Loaded, Error> {
        let loaded = self.get(request)?;
        if loaded.uid() != uid {
            // Deleted and made anew: the password was meant for another.
            return Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()));
        }
        let mut object: Value = self.document(&loaded)?.expose().clone();
        self.admit_as_user(request, &UserAccount::parse(&object).groups)?;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), json!({"passwordSetAt": self.now()}));
        }
        // Whoever changed the user meanwhile wins; the client is told, and tries again.
        let change = Change::replace(&USER, "", &object, loaded.row_revision()).answered(201);
        match self.commit(request, change.with_state(vec![credential]), dry_run).await? {
            Outcome::Stored(loaded) => Ok(loaded),
            Outcome::DryRun => Ok(loaded),
        }
    }
}
