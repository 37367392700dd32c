"""Version 1: the first schema, as it was; only databases that it made come here."""

from __future__ import annotations

META = """
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID"""

WORDS = """
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT"""

# `reused` tells apart jobs for which a scheduler gave out the same id twice (a cluster set up
# anew starts at 1 again). `family` is what a user calls the job: its array, heterogeneous job
# or own id.
LEASES = """
CREATE TABLE leases (
  id               INTEGER PRIMARY KEY,
  scheduler        TEXT NOT NULL,
  job_id           TEXT NOT NULL,
  run              INTEGER NOT NULL,
  worker           TEXT NOT NULL,
  reused           INTEGER NOT NULL,
  cpus             INTEGER NOT NULL,
  phase            TEXT NOT NULL CHECK (phase IN
                     ('pending', 'starting', 'running', 'suspended', 'ending', 'ended')),
  user             TEXT NOT NULL,
  account          TEXT NOT NULL,
  partition        TEXT NOT NULL,
  name             TEXT NOT NULL,
  array_job_id     TEXT NOT NULL,
  array_task_id    TEXT NOT NULL,
  het_job_id       TEXT NOT NULL,
  submitted_at     REAL,
  started_at       REAL,
  ended_at         REAL,
  time_limit_s     REAL,
  exit_code        TEXT NOT NULL,
  outcome          TEXT NOT NULL,
  opened_at        REAL NOT NULL,
  closed_at        REAL,
  close_reason     TEXT CHECK (close_reason IN ('ended', 'requeued', 'lost', 'replaced')),
  life_s           REAL NOT NULL,
  requested_core_s REAL NOT NULL,
  held_core_s      REAL NOT NULL,
  used_core_s      REAL NOT NULL,
  waited_core_s    REAL NOT NULL,
  peak_cores       REAL NOT NULL,
  saturated_s      REAL NOT NULL,
  borrowed_core_s  REAL NOT NULL DEFAULT 0,
  lost_samples     INTEGER NOT NULL DEFAULT 0,
  applied          INTEGER NOT NULL DEFAULT 0,
  refused          INTEGER NOT NULL DEFAULT 0,
  timed_out        INTEGER NOT NULL DEFAULT 0,
  failed           INTEGER NOT NULL DEFAULT 0,
  vm_gone          INTEGER NOT NULL DEFAULT 0,
  plug_median_s    REAL,
  plug_max_s       REAL,
  unplug_median_s  REAL,
  unplug_max_s     REAL,
  thinned          INTEGER NOT NULL DEFAULT 0 CHECK (thinned IN (0, 1)),
  family           TEXT GENERATED ALWAYS AS
                     (coalesce(nullif(array_job_id, ''), nullif(het_job_id, ''), job_id)) VIRTUAL,
  UNIQUE (job_id, worker, run, scheduler, reused),
  CHECK ((closed_at IS NULL) = (close_reason IS NULL))
) STRICT"""

SAMPLES = """
CREATE TABLE samples (
  lease_id      INTEGER NOT NULL REFERENCES leases (id),
  at            REAL NOT NULL,
  interval_s    REAL NOT NULL CHECK (interval_s > 0),
  granted_vcpus INTEGER NOT NULL,
  held_cores    REAL NOT NULL,
  used_cores    REAL NOT NULL,
  waited_cores  REAL NOT NULL,
  PRIMARY KEY (lease_id, at)
) STRICT, WITHOUT ROWID"""

EVENTS = """
CREATE TABLE events (
  id          INTEGER PRIMARY KEY,
  lease_id    INTEGER REFERENCES leases (id),
  at          REAL NOT NULL,
  worker_id   INTEGER NOT NULL REFERENCES words (id),
  from_vcpus  INTEGER NOT NULL,
  to_vcpus    INTEGER NOT NULL,
  got_vcpus   INTEGER NOT NULL,
  reason_id   INTEGER NOT NULL REFERENCES words (id),
  result      TEXT NOT NULL CHECK (result IN
                ('applied', 'already so', 'ejected late', 'refused', 'guest refused',
                 'hot-plug disabled', 'over the ceiling', 'timed out', 'guest did not answer',
                 'failed', 'plug lost', 'machine locked', 'hypervisor service gone', 'vm gone')),
  detail_id   INTEGER REFERENCES words (id),
  detected_at REAL,
  command_s   REAL NOT NULL,
  online_s    REAL,
  took_s      REAL NOT NULL
) STRICT"""

DECISIONS = """
CREATE TABLE decisions (
  worker_id   INTEGER NOT NULL REFERENCES words (id),
  at          REAL NOT NULL,
  lease_id    INTEGER REFERENCES leases (id),
  from_vcpus  INTEGER NOT NULL,
  to_vcpus    INTEGER NOT NULL,
  reason_id   INTEGER NOT NULL REFERENCES words (id),
  detected_at REAL NOT NULL,
  PRIMARY KEY (worker_id, at)
) STRICT, WITHOUT ROWID"""

# `counters` is JSON, {"vCPU index": [run_ns, wait_ns]}; `monotonic_s` counts since the boot
# named by `boot_id`, `born_s` is when the VM's process started on that clock.
WORKERS = """
CREATE TABLE workers (
  worker        TEXT PRIMARY KEY,
  vm            TEXT NOT NULL,
  granted_vcpus INTEGER NOT NULL,
  pid           INTEGER NOT NULL,
  born_s        REAL NOT NULL,
  counters      TEXT NOT NULL CHECK (json_valid(counters)),
  monotonic_s   REAL NOT NULL,
  boot_id       TEXT NOT NULL,
  read_at       REAL NOT NULL
) STRICT, WITHOUT ROWID"""

HOST_LEDGER = """
CREATE TABLE host_ledger (
  minute_at   INTEGER PRIMARY KEY,
  span_s      REAL NOT NULL,
  held_core_s REAL NOT NULL,
  used_core_s REAL NOT NULL,
  host_cores  INTEGER NOT NULL
) STRICT"""

BEATS = """
CREATE TABLE beats (
  started_at REAL PRIMARY KEY,
  last_at    REAL NOT NULL
) STRICT, WITHOUT ROWID"""

EVENT_LOG = """
CREATE VIEW event_log AS
SELECT e.id, e.lease_id, e.at, worker.text AS worker, e.from_vcpus, e.to_vcpus, e.got_vcpus,
       reason.text AS reason, e.result, coalesce(detail.text, '') AS detail, e.detected_at,
       e.command_s, e.online_s, e.took_s
FROM events AS e
JOIN words AS worker ON worker.id = e.worker_id
JOIN words AS reason ON reason.id = e.reason_id
LEFT JOIN words AS detail ON detail.id = e.detail_id"""

DECISION_LOG = """
CREATE VIEW decision_log AS
SELECT d.at, d.lease_id, worker.text AS worker, d.from_vcpus, d.to_vcpus,
       reason.text AS reason, d.detected_at
FROM decisions AS d
JOIN words AS worker ON worker.id = d.worker_id
JOIN words AS reason ON reason.id = d.reason_id"""

INDEXES = (
    "CREATE INDEX leases_family ON leases (family)",
    "CREATE INDEX leases_closed_at ON leases (closed_at)",
    "CREATE INDEX leases_opened_at ON leases (opened_at)",
    "CREATE INDEX leases_to_thin ON leases (id) WHERE closed_at IS NOT NULL AND thinned = 0",
    "CREATE UNIQUE INDEX events_of_lease ON events (lease_id, at, worker_id)",
    "CREATE INDEX decisions_of_lease ON decisions (lease_id)",
)

STATEMENTS = (
    *(META, WORDS, LEASES, SAMPLES, EVENTS, DECISIONS, WORKERS, HOST_LEDGER, BEATS),
    *(EVENT_LOG, DECISION_LOG),
    *INDEXES,
)
