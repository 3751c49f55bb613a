//! What a change of keys protects against and what it does not, in the words that whoever makes it is told.

/// Of a new data term.
pub const DATA_ROTATED: &str = "there is a new data key, and everything is sealed anew with it in the background; `strongroom keys status` shows how far that is. \
     It protects what is stored from now on against whoever got hold of the former data key. It does not protect copies of the \
     database and backups that were made before: the former key opens them for ever. If a value may have been read, change the value";

/// Of a new root key.
pub const ROOT_ROTATED: &str = "there is a new root key. Whoever got hold of the former one, or of a secret whose slot was removed, \
     cannot open copies of the database that are made from now on. Earlier copies they can open as before, and with them read the \
     data keys: run `strongroom keys rotate data` too, and change what must not be known";

/// Of a slot that is new, or has another secret.
pub const SLOT_CHANGED: &str = "this secret opens the room from now on. Where another one was replaced: earlier copies of the database and backups are still opened by \
     that one, and whoever has both can get at the root key: run `strongroom keys rotate root` and `strongroom keys rotate data` if \
     the former secret may be known";

/// Of a slot that is gone.
pub const SLOT_REMOVED: &str = "its secret does not open the room any more. Earlier copies of the database and backups are still opened by it, and whoever has \
     both can get at the root key: run `strongroom keys rotate root` and `strongroom keys rotate data` if the secret may be known";
