-- What the journal knows of itself: node, epoch, last_seq, forwarded_seq, last_heartbeat, pruned_*.
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Times are microseconds since the Unix epoch, UTC. The body stands last: a reader of the columns
-- before it never follows its overflow pages.
CREATE TABLE event (
    seq         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL,
    class       INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    confidence  REAL,
    site        TEXT,
    source      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    body        TEXT    NOT NULL
) STRICT;

-- Ids begin with their time, so this index grows at its end.
CREATE UNIQUE INDEX event_id ON event (id);

-- Measurements (class 5 and up: fixes, samples, raw reads) are the bulk, and an index scattered over
-- their subjects would cost more than the rows themselves.
CREATE INDEX event_of_subject ON event (subject, seq) WHERE class < 5;
CREATE INDEX event_lasting ON event (seq, kind) WHERE class < 5;

CREATE TABLE state (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: an id that a person has written down is never given to another letter.
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    recorded_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    protocol    TEXT    NOT NULL,
    topic       TEXT,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    payload     BLOB    NOT NULL
) STRICT;

-- Written by people's commands beside the daemon, taken up by the daemon.
CREATE TABLE replay_request (
    id INTEGER NOT NULL PRIMARY KEY REFERENCES dead_letter (id) ON DELETE CASCADE
) STRICT;
