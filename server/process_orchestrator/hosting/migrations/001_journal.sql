-- The first form of the database. docs/journal-format.md explains the tables.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The truth. Append-only; `turn` is JSON; `chain` covers the row and every row before it.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    process TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    turn    BLOB NOT NULL,
    chain   BLOB NOT NULL,
    UNIQUE (process, seq)
);

-- With a rowid: what is written together stands together, and only its hash goes to a place of its own.
CREATE TABLE artifact (
    sha256     BLOB PRIMARY KEY NOT NULL,
    media_type TEXT NOT NULL,
    bytes      BLOB NOT NULL
);

CREATE TABLE definition (
    sha256  TEXT PRIMARY KEY,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    body    BLOB NOT NULL
) WITHOUT ROWID;

-- Projections: folds of the journal, kept for listings and for the start of an engine.
CREATE TABLE process (
    process_id   TEXT PRIMARY KEY,
    process_type TEXT,
    label        TEXT,
    principal    TEXT NOT NULL,
    status       TEXT NOT NULL,
    why          TEXT,
    version      INTEGER NOT NULL,
    steps_done   INTEGER NOT NULL,
    steps_total  INTEGER NOT NULL,
    usd_micros   INTEGER NOT NULL,
    input_sha256 TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    due          INTEGER NOT NULL  -- whether an engine has something to do for it
) WITHOUT ROWID;
CREATE INDEX process_newest ON process (created_at DESC, process_id);
CREATE INDEX process_due ON process (created_at, process_id) WHERE due = 1;

CREATE TABLE escalation (
    escalation_id TEXT PRIMARY KEY,
    process_id    TEXT NOT NULL,
    process_type  TEXT,
    step          TEXT,
    kind          TEXT NOT NULL,
    role          TEXT NOT NULL,
    status        TEXT NOT NULL,
    opened_at     INTEGER NOT NULL,
    deadline_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX escalation_of_process ON escalation (process_id);
CREATE INDEX escalation_open ON escalation (deadline_at, opened_at) WHERE status = 'open';

CREATE TABLE timer (
    process_id TEXT NOT NULL,
    timer      TEXT NOT NULL,
    fire_at    INTEGER NOT NULL,
    PRIMARY KEY (process_id, timer)
) WITHOUT ROWID;
