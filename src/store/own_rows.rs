//! The rows that everything hangs on: the head, the keyring and the slots. Where somebody takes them away or puts older ones in
//! their place while the store is open, the store alone still knows them, and puts them back.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::keys::KeyMaterial;
use super::open::open_head;
use super::statements::put_head;
use super::writer::Writer;

/// What is stored of them.
struct Found {
    /// The number of the commit that the head is of.
    sequence: Option<u64>,
    keyring: Option<(Vec<u8>, Vec<u8>)>,
    slots: Vec<Vec<u8>>,
}

impl Writer {
    /// See the module. What cannot be read is found by the next commit.
    pub(super) async fn mend_own_rows(&mut self) {
        if !self.may_mend() || self.reconnect_if_broken().await.is_err() {
            return;
        }
        let Ok((sealed_head, keyring, slots)) = read(&mut self.connection).await else { return };
        let head = sealed_head.and_then(|sealed| open_head(&sealed, &self.shared.keyring).ok());
        let found = Found { sequence: head.map(|head| head.sequence), keyring, slots };
        if self.is_as_written(&found) {
            return;
        }
        tracing::error!(
            head.is_there = found.sequence.is_some(),
            keyring.is_there = found.keyring.is_some(),
            slots = found.slots.len(),
            "the head, the keyring or the slots were changed from outside while the server runs: they are put back"
        );
        let Ok(sealed) = self.shared.keyring.seal_head(&self.head.encode()) else { return };
        let written = async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            put_head(&mut transaction, sealed).await?;
            put_keys(&mut transaction, &self.kept).await?;
            transaction.commit().await
        };
        let outcome = written.await;
        let _ = self.judge(outcome);
    }

    fn is_as_written(&self, found: &Found) -> bool {
        let KeyMaterial { store_id, keyring, slots } = &self.kept;
        let is_own = |(id, wrapped): &(Vec<u8>, Vec<u8>)| id == store_id && wrapped == keyring;
        found.sequence == Some(self.head.sequence)
            && found.keyring.as_ref().is_some_and(is_own)
            && found.slots == *slots
    }
}

type Stored = (Option<Vec<u8>>, Option<(Vec<u8>, Vec<u8>)>, Vec<Vec<u8>>);

async fn read(connection: &mut SqliteConnection) -> Result<Stored, sqlx::Error> {
    let head = sqlx::query_scalar("SELECT sealed FROM head WHERE id = 1").fetch_optional(&mut *connection).await?;
    let keys =
        sqlx::query_as("SELECT store_id, keyring FROM keys WHERE id = 1").fetch_optional(&mut *connection).await?;
    let slots = sqlx::query_scalar("SELECT slot FROM slots ORDER BY id").fetch_all(connection).await?;
    Ok((head, keys, slots))
}

/// Writes the keyring and the slots, whatever is there.
pub async fn put_keys(connection: &mut SqliteConnection, material: &KeyMaterial) -> Result<(), sqlx::Error> {
    let KeyMaterial { store_id, keyring, slots } = material;
    sqlx::query("INSERT OR REPLACE INTO keys (id, store_id, keyring) VALUES (1, ?, ?)")
        .bind(store_id.to_vec())
        .bind(keyring.clone())
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM slots").execute(&mut *connection).await?;
    for slot in slots {
        sqlx::query("INSERT INTO slots (slot) VALUES (?)").bind(slot.clone()).execute(&mut *connection).await?;
    }
    Ok(())
}
