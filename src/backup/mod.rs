//! What a backup is: one file, and which of them are kept.
//!
//! ```text
//! strongroom-backup/v1
//! {"format":1,"storeId":"…","sequence":…,"database":{"bytes":…,"sha256":"…"},…}     the manifest, one line
//! 9f31…                                                                               its MAC, 64 hexadecimal digits
//! SQLite format 3…                                                                    the database, sealed as it always is
//! ```
//!
//! A file for age recipients is all of that, encrypted by age. The MAC is [`Keyring::backup_tag`]: the manifest is the store's
//! own, and the database is the one that it names.
//!
//! What it never does: open files (it reads and writes what it is given), or hand on a byte of a database whose manifest it
//! could not read.
//!
//! [`Keyring::backup_tag`]: crate::crypto::Keyring::backup_tag

mod file;
mod manifest;
mod names;
mod schedule;

pub use file::{FormatError, Header, Opened, copy_database, open};
pub use manifest::Manifest;
pub use names::{BackupName, ENCRYPTED_ENDING, ENDING, compact_time, is_compact_time};
pub use schedule::{Keep, Schedule};

pub use crate::export::{AgeKeyError, AgeWriter, Identity, NoRandomness, Recipient, parse_identities};
