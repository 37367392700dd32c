PRAGMA application_id = 1752394868;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE beats (
  started_at REAL PRIMARY KEY,
  last_at    REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "beats" VALUES(1700000060.125,1700000360.125);
CREATE TABLE decisions (
  worker_id   INTEGER NOT NULL REFERENCES words (id),
  at          REAL NOT NULL,
  lease_id    INTEGER REFERENCES leases (id),
  from_vcpus  INTEGER NOT NULL,
  to_vcpus    INTEGER NOT NULL,
  reason_id   INTEGER NOT NULL REFERENCES words (id),
  detected_at REAL NOT NULL,
  PRIMARY KEY (worker_id, at)
) STRICT, WITHOUT ROWID;
INSERT INTO "decisions" VALUES(4,1700000069.875,1,4,2,3,1700000069.125);
INSERT INTO "decisions" VALUES(4,1700000259.125,NULL,4,1,5,1700000259.125);
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
) STRICT;
INSERT INTO "events" VALUES(1,1,1700000070.125,4,4,2,2,3,'applied',NULL,1700000069.125,0.25,NULL,0.5);
INSERT INTO "events" VALUES(2,1,1700000080.125,4,2,4,4,3,'applied',NULL,1700000079.125,0.25,0.25,0.5);
INSERT INTO "events" VALUES(3,1,1700000090.125,4,4,2,2,3,'guest refused',2,1700000089.125,0.25,NULL,0.5);
INSERT INTO "events" VALUES(4,2,1700000061.125,1,1,4,4,3,'applied',NULL,1700000060.125,0.25,NULL,0.5);
INSERT INTO "events" VALUES(5,NULL,1700000260.125,4,4,1,1,3,'applied',NULL,1700000259.125,0.25,NULL,0.5);
INSERT INTO "events" VALUES(6,NULL,1700000260.125,1,4,1,1,3,'applied',NULL,1700000259.125,0.25,NULL,0.5);
CREATE TABLE host_ledger (
  minute_at   INTEGER PRIMARY KEY,
  span_s      REAL NOT NULL,
  held_core_s REAL NOT NULL,
  used_core_s REAL NOT NULL,
  host_cores  INTEGER NOT NULL
) STRICT;
INSERT INTO "host_ledger" VALUES(1700000040,60.0,240.0,75.0,16);
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
) STRICT;
INSERT INTO "leases" VALUES(1,'slurm','10',0,'w1',0,4,'ended','alice','physics','n1','O''Neill''s   job','','','',1700000000.25,1700000060.5,1700000159.625,3600.0,'0:0','COMPLETED',1700000060.125,1700000160.125,'ended',100.0,400.0,260.0,150.0,1.5,3.9,7.0,0.0,0,2,1,0,0,0,0.5,0.5,0.5,0.5,1);
INSERT INTO "leases" VALUES(2,'slurm','11',0,'w2',0,4,'running','alice','physics','n1','O''Neill''s   job','11','1','',1700000000.25,1700000060.5,NULL,3600.0,'','',1700000060.125,NULL,NULL,3.0,12.0,12.0,3.75,0.375,1.25,0.0,0.0,0,1,0,0,0,0,0.5,0.5,NULL,NULL,0);
INSERT INTO "leases" VALUES(3,'slurm','12',0,'w3',0,4,'ended','alice','physics','n1','O''Neill''s   job','','','',1700000000.25,1700000060.5,NULL,3600.0,'','NODE_FAIL',1700000060.125,1700172860.125,'lost',10.0,40.0,50.0,15.0,0.0,3.9,0.0,2.0,2,0,0,0,0,0,NULL,NULL,NULL,NULL,0);
INSERT INTO "leases" VALUES(4,'slurm','12',1,'w1',0,4,'ended','alice','physics','n1','O''Neill''s   job','','','',1700000000.25,1700000060.5,NULL,3600.0,'','TIMEOUT',1700090060.125,1700172865.125,'ended',100.0,400.0,260.0,150.0,1.5,3.9,7.0,0.0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,0);
INSERT INTO "leases" VALUES(5,'slurm','13',0,'w4',0,4,'running','alice','','','O''Neill''s   job','','','13',NULL,NULL,NULL,NULL,'','',1700000060.125,NULL,NULL,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,0);
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE samples (
  lease_id      INTEGER NOT NULL REFERENCES leases (id),
  at            REAL NOT NULL,
  interval_s    REAL NOT NULL CHECK (interval_s > 0),
  granted_vcpus INTEGER NOT NULL,
  held_cores    REAL NOT NULL,
  used_cores    REAL NOT NULL,
  waited_cores  REAL NOT NULL,
  PRIMARY KEY (lease_id, at)
) STRICT, WITHOUT ROWID;
INSERT INTO "samples" VALUES(1,1700000061.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(1,1700000062.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(1,1700000063.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(1,1700000064.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(1,1700000065.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(2,1700000061.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(2,1700000062.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(2,1700000063.125,1.0,4,4.0,1.25,0.125);
INSERT INTO "samples" VALUES(3,1700000061.125,1.0,5,5.0,1.25,0.125);
INSERT INTO "samples" VALUES(3,1700000062.125,1.0,5,5.0,1.25,0.125);
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "words" VALUES(1,'w2');
INSERT INTO "words" VALUES(2,'CPU 3 is busy');
INSERT INTO "words" VALUES(3,'peak of 60 s is 1.1 of 4 cores');
INSERT INTO "words" VALUES(4,'w1');
INSERT INTO "words" VALUES(5,'no job; the idle size');
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
INSERT INTO "workers" VALUES('w1','vm-w1',2,4321,2.25,'{"0":[7,8]}',5.5,'boot-a',1700000170.125);
CREATE VIEW event_log AS
SELECT e.id, e.lease_id, e.at, worker.text AS worker, e.from_vcpus, e.to_vcpus, e.got_vcpus,
       reason.text AS reason, e.result, coalesce(detail.text, '') AS detail, e.detected_at,
       e.command_s, e.online_s, e.took_s
FROM events AS e
JOIN words AS worker ON worker.id = e.worker_id
JOIN words AS reason ON reason.id = e.reason_id
LEFT JOIN words AS detail ON detail.id = e.detail_id;
CREATE VIEW decision_log AS
SELECT d.at, d.lease_id, worker.text AS worker, d.from_vcpus, d.to_vcpus,
       reason.text AS reason, d.detected_at
FROM decisions AS d
JOIN words AS worker ON worker.id = d.worker_id
JOIN words AS reason ON reason.id = d.reason_id;
CREATE INDEX leases_family ON leases (family);
CREATE INDEX leases_closed_at ON leases (closed_at);
CREATE INDEX leases_opened_at ON leases (opened_at);
CREATE INDEX leases_to_thin ON leases (id) WHERE closed_at IS NOT NULL AND thinned = 0;
CREATE UNIQUE INDEX events_of_lease ON events (lease_id, at, worker_id);
CREATE INDEX decisions_of_lease ON decisions (lease_id);
COMMIT;
