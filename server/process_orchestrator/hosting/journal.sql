-- Every statement of the journal. The tables are made by `migrations/`; docs/journal-format.md explains them.

-- name: last_row
SELECT id, chain FROM journal ORDER BY id DESC LIMIT 1

-- name: newest_rows
SELECT id, process, seq, at, CAST(turn AS BLOB), CAST(chain AS BLOB) FROM journal ORDER BY id DESC LIMIT 2

-- name: append
INSERT INTO journal (id, process, seq, at, turn, chain) VALUES (?, ?, ?, ?, ?, ?)

-- name: store_artifact
INSERT OR IGNORE INTO artifact (sha256, media_type, bytes) VALUES (?, ?, ?)

-- name: store_definition
INSERT OR IGNORE INTO definition (sha256, kind, name, version, body) VALUES (?, ?, ?, ?, ?)

-- name: put_process
-- An update where there is a row: to replace it would write its entries in the indexes again, which did not change.
INSERT INTO process (
    process_id, process_type, label, principal, status, why, version, steps_done, steps_total, usd_micros,
    input_sha256, created_at, updated_at, due
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (process_id) DO UPDATE SET
    process_type = excluded.process_type, label = excluded.label, principal = excluded.principal,
    status = excluded.status, why = excluded.why, version = excluded.version, steps_done = excluded.steps_done,
    steps_total = excluded.steps_total, usd_micros = excluded.usd_micros, input_sha256 = excluded.input_sha256,
    updated_at = excluded.updated_at, due = excluded.due  -- created_at never changes

-- name: put_escalation
INSERT OR REPLACE INTO escalation (
    escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: put_timer
INSERT OR REPLACE INTO timer (process_id, timer, fire_at) VALUES (?, ?, ?)

-- name: drop_timer
DELETE FROM timer WHERE process_id = ? AND timer = ?

-- name: put_meta
INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)

-- name: drop_meta
DELETE FROM meta WHERE key = ?

-- name: set_aside
SELECT substr(key, 7), value FROM meta WHERE key >= 'aside ' AND key < 'aside!' ORDER BY key

-- name: get_meta
SELECT value FROM meta WHERE key = ?

-- name: rows_of_process
SELECT seq, at, turn FROM journal WHERE process = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: rows_in_order
SELECT id, process, seq, at, CAST(turn AS BLOB), CAST(chain AS BLOB) FROM journal WHERE id > ? ORDER BY id LIMIT ?

-- name: rows_backwards
SELECT id, process, seq, at, turn FROM journal WHERE id < ? ORDER BY id DESC LIMIT ?

-- name: version_of_process
SELECT max(seq) FROM journal WHERE process = ?

-- name: artifact
SELECT bytes FROM artifact WHERE sha256 = ?

-- name: definition
SELECT sha256, kind, name, version, body FROM definition WHERE sha256 = ?

-- name: due_processes
SELECT process_id FROM process WHERE due = 1 ORDER BY created_at, process_id

-- name: timers_until
SELECT process_id, timer, fire_at FROM timer WHERE fire_at <= ?

-- name: first_timer_after
SELECT min(fire_at) FROM timer WHERE fire_at > ?

-- name: processes
SELECT
    process_id, process_type, label, principal, status, why, version, steps_done, steps_total, usd_micros,
    input_sha256, created_at, updated_at,
    EXISTS (SELECT 1 FROM meta WHERE key = 'aside ' || process_id) AS set_aside
FROM process
WHERE (:status IS NULL OR status = :status)
  AND (:process_type IS NULL OR process_type = :process_type)
  AND (:label IS NULL OR label = :label)
  AND (:principal IS NULL OR principal = :principal)
  AND (:input_sha256 IS NULL OR input_sha256 = :input_sha256)
  AND (:since IS NULL OR created_at >= :since)
  AND (:after_created IS NULL OR created_at < :after_created
       OR (created_at = :after_created AND process_id > :after_id))
ORDER BY created_at DESC, process_id
LIMIT :limit

-- name: processes_by_prefix
SELECT
    process_id, process_type, label, principal, status, why, version, steps_done, steps_total, usd_micros,
    input_sha256, created_at, updated_at,
    EXISTS (SELECT 1 FROM meta WHERE key = 'aside ' || process_id) AS set_aside
FROM process
WHERE process_id >= :prefix AND process_id < :prefix || '~'
  AND (:status IS NULL OR status = :status)
  AND (:process_type IS NULL OR process_type = :process_type)
  AND (:label IS NULL OR label = :label)
  AND (:principal IS NULL OR principal = :principal)
  AND (:input_sha256 IS NULL OR input_sha256 = :input_sha256)
  AND (:since IS NULL OR created_at >= :since)
  AND (:after_created IS NULL OR created_at < :after_created
       OR (created_at = :after_created AND process_id > :after_id))
ORDER BY +created_at DESC, process_id
LIMIT :limit

-- name: escalations
SELECT
    escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at,
    status <> 'open' AS rank,
    CASE WHEN status = 'open' THEN coalesce(deadline_at, 9007199254740991) ELSE 0 END AS due
FROM escalation
WHERE (:status = 'all' OR status = :status)
  AND (:role IS NULL OR role = :role)
  AND (:after_id IS NULL
       OR (status <> 'open',
           CASE WHEN status = 'open' THEN coalesce(deadline_at, 9007199254740991) ELSE 0 END,
           -opened_at,
           escalation_id) > (:after_rank, :after_due, -:after_opened, :after_id))
ORDER BY rank, due, opened_at DESC, escalation_id
LIMIT :limit

-- name: escalations_within_process
SELECT
    escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at,
    status <> 'open' AS rank,
    CASE WHEN status = 'open' THEN coalesce(deadline_at, 9007199254740991) ELSE 0 END AS due
FROM escalation
WHERE process_id = :process_id
  AND (:status = 'all' OR status = :status)
  AND (:role IS NULL OR role = :role)
  AND (:after_id IS NULL
       OR (status <> 'open',
           CASE WHEN status = 'open' THEN coalesce(deadline_at, 9007199254740991) ELSE 0 END,
           -opened_at,
           escalation_id) > (:after_rank, :after_due, -:after_opened, :after_id))
ORDER BY rank, due, opened_at DESC, escalation_id
LIMIT :limit

-- name: open_escalations_dated
-- In the order of their index, the nearest deadline first; those without one come after, by the next statement.
SELECT
    escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at,
    0 AS rank,
    deadline_at AS due
FROM escalation
WHERE status = 'open'
  AND deadline_at >= coalesce(:after_due, 0)
  AND coalesce(:after_rank, 0) = 0
  AND (:role IS NULL OR role = :role)
  AND (:after_id IS NULL OR (deadline_at, -opened_at, escalation_id) > (:after_due, -:after_opened, :after_id))
ORDER BY deadline_at, opened_at DESC, escalation_id
LIMIT :limit

-- name: open_escalations_undated
SELECT
    escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at,
    0 AS rank,
    9007199254740991 AS due
FROM escalation
WHERE status = 'open'
  AND deadline_at IS NULL
  AND opened_at <= CASE WHEN :after_due = 9007199254740991 THEN :after_opened ELSE 9007199254740991 END
  AND coalesce(:after_rank, 0) = 0
  AND (:role IS NULL OR role = :role)
  AND (:after_id IS NULL
       OR (9007199254740991, -opened_at, escalation_id) > (:after_due, -:after_opened, :after_id))
ORDER BY opened_at DESC, escalation_id
LIMIT :limit

-- name: process_row
SELECT
    process_id, process_type, label, principal, status, why, version, steps_done, steps_total, usd_micros,
    input_sha256, created_at, updated_at, due
FROM process
WHERE process_id = ?

-- name: timers_of_process
SELECT timer, fire_at FROM timer WHERE process_id = ?

-- name: listed_without_rows
SELECT process_id
FROM (SELECT process_id FROM process UNION SELECT process_id FROM escalation UNION SELECT process_id FROM timer)
WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.process = process_id)
ORDER BY process_id
LIMIT 1

-- name: processes_after
SELECT DISTINCT process FROM journal WHERE process > ? ORDER BY process LIMIT ?

-- name: numbered_rows_of_process
SELECT id, seq, at, turn FROM journal WHERE process = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: drop_process
DELETE FROM process WHERE process_id = ?

-- name: drop_escalations
DELETE FROM escalation WHERE process_id = ?

-- name: drop_timers
DELETE FROM timer WHERE process_id = ?

-- name: drop_unknown_processes
DELETE FROM process WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.process = process_id)

-- name: drop_unknown_escalations
DELETE FROM escalation WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.process = process_id)

-- name: drop_unknown_timers
DELETE FROM timer WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.process = process_id)

-- name: has_artifact
SELECT 1 FROM artifact WHERE sha256 = ?

-- name: every_artifact
SELECT CAST(sha256 AS BLOB), CAST(bytes AS BLOB) FROM artifact

-- name: every_definition
SELECT sha256, kind, name, version, CAST(body AS BLOB) FROM definition

-- name: escalations_of_process
SELECT escalation_id, process_id, process_type, step, kind, role, status, opened_at, deadline_at
FROM escalation
WHERE process_id = ?
ORDER BY escalation_id

-- name: resolved_of_kind
-- Of the newest of a kind, those of one principal. Without an index: 100,000 rows take some tens of milliseconds.
SELECT escalation_id, process_id
FROM (
    SELECT escalation_id, process_id, opened_at
    FROM escalation
    WHERE status = 'resolved' AND kind = :kind
    ORDER BY opened_at DESC
    LIMIT 500
) AS newest
WHERE :principal = (SELECT principal FROM process WHERE process.process_id = newest.process_id)
ORDER BY opened_at DESC
LIMIT :limit
