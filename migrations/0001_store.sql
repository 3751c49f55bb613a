-- Everything but the clear columns is sealed. `revision` is the resource version, one counter for the whole store.

-- How the store is unlocked: the keyring, wrapped under the root key, and the slots that wrap the root key.
CREATE TABLE keys (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store_id BLOB NOT NULL,
    keyring BLOB NOT NULL
) STRICT;

CREATE TABLE slots (
    id INTEGER PRIMARY KEY,
    slot BLOB NOT NULL
) STRICT;

-- Every change, append-only until compaction. The latest version of a key is the object; a tombstone ends it.
CREATE TABLE versions (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid BLOB NOT NULL,
    -- 1 put, 2 tombstone; 4 being deleted, 8 names owners.
    flags INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    term INTEGER NOT NULL,
    meta BLOB NOT NULL,
    data BLOB NOT NULL
) STRICT;

-- The records of mutations, each linked to the one before.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    record BLOB NOT NULL,
    link BLOB NOT NULL
) STRICT;

-- Single values of the store itself.
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    term INTEGER NOT NULL,
    meta BLOB NOT NULL,
    data BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What is true of all rows together; written by every commit.
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

-- The door of every commit of objects: one statement, and so one transaction, writes versions, their audit records and
-- the head. A row without a sequence has no record; the last row of a commit carries the head.
CREATE VIEW commits AS
SELECT v.revision, v.kind, v.namespace, v.name, v.uid, v.flags, v.created_at, v.term, v.meta, v.data,
       a.sequence, a.record, a.link, h.sealed AS head
FROM versions v, audit a, head h;

CREATE TRIGGER commits_insert INSTEAD OF INSERT ON commits BEGIN
    INSERT INTO versions (revision, kind, namespace, name, uid, flags, created_at, term, meta, data)
    VALUES (NEW.revision, NEW.kind, NEW.namespace, NEW.name, NEW.uid, NEW.flags, NEW.created_at, NEW.term, NEW.meta,
            NEW.data);
    INSERT INTO audit (sequence, term, record, link)
    SELECT NEW.sequence, NEW.term, NEW.record, NEW.link WHERE NEW.sequence IS NOT NULL;
    UPDATE head SET sealed = NEW.head WHERE id = 1 AND NEW.head IS NOT NULL;
END;
