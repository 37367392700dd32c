PRAGMA application_id = 1752394868;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE beats (
  started_at REAL PRIMARY KEY,
  last_at    REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "beats" VALUES(1700000060.125,1700000360.125);
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
) STRICT;
INSERT INTO "changes" VALUES(1,4,2,2,6,'applied',1);
INSERT INTO "changes" VALUES(2,2,4,4,6,'applied',1);
INSERT INTO "changes" VALUES(3,4,2,2,6,'guest refused',7);
INSERT INTO "changes" VALUES(4,4,1,1,6,'applied',1);
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
) STRICT, WITHOUT ROWID;
INSERT INTO "daily" VALUES(19675,1,1,1,1,0,0,0,0,0,0,100000,400000,260000,150000,1500,142000,2000,7000,2,1,0,0,0,1,60375,0);
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
) STRICT, WITHOUT ROWID;
INSERT INTO "decisions" VALUES(2,1700000069125,1,4,2,8,60,11,NULL,1000);
CREATE TABLE events (
  lease_id INTEGER NOT NULL REFERENCES leases (id),
  after_ms INTEGER NOT NULL,
  change_id          INTEGER NOT NULL REFERENCES changes (id),
  a                  INTEGER,
  b                  INTEGER,
  c                  INTEGER,
  detected_before_ms INTEGER,
  command_ms         INTEGER NOT NULL,
  online_ms          INTEGER,
  took_ms            INTEGER NOT NULL,
  PRIMARY KEY (lease_id, after_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES(1,10000,1,60,11,NULL,1000,250,NULL,500);
INSERT INTO "events" VALUES(1,20000,2,60,11,NULL,1000,250,250,500);
INSERT INTO "events" VALUES(1,30000,3,60,11,NULL,1000,250,NULL,500);
CREATE TABLE host_ledger (
  minute_at   INTEGER PRIMARY KEY,
  span_s      REAL NOT NULL,
  held_core_s REAL NOT NULL,
  used_core_s REAL NOT NULL,
  host_cores  INTEGER NOT NULL
, requested_core_s REAL NOT NULL DEFAULT 0, idle_core_s REAL NOT NULL DEFAULT 0) STRICT;
INSERT INTO "host_ledger" VALUES(1700000040,60.0,240.0,75.0,16,400.0,5.0);
CREATE TABLE idle_events (
  worker_id INTEGER NOT NULL REFERENCES words (id),
  at_ms     INTEGER NOT NULL,
  change_id          INTEGER NOT NULL REFERENCES changes (id),
  a                  INTEGER,
  b                  INTEGER,
  c                  INTEGER,
  detected_before_ms INTEGER,
  command_ms         INTEGER NOT NULL,
  online_ms          INTEGER,
  took_ms            INTEGER NOT NULL,
  PRIMARY KEY (worker_id, at_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "idle_events" VALUES(2,1700000260125,4,60,11,NULL,1000,250,NULL,500);
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
) STRICT;
INSERT INTO "leases" VALUES(1,1,2,3,'20',NULL,NULL,NULL,0,1,4,5,1700000060125,60000,375,100000,100000,3600000,0,10,9,100000,NULL,260000,150000,1500,2000,7000,3900,0,2,1,0,0,0,500,500,500,500,0);
INSERT INTO "leases" VALUES(2,1,5,3,'22','21','1',NULL,0,1,4,2,1700000060125,60000,375,NULL,NULL,3600000,NULL,1,1,0,NULL,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,0);
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE owners (
  id        INTEGER PRIMARY KEY,
  host      TEXT NOT NULL,
  scheduler TEXT NOT NULL,
  user      TEXT NOT NULL,
  account   TEXT NOT NULL,
  partition TEXT NOT NULL,
  UNIQUE (user, account, partition, scheduler, host)
) STRICT;
INSERT INTO "owners" VALUES(1,'n1','slurm','alice','physics','n1');
CREATE TABLE recent (
  user_id   INTEGER NOT NULL REFERENCES words (id),
  name_id   INTEGER NOT NULL REFERENCES words (id),
  lease_ids TEXT NOT NULL CHECK (json_valid(lease_ids)),
  PRIMARY KEY (user_id, name_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "recent" VALUES(4,3,'[1]');
CREATE TABLE samples (
  lease_id      INTEGER NOT NULL REFERENCES leases (id),
  after_ms      INTEGER NOT NULL,
  interval_us   INTEGER NOT NULL CHECK (interval_us > 0),
  granted_vcpus INTEGER NOT NULL,
  held_mcores   INTEGER NOT NULL,
  used_mcores   INTEGER NOT NULL,
  waited_mcores INTEGER NOT NULL,
  PRIMARY KEY (lease_id, after_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "samples" VALUES(1,1000,1000000,4,4000,1250,0);
INSERT INTO "samples" VALUES(1,2000,1000000,4,4000,1250,0);
INSERT INTO "samples" VALUES(1,3000,1000000,4,4000,1250,0);
INSERT INTO "samples" VALUES(2,1000,1000000,4,4000,1250,0);
INSERT INTO "samples" VALUES(2,2000,1000000,4,4000,1250,0);
INSERT INTO "samples" VALUES(2,3000,1000000,4,4000,1250,0);
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "words" VALUES(1,'');
INSERT INTO "words" VALUES(2,'w1');
INSERT INTO "words" VALUES(3,'O''Neill''s   job');
INSERT INTO "words" VALUES(4,'alice');
INSERT INTO "words" VALUES(5,'w2');
INSERT INTO "words" VALUES(6,'peak of ⟨a⟩ s is ⟨b.⟩ of 4 cores');
INSERT INTO "words" VALUES(7,'CPU 3 is busy');
INSERT INTO "words" VALUES(8,'peak of ⟨a⟩ s is ⟨b.⟩');
INSERT INTO "words" VALUES(9,'COMPLETED');
INSERT INTO "words" VALUES(10,'0:0');
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
) STRICT, WITHOUT ROWID;
INSERT INTO "workers" VALUES('w1','vm-w1',2,4321,2.25,'{"0":[7,8],"1":[1000000000000000000,0]}',5.5,'boot-a',1700000170.125);
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
JOIN words AS outcome ON outcome.id = l.outcome_id;
CREATE VIEW sample_log AS
SELECT s.lease_id, (l.opened_ms + s.after_ms) / 1000.0 AS at,
  s.interval_us / 1000000.0 AS interval_s, s.granted_vcpus, s.held_mcores / 1000.0 AS held_cores,
  s.used_mcores / 1000.0 AS used_cores, s.waited_mcores / 1000.0 AS waited_cores
FROM samples AS s
JOIN leases AS l ON l.id = s.lease_id;
CREATE VIEW event_log AS
SELECT e.lease_id, (l.opened_ms + e.after_ms) / 1000.0 AS at, worker.text AS worker,
  (l.opened_ms + e.after_ms - e.detected_before_ms) / 1000.0 AS detected_at,
  c.from_vcpus, c.to_vcpus, c.got_vcpus, CASE WHEN e.a IS NULL THEN reason.text ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(reason.text, '⟨a⟩', coalesce(e.a, '')), '⟨a.⟩', coalesce(printf('%d.%01d', e.a / 10, e.a % 10), '')), '⟨a..⟩', coalesce(printf('%d.%02d', e.a / 100, e.a % 100), '')), '⟨b⟩', coalesce(e.b, '')), '⟨b.⟩', coalesce(printf('%d.%01d', e.b / 10, e.b % 10), '')), '⟨b..⟩', coalesce(printf('%d.%02d', e.b / 100, e.b % 100), '')), '⟨c⟩', coalesce(e.c, '')), '⟨c.⟩', coalesce(printf('%d.%01d', e.c / 10, e.c % 10), '')), '⟨c..⟩', coalesce(printf('%d.%02d', e.c / 100, e.c % 100), '')) END AS reason, c.result, detail.text AS detail,
  e.command_ms / 1000.0 AS command_s, e.online_ms / 1000.0 AS online_s,
  e.took_ms / 1000.0 AS took_s
FROM events AS e
JOIN leases AS l ON l.id = e.lease_id
JOIN words AS worker ON worker.id = l.worker_id
JOIN changes AS c ON c.id = e.change_id
JOIN words AS reason ON reason.id = c.reason_id
JOIN words AS detail ON detail.id = c.detail_id;
CREATE VIEW idle_event_log AS
SELECT e.at_ms / 1000.0 AS at, worker.text AS worker,
  (e.at_ms - e.detected_before_ms) / 1000.0 AS detected_at,
  c.from_vcpus, c.to_vcpus, c.got_vcpus, CASE WHEN e.a IS NULL THEN reason.text ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(reason.text, '⟨a⟩', coalesce(e.a, '')), '⟨a.⟩', coalesce(printf('%d.%01d', e.a / 10, e.a % 10), '')), '⟨a..⟩', coalesce(printf('%d.%02d', e.a / 100, e.a % 100), '')), '⟨b⟩', coalesce(e.b, '')), '⟨b.⟩', coalesce(printf('%d.%01d', e.b / 10, e.b % 10), '')), '⟨b..⟩', coalesce(printf('%d.%02d', e.b / 100, e.b % 100), '')), '⟨c⟩', coalesce(e.c, '')), '⟨c.⟩', coalesce(printf('%d.%01d', e.c / 10, e.c % 10), '')), '⟨c..⟩', coalesce(printf('%d.%02d', e.c / 100, e.c % 100), '')) END AS reason, c.result, detail.text AS detail,
  e.command_ms / 1000.0 AS command_s, e.online_ms / 1000.0 AS online_s,
  e.took_ms / 1000.0 AS took_s
FROM idle_events AS e
JOIN words AS worker ON worker.id = e.worker_id
JOIN changes AS c ON c.id = e.change_id
JOIN words AS reason ON reason.id = c.reason_id
JOIN words AS detail ON detail.id = c.detail_id;
CREATE VIEW decision_log AS
SELECT e.at_ms / 1000.0 AS at, e.lease_id, worker.text AS worker, e.from_vcpus, e.to_vcpus,
  CASE WHEN e.a IS NULL THEN reason.text ELSE replace(replace(replace(replace(replace(replace(replace(replace(replace(reason.text, '⟨a⟩', coalesce(e.a, '')), '⟨a.⟩', coalesce(printf('%d.%01d', e.a / 10, e.a % 10), '')), '⟨a..⟩', coalesce(printf('%d.%02d', e.a / 100, e.a % 100), '')), '⟨b⟩', coalesce(e.b, '')), '⟨b.⟩', coalesce(printf('%d.%01d', e.b / 10, e.b % 10), '')), '⟨b..⟩', coalesce(printf('%d.%02d', e.b / 100, e.b % 100), '')), '⟨c⟩', coalesce(e.c, '')), '⟨c.⟩', coalesce(printf('%d.%01d', e.c / 10, e.c % 10), '')), '⟨c..⟩', coalesce(printf('%d.%02d', e.c / 100, e.c % 100), '')) END AS reason, (e.at_ms - e.detected_before_ms) / 1000.0 AS detected_at
FROM decisions AS e
JOIN words AS worker ON worker.id = e.worker_id
JOIN words AS reason ON reason.id = e.reason_id;
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
JOIN owners AS o ON o.id = d.owner_id;
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
  WHERE closed_after_ms IS NOT NULL) AS l;
CREATE INDEX leases_job ON leases (job_id);
CREATE INDEX leases_array ON leases (array_job_id) WHERE array_job_id IS NOT NULL;
CREATE INDEX leases_het ON leases (het_job_id) WHERE het_job_id IS NOT NULL;
CREATE INDEX leases_closed ON leases (closed_ms);
CREATE INDEX leases_to_thin ON leases (id) WHERE closed_after_ms IS NOT NULL AND thinned = 0;
CREATE INDEX decisions_lease ON decisions (lease_id);
COMMIT;
