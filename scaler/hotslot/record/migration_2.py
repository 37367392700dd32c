"""Version 2: a year fits. Integers instead of text and REAL, roll-ups, a ledger of its own.

Tables hold ms since the epoch (``*_ms``), ms before or after another moment
(``*_before_ms``, ``*_after_ms``), core-ms and thousandths of a core; texts that repeat are kept
once, in ``words``. The views ``lease_log``, ``event_log``, ``decision_log`` and ``daily_log``
show texts, UTC epoch seconds and core-seconds: they are what to write SQL against.
docs/schema.md says what each column means.
"""

from __future__ import annotations

OWNERS = """
CREATE TABLE owners (
  id        INTEGER PRIMARY KEY,
  host      TEXT NOT NULL,
  scheduler TEXT NOT NULL,
  user      TEXT NOT NULL,
  account   TEXT NOT NULL,
  partition TEXT NOT NULL,
  UNIQUE (user, account, partition, scheduler, host)
) STRICT"""

# Codes of phase: pending, starting, running, suspended, ending, ended; of close_reason: ended,
# requeued, lost, replaced. `requested_core_ms` is NULL where it is cpus x life_ms. `thinned`:
# 0 all samples are there, 1 neighbours were merged, 2 they were pruned. `is_first`: no other run
# or part of the job came before, so that jobs can be counted.
LEASES = """
CREATE TABLE leases (
  id                  INTEGER PRIMARY KEY,
  owner_id            INTEGER NOT NULL REFERENCES owners (id),
  worker_id           INTEGER NOT NULL REFERENCES words (id),
  name_id             INTEGER NOT NULL REFERENCES words (id),
  job_id              TEXT NOT NULL,
  array_job_id        TEXT,
  array_task_id       TEXT,
  het_job_id          TEXT,
  run                 INTEGER NOT NULL,
  is_first            INTEGER NOT NULL CHECK (is_first IN (0, 1)),
  cpus                INTEGER NOT NULL,
  phase               INTEGER NOT NULL CHECK (phase BETWEEN 0 AND 5),
  opened_ms           INTEGER NOT NULL,
  submitted_before_ms INTEGER,
  started_after_ms    INTEGER,
  ended_after_ms      INTEGER,
  closed_after_ms     INTEGER,
  time_limit_ms       INTEGER,
  close_reason        INTEGER CHECK (close_reason BETWEEN 0 AND 3),
  exit_id             INTEGER NOT NULL REFERENCES words (id),
  outcome_id          INTEGER NOT NULL REFERENCES words (id),
  life_ms             INTEGER NOT NULL,
  requested_core_ms   INTEGER,
  held_core_ms        INTEGER NOT NULL,
  used_core_ms        INTEGER NOT NULL,
  waited_core_ms      INTEGER NOT NULL,
  borrowed_core_ms    INTEGER NOT NULL,
  saturated_ms        INTEGER NOT NULL,
  peak_mcores         INTEGER NOT NULL,
  lost_samples        INTEGER NOT NULL DEFAULT 0,
  applied             INTEGER NOT NULL DEFAULT 0,
  refused             INTEGER NOT NULL DEFAULT 0,
  timed_out           INTEGER NOT NULL DEFAULT 0,
  failed              INTEGER NOT NULL DEFAULT 0,
  vm_gone             INTEGER NOT NULL DEFAULT 0,
  plug_median_ms      INTEGER,
  plug_max_ms         INTEGER,
  unplug_median_ms    INTEGER,
  unplug_max_ms       INTEGER,
  thinned             INTEGER NOT NULL DEFAULT 0 CHECK (thinned IN (0, 1, 2)),
  closed_ms           INTEGER GENERATED ALWAYS AS (opened_ms + closed_after_ms) VIRTUAL,
  CHECK ((closed_after_ms IS NULL) = (close_reason IS NULL))
) STRICT"""

LEASE_INDEXES = (
    "CREATE INDEX leases_job ON leases (job_id)",
    "CREATE INDEX leases_array ON leases (array_job_id) WHERE array_job_id IS NOT NULL",
    "CREATE INDEX leases_het ON leases (het_job_id) WHERE het_job_id IS NOT NULL",
    "CREATE INDEX leases_closed ON leases (closed_ms)",
    "CREATE INDEX leases_to_thin ON leases (id) WHERE closed_after_ms IS NOT NULL AND thinned = 0",
)

SAMPLES = """
CREATE TABLE samples (
  lease_id      INTEGER NOT NULL REFERENCES leases (id),
  after_ms      INTEGER NOT NULL,
  interval_us   INTEGER NOT NULL CHECK (interval_us > 0),
  granted_vcpus INTEGER NOT NULL,
  held_mcores   INTEGER NOT NULL,
  used_mcores   INTEGER NOT NULL,
  waited_mcores INTEGER NOT NULL,
  PRIMARY KEY (lease_id, after_ms)
) STRICT, WITHOUT ROWID"""

# What an attempt was, kept once: of 20 million a year, some thousands differ. Numbers that vary
# (amounts, job ids) are taken out of the reason, see `event_log`.
CHANGES = """
CREATE TABLE changes (
  id         INTEGER PRIMARY KEY,
  from_vcpus INTEGER NOT NULL,
  to_vcpus   INTEGER NOT NULL,
  got_vcpus  INTEGER NOT NULL,
  reason_id  INTEGER NOT NULL REFERENCES words (id),
  result     TEXT NOT NULL CHECK (result IN
               ('applied', 'already so', 'ejected late', 'refused', 'guest refused',
                'hot-plug disabled', 'over the ceiling', 'timed out', 'guest did not answer',
                'failed', 'plug lost', 'machine locked', 'hypervisor service gone', 'vm gone')),
  detail_id  INTEGER NOT NULL REFERENCES words (id),
  UNIQUE (reason_id, from_vcpus, to_vcpus, got_vcpus, result, detail_id)
) STRICT"""

_ATTEMPT = """
  change_id          INTEGER NOT NULL REFERENCES changes (id),
  a                  INTEGER,
  b                  INTEGER,
  c                  INTEGER,
  detected_before_ms INTEGER,
  command_ms         INTEGER NOT NULL,
  online_ms          INTEGER,
  took_ms            INTEGER NOT NULL"""

EVENTS = f"""
CREATE TABLE events (
  lease_id INTEGER NOT NULL REFERENCES leases (id),
  after_ms INTEGER NOT NULL,{_ATTEMPT},
  PRIMARY KEY (lease_id, after_ms)
) STRICT, WITHOUT ROWID"""

IDLE_EVENTS = f"""
CREATE TABLE idle_events (
  worker_id INTEGER NOT NULL REFERENCES words (id),
  at_ms     INTEGER NOT NULL,{_ATTEMPT},
  PRIMARY KEY (worker_id, at_ms)
) STRICT, WITHOUT ROWID"""

DECISIONS = """
CREATE TABLE decisions (
  worker_id          INTEGER NOT NULL REFERENCES words (id),
  at_ms              INTEGER NOT NULL,
  lease_id           INTEGER,
  from_vcpus         INTEGER NOT NULL,
  to_vcpus           INTEGER NOT NULL,
  reason_id          INTEGER NOT NULL REFERENCES words (id),
  a                  INTEGER,
  b                  INTEGER,
  c                  INTEGER,
  detected_before_ms INTEGER NOT NULL,
  PRIMARY KEY (worker_id, at_ms)
) STRICT, WITHOUT ROWID"""

DECISION_INDEX = "CREATE INDEX decisions_lease ON decisions (lease_id)"

# `day` counts UTC days since the epoch, by the moment of closing; each row is the exact sum over
# the leases of one owner that closed on one day.
DAILY = """
CREATE TABLE daily (
  day               INTEGER NOT NULL,
  owner_id          INTEGER NOT NULL REFERENCES owners (id),
  leases            INTEGER NOT NULL,
  jobs              INTEGER NOT NULL,
  completed         INTEGER NOT NULL,
  failed            INTEGER NOT NULL,
  cancelled         INTEGER NOT NULL,
  timed_out         INTEGER NOT NULL,
  lost              INTEGER NOT NULL,
  requeued          INTEGER NOT NULL,
  otherwise         INTEGER NOT NULL,
  life_ms           INTEGER NOT NULL,
  requested_core_ms INTEGER NOT NULL,
  held_core_ms      INTEGER NOT NULL,
  used_core_ms      INTEGER NOT NULL,
  waited_core_ms    INTEGER NOT NULL,
  returned_core_ms  INTEGER NOT NULL,
  borrowed_core_ms  INTEGER NOT NULL,
  saturated_ms      INTEGER NOT NULL,
  events_applied    INTEGER NOT NULL,
  events_refused    INTEGER NOT NULL,
  events_timed_out  INTEGER NOT NULL,
  events_failed     INTEGER NOT NULL,
  events_vm_gone    INTEGER NOT NULL,
  waits             INTEGER NOT NULL,
  wait_ms           INTEGER NOT NULL,
  lost_samples      INTEGER NOT NULL,
  PRIMARY KEY (day, owner_id)
) STRICT, WITHOUT ROWID"""

# The last leases that closed of one user and job name, for suggestions: a JSON array of ids.
RECENT = """
CREATE TABLE recent (
  user_id   INTEGER NOT NULL REFERENCES words (id),
  name_id   INTEGER NOT NULL REFERENCES words (id),
  lease_ids TEXT NOT NULL CHECK (json_valid(lease_ids)),
  PRIMARY KEY (user_id, name_id)
) STRICT, WITHOUT ROWID"""


def _filled(sql: str) -> str:
    """Return the SQL that puts the numbers a, b, c back into a reason, 0 to 2 decimals each."""
    for slot in "abc":
        for digits in range(3):
            power, number = f"1{'0' * digits}", f"e.{slot}"
            if digits:
                whole = f"{number} / {power}, {number} % {power}"
                number = f"printf('%d.%0{digits}d', {whole})"
            sql = f"replace({sql}, '⟨{slot}{'.' * digits}⟩', coalesce({number}, ''))"
    return sql


_REASON = f"CASE WHEN e.a IS NULL THEN reason.text ELSE {_filled('reason.text')} END"

LEASE_LOG = """
CREATE VIEW lease_log AS
SELECT l.id, o.host, o.scheduler, l.job_id, l.run, worker.text AS worker, l.cpus,
  CASE l.phase WHEN 0 THEN 'pending' WHEN 1 THEN 'starting' WHEN 2 THEN 'running'
    WHEN 3 THEN 'suspended' WHEN 4 THEN 'ending' ELSE 'ended' END AS phase,
  o.user, o.account, o.partition, name.text AS name,
  coalesce(l.array_job_id, '') AS array_job_id, coalesce(l.array_task_id, '') AS array_task_id,
  coalesce(l.het_job_id, '') AS het_job_id,
  coalesce(l.array_job_id, l.het_job_id, l.job_id) AS family, l.is_first,
  (l.opened_ms - l.submitted_before_ms) / 1000.0 AS submitted_at,
  (l.opened_ms + l.started_after_ms) / 1000.0 AS started_at,
  (l.opened_ms + l.ended_after_ms) / 1000.0 AS ended_at,
  l.time_limit_ms / 1000.0 AS time_limit_s, exit.text AS exit_code, outcome.text AS outcome,
  l.opened_ms / 1000.0 AS opened_at, l.closed_ms / 1000.0 AS closed_at,
  CASE l.close_reason WHEN 0 THEN 'ended' WHEN 1 THEN 'requeued' WHEN 2 THEN 'lost'
    WHEN 3 THEN 'replaced' END AS close_reason,
  l.life_ms / 1000.0 AS life_s,
  coalesce(l.requested_core_ms, l.cpus * l.life_ms) / 1000.0 AS requested_core_s,
  l.held_core_ms / 1000.0 AS held_core_s, l.used_core_ms / 1000.0 AS used_core_s,
  l.waited_core_ms / 1000.0 AS waited_core_s, l.borrowed_core_ms / 1000.0 AS borrowed_core_s,
  max(0, coalesce(l.requested_core_ms, l.cpus * l.life_ms) - l.held_core_ms
    + l.borrowed_core_ms) / 1000.0 AS returned_core_s,
  l.saturated_ms / 1000.0 AS saturated_s, l.peak_mcores / 1000.0 AS peak_cores,
  l.lost_samples, l.applied, l.refused, l.timed_out, l.failed, l.vm_gone,
  l.plug_median_ms / 1000.0 AS plug_median_s, l.plug_max_ms / 1000.0 AS plug_max_s,
  l.unplug_median_ms / 1000.0 AS unplug_median_s, l.unplug_max_ms / 1000.0 AS unplug_max_s,
  l.thinned, l.opened_ms, l.closed_ms
FROM leases AS l
JOIN owners AS o ON o.id = l.owner_id
JOIN words AS worker ON worker.id = l.worker_id
JOIN words AS name ON name.id = l.name_id
JOIN words AS exit ON exit.id = l.exit_id
JOIN words AS outcome ON outcome.id = l.outcome_id"""

SAMPLE_LOG = """
CREATE VIEW sample_log AS
SELECT s.lease_id, (l.opened_ms + s.after_ms) / 1000.0 AS at,
  s.interval_us / 1000000.0 AS interval_s, s.granted_vcpus, s.held_mcores / 1000.0 AS held_cores,
  s.used_mcores / 1000.0 AS used_cores, s.waited_mcores / 1000.0 AS waited_cores
FROM samples AS s
JOIN leases AS l ON l.id = s.lease_id"""

_EVENT_PARTS = f"""
  c.from_vcpus, c.to_vcpus, c.got_vcpus, {_REASON} AS reason, c.result, detail.text AS detail,
  e.command_ms / 1000.0 AS command_s, e.online_ms / 1000.0 AS online_s,
  e.took_ms / 1000.0 AS took_s"""
_EVENT_JOINS = """
JOIN changes AS c ON c.id = e.change_id
JOIN words AS reason ON reason.id = c.reason_id
JOIN words AS detail ON detail.id = c.detail_id"""

EVENT_LOG = f"""
CREATE VIEW event_log AS
SELECT e.lease_id, (l.opened_ms + e.after_ms) / 1000.0 AS at, worker.text AS worker,
  (l.opened_ms + e.after_ms - e.detected_before_ms) / 1000.0 AS detected_at,{_EVENT_PARTS}
FROM events AS e
JOIN leases AS l ON l.id = e.lease_id
JOIN words AS worker ON worker.id = l.worker_id{_EVENT_JOINS}"""  # noqa: S608

# Apart, not in one view with the others: of a UNION SQLite reads all rows whatever is asked.
IDLE_EVENT_LOG = f"""
CREATE VIEW idle_event_log AS
SELECT e.at_ms / 1000.0 AS at, worker.text AS worker,
  (e.at_ms - e.detected_before_ms) / 1000.0 AS detected_at,{_EVENT_PARTS}
FROM idle_events AS e
JOIN words AS worker ON worker.id = e.worker_id{_EVENT_JOINS}"""  # noqa: S608

DECISION_LOG = f"""
CREATE VIEW decision_log AS
SELECT e.at_ms / 1000.0 AS at, e.lease_id, worker.text AS worker, e.from_vcpus, e.to_vcpus,
  {_REASON} AS reason, (e.at_ms - e.detected_before_ms) / 1000.0 AS detected_at
FROM decisions AS e
JOIN words AS worker ON worker.id = e.worker_id
JOIN words AS reason ON reason.id = e.reason_id"""  # noqa: S608

DAILY_LOG = """
CREATE VIEW daily_log AS
SELECT date(d.day * 86400, 'unixepoch') AS day, o.host, o.scheduler, o.user, o.account,
  o.partition, d.leases, d.jobs, d.completed, d.failed, d.cancelled, d.timed_out, d.lost,
  d.requeued, d.otherwise, d.life_ms / 1000.0 AS life_s,
  d.requested_core_ms / 1000.0 AS requested_core_s, d.held_core_ms / 1000.0 AS held_core_s,
  d.used_core_ms / 1000.0 AS used_core_s, d.waited_core_ms / 1000.0 AS waited_core_s,
  d.returned_core_ms / 1000.0 AS returned_core_s, d.borrowed_core_ms / 1000.0 AS borrowed_core_s,
  d.saturated_ms / 1000.0 AS saturated_s, d.events_applied, d.events_refused, d.events_timed_out,
  d.events_failed, d.events_vm_gone, d.waits, d.wait_ms / 1000.0 AS wait_s, d.lost_samples
FROM daily AS d
JOIN owners AS o ON o.id = d.owner_id"""

# What one closed lease adds to `daily`. How it ended goes by why it was closed, then by the first
# word of the scheduler's: HTCondor calls a job COMPLETED that has failed.
SHARES = """
CREATE VIEW shares AS
SELECT l.id, (l.closed_ms - (l.closed_ms % 86400000 + 86400000) % 86400000) / 86400000 AS day,
  l.owner_id, 1 AS leases, l.is_first AS jobs,
  l.class = 'completed' AS completed, l.class = 'failed' AS failed,
  l.class = 'cancelled' AS cancelled, l.class = 'timed out' AS timed_out,
  l.class = 'lost' AS lost, l.class = 'requeued' AS requeued, l.class = 'otherwise' AS otherwise,
  l.life_ms, l.asked AS requested_core_ms,
  l.held_core_ms, l.used_core_ms, l.waited_core_ms,
  max(0, l.asked - l.held_core_ms + l.borrowed_core_ms) AS returned_core_ms,
  l.borrowed_core_ms, l.saturated_ms, l.applied AS events_applied, l.refused AS events_refused,
  l.timed_out AS events_timed_out, l.failed AS events_failed, l.vm_gone AS events_vm_gone,
  l.is_first AND l.submitted_before_ms IS NOT NULL AS waits,
  CASE WHEN l.is_first AND l.submitted_before_ms IS NOT NULL
    THEN max(0, coalesce(l.started_after_ms, 0) + l.submitted_before_ms) ELSE 0 END AS wait_ms,
  l.lost_samples
FROM (
  SELECT leases.*, coalesce(requested_core_ms, cpus * life_ms) AS asked, CASE
    WHEN close_reason = 1 THEN 'requeued'
    WHEN outcome.text LIKE 'COMPLETED%' AND exit.text IN ('', '0', '0:0') THEN 'completed'
    WHEN outcome.text LIKE 'COMPLETED%' THEN 'failed'
    WHEN outcome.text LIKE 'CANCELLED%' OR outcome.text LIKE 'REMOVED%' THEN 'cancelled'
    WHEN outcome.text LIKE 'TIMEOUT%' OR outcome.text LIKE 'DEADLINE%' THEN 'timed out'
    WHEN outcome.text LIKE 'FAILED%' OR outcome.text LIKE 'OUT_OF_ME%' THEN 'failed'
    WHEN outcome.text LIKE 'NODE_FAIL%' OR outcome.text LIKE 'BOOT_FAIL%' THEN 'lost'
    WHEN outcome.text LIKE 'REQUEUE%' OR outcome.text LIKE 'PREEMPTED%'
      OR outcome.text LIKE 'EVICTED%' THEN 'requeued'
    WHEN outcome.text = '' AND close_reason = 2 THEN 'lost'
    ELSE 'otherwise' END AS class
  FROM leases
  JOIN words AS outcome ON outcome.id = leases.outcome_id
  JOIN words AS exit ON exit.id = leases.exit_id
  WHERE closed_after_ms IS NOT NULL) AS l"""


def _ms(seconds: str) -> str:
    return f"CAST(round(({seconds}) * 1000) AS INTEGER)"


_OLD_VIEWS = ("DROP VIEW event_log", "DROP VIEW decision_log")
_OLD_INDEXES = tuple(
    f"DROP INDEX {name}"
    for name in (
        *("leases_family", "leases_closed_at", "leases_opened_at", "leases_to_thin"),
        *("events_of_lease", "decisions_of_lease"),
    )
)
_OLD_TABLES = ("leases", "samples", "events", "decisions")

_COPY_WORDS = """
INSERT OR IGNORE INTO words (text)
SELECT '' UNION SELECT worker FROM leases_1 UNION SELECT name FROM leases_1
UNION SELECT exit_code FROM leases_1 UNION SELECT outcome FROM leases_1
UNION SELECT user FROM leases_1"""

# Which host it was is not in version 1; the store puts it in where it is ''.
_COPY_OWNERS = """
INSERT INTO owners (host, scheduler, user, account, partition)
SELECT DISTINCT '', scheduler, user, account, partition FROM leases_1"""

_COPY_LEASES = f"""
INSERT INTO leases
SELECT l.id, o.id, worker.id, name.id, l.job_id, nullif(l.array_job_id, ''),
  nullif(l.array_task_id, ''), nullif(l.het_job_id, ''), l.run,
  NOT EXISTS (SELECT 1 FROM leases_1 AS e WHERE e.job_id = l.job_id
    AND e.scheduler = l.scheduler AND e.id < l.id AND (e.run < l.run OR (e.run = l.run
      AND coalesce(abs(e.submitted_at - l.submitted_at) <= 1, 1)))),
  l.cpus, CASE l.phase WHEN 'pending' THEN 0 WHEN 'starting' THEN 1 WHEN 'running' THEN 2
    WHEN 'suspended' THEN 3 WHEN 'ending' THEN 4 ELSE 5 END,
  {_ms("l.opened_at")}, {_ms("l.opened_at")} - {_ms("l.submitted_at")},
  {_ms("l.started_at")} - {_ms("l.opened_at")}, {_ms("l.ended_at")} - {_ms("l.opened_at")},
  {_ms("l.closed_at")} - {_ms("l.opened_at")}, {_ms("l.time_limit_s")},
  CASE l.close_reason WHEN 'ended' THEN 0 WHEN 'requeued' THEN 1 WHEN 'lost' THEN 2
    WHEN 'replaced' THEN 3 END,
  exit.id, outcome.id, {_ms("l.life_s")},
  CASE WHEN abs({_ms("l.requested_core_s")} - l.cpus * {_ms("l.life_s")}) > l.cpus
    THEN {_ms("l.requested_core_s")} END,
  {_ms("l.held_core_s")}, {_ms("l.used_core_s")}, {_ms("l.waited_core_s")},
  {_ms("l.borrowed_core_s")}, {_ms("l.saturated_s")}, {_ms("l.peak_cores")},
  l.lost_samples, l.applied, l.refused, l.timed_out, l.failed, l.vm_gone,
  {_ms("l.plug_median_s")}, {_ms("l.plug_max_s")},
  {_ms("l.unplug_median_s")}, {_ms("l.unplug_max_s")}, l.thinned
FROM leases_1 AS l
JOIN owners AS o ON o.user = l.user AND o.account = l.account AND o.partition = l.partition
  AND o.scheduler = l.scheduler
JOIN words AS worker ON worker.text = l.worker
JOIN words AS name ON name.text = l.name
JOIN words AS exit ON exit.text = l.exit_code
JOIN words AS outcome ON outcome.text = l.outcome
ORDER BY l.id"""  # noqa: S608

_COPY_SAMPLES = f"""
INSERT OR REPLACE INTO samples
SELECT s.lease_id, {_ms("s.at")} - l.opened_ms,
  max(1, CAST(round(s.interval_s * 1000000) AS INTEGER)), s.granted_vcpus,
  {_ms("s.held_cores")}, {_ms("s.used_cores")}, {_ms("s.waited_cores")}
FROM samples_1 AS s
JOIN leases AS l ON l.id = s.lease_id
ORDER BY s.lease_id, s.at"""  # noqa: S608

_COPY_CHANGES = """
INSERT OR IGNORE INTO changes (from_vcpus, to_vcpus, got_vcpus, reason_id, result, detail_id)
SELECT DISTINCT from_vcpus, to_vcpus, got_vcpus, reason_id, result,
  coalesce(detail_id, (SELECT id FROM words WHERE text = ''))
FROM events_1"""

_COPY_PARTS = f"""
  c.id, NULL, NULL, NULL, {_ms("e.at")} - {_ms("e.detected_at")}, {_ms("e.command_s")},
  {_ms("e.online_s")}, {_ms("e.took_s")}"""
_COPY_JOIN = """
JOIN changes AS c ON c.reason_id = e.reason_id AND c.from_vcpus = e.from_vcpus
  AND c.to_vcpus = e.to_vcpus AND c.got_vcpus = e.got_vcpus AND c.result = e.result
  AND c.detail_id = coalesce(e.detail_id, (SELECT id FROM words WHERE text = ''))"""

# Two events of one ms get two: nothing is lost.
_COPY_EVENTS = f"""
INSERT INTO events
SELECT e.lease_id, {_ms("e.at")} - l.opened_ms
  + row_number() OVER (PARTITION BY e.lease_id, {_ms("e.at")} ORDER BY e.id) - 1,{_COPY_PARTS}
FROM events_1 AS e
JOIN leases AS l ON l.id = e.lease_id{_COPY_JOIN}"""  # noqa: S608

_COPY_IDLE_EVENTS = f"""
INSERT INTO idle_events
SELECT e.worker_id, {_ms("e.at")}
  + row_number() OVER (PARTITION BY e.worker_id, {_ms("e.at")} ORDER BY e.id) - 1,{_COPY_PARTS}
FROM events_1 AS e{_COPY_JOIN}
WHERE e.lease_id IS NULL"""  # noqa: S608

_COPY_DECISIONS = f"""
INSERT OR IGNORE INTO decisions
SELECT worker_id, {_ms("at")}, lease_id, from_vcpus, to_vcpus, reason_id, NULL, NULL, NULL,
  {_ms("at")} - {_ms("detected_at")}
FROM decisions_1"""  # noqa: S608

DAILY_SUMS = """
INSERT INTO daily
SELECT day, owner_id, sum(leases), sum(jobs), sum(completed), sum(failed), sum(cancelled),
  sum(timed_out), sum(lost), sum(requeued), sum(otherwise), sum(life_ms),
  sum(requested_core_ms), sum(held_core_ms), sum(used_core_ms), sum(waited_core_ms),
  sum(returned_core_ms), sum(borrowed_core_ms), sum(saturated_ms), sum(events_applied),
  sum(events_refused), sum(events_timed_out), sum(events_failed), sum(events_vm_gone),
  sum(waits), sum(wait_ms), sum(lost_samples)
FROM shares GROUP BY day, owner_id"""

_COPY_RECENT = """
INSERT INTO recent
SELECT user.id, name_id, json_group_array(l.id) FROM (
  SELECT leases.id, name_id, o.user, row_number() OVER (
    PARTITION BY o.user, name_id ORDER BY leases.id DESC) AS place
  FROM leases JOIN owners AS o ON o.id = owner_id
  WHERE closed_after_ms IS NOT NULL) AS l
JOIN words AS user ON user.text = l.user
WHERE place <= 32 GROUP BY user.id, name_id"""

# `requested` and `idle` of minutes before this version are not known, and 0.
_LEDGER = (
    "ALTER TABLE host_ledger ADD COLUMN requested_core_s REAL NOT NULL DEFAULT 0",
    "ALTER TABLE host_ledger ADD COLUMN idle_core_s REAL NOT NULL DEFAULT 0",
)

STATEMENTS = (
    *_OLD_VIEWS,
    *_OLD_INDEXES,
    *(f"ALTER TABLE {name} RENAME TO {name}_1" for name in _OLD_TABLES),
    *(OWNERS, LEASES, SAMPLES, CHANGES, EVENTS, IDLE_EVENTS, DECISIONS, DAILY, RECENT),
    *(LEASE_LOG, SAMPLE_LOG, EVENT_LOG, IDLE_EVENT_LOG, DECISION_LOG, DAILY_LOG, SHARES),
    *(_COPY_WORDS, _COPY_OWNERS, _COPY_LEASES, _COPY_SAMPLES, _COPY_CHANGES, _COPY_EVENTS),
    *(_COPY_IDLE_EVENTS, _COPY_DECISIONS, DAILY_SUMS, _COPY_RECENT),
    *(f"DROP TABLE {name}_1" for name in ("samples", "events", "decisions", "leases")),
    *(*LEASE_INDEXES, DECISION_INDEX),
    *_LEDGER,
)
