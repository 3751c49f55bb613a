//! Users' credentials, as far as they are objects: setting a password shows in the User, in one transaction with it.

use serde_json::{Value, json};

use super::finish::{Change, Outcome};
use super::live::Loaded;
use super::update::MODIFIED;
use super::{Error, Objects, Request};
use crate::model::kinds::USER;
use crate::model::user::UserAccount;
use crate::store::StateChange;

const ATTEMPTS: usize = 16;

impl Objects {
    /// The user that the permit names, for one who may act as that user.
    #[expect(clippy::disallowed_methods, reason = "a User holds no secret values")]
    pub fn user_to_act_for(&self, request: Request<'_>) -> Result<UserAccount, Error> {
        let record = UserAccount::parse(self.document(&self.get(request)?)?.expose());
        self.admit_as_user(request, &record)?;
        Ok(record)
    }

    /// Sets the password of the user that the permit names: `credential` makes the value that is stored of it, from
    /// the user's uid. When it was set, in the form of a `metav1.Time`, is kept in the User.
    #[expect(clippy::disallowed_methods, reason = "a User holds no secret values")]
    pub async fn set_password(
        &self,
        request: Request<'_>,
        credential: impl Fn(&str) -> Result<StateChange, Error>,
        own: bool,
        dry_run: bool,
    ) -> Result<Loaded, Error> {
        for _ in 0..ATTEMPTS {
            let loaded = self.get(request)?;
            let document = self.document(&loaded)?;
            let mut object: Value = document.expose().clone();
            let record = UserAccount::parse(&object);
            if !own {
                self.admit_as_user(request, &record)?;
            }
            if let Some(fields) = object.as_object_mut() {
                fields.insert("status".to_owned(), json!({"passwordSetAt": self.now()}));
            }
            let change = Change::replace(&USER, "", &object, loaded.row_revision());
            let change = change.answered(201).with_state(vec![credential(&record.uid)?]);
            match self.commit(request, change, dry_run).await {
                Ok(Outcome::Stored(loaded)) => return Ok(loaded),
                Ok(Outcome::DryRun) => return Ok(loaded),
                Err(Error::Conflict(_, text)) if text == MODIFIED => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()))
    }
}
