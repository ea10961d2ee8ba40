-- The run file (run.sqlite, *.bscope), version 3. One file holds one run.
--
-- application_id says "a Batchscope run file", user_version which version of these tables it has.
-- Numbers: a column of type REAL holds a finite number, or the text 'nan', 'inf' or '-inf' (SQLite
-- itself would turn NaN into NULL). Blobs are little-endian: i64, i32, u32 integers, f64, f32 IEEE
-- numbers, packed without padding; NaN and infinities in them are what was measured.
-- Times are ISO 8601 UTC, or seconds since 1970 where the name ends in _unix.
--
-- A row of telemetry is one update. It is written to live_row, and moved in blocks of 1024 into
-- axis_chunk and series_chunk in the transaction that deletes it from live_row: a reader finds it
-- in exactly one of the two. `seq` numbers the rows of a run from 1 and never repeats; `step` may
-- repeat in several segments (undo, resume). A sample's key is (series, segment, seq).

PRAGMA application_id = 0x42534350;  -- "BSCP"
PRAGMA user_version = 3;

-- What is known before the first step. One row.
CREATE TABLE run (
  one            INTEGER PRIMARY KEY CHECK (one = 1),
  id             TEXT NOT NULL,     -- 12 lower-case hexadecimal digits
  name           TEXT NOT NULL,
  spec_toml      TEXT NOT NULL,     -- canonical spec
  engine_version TEXT NOT NULL,
  host           TEXT NOT NULL,
  device         TEXT NOT NULL,
  threads        INTEGER NOT NULL,
  data_checksum  TEXT NOT NULL,
  modules        TEXT NOT NULL,     -- JSON array of names
  classes        TEXT NOT NULL,     -- JSON array of names, index 0 = label 1
  steps          INTEGER NOT NULL,  -- planned updates
  total_images   INTEGER NOT NULL,  -- planned pictures
  parent_run     TEXT NOT NULL,     -- forked from, or ''
  parent_step    INTEGER NOT NULL,
  started        TEXT NOT NULL
) STRICT;

-- What the writer said last. One row; whether it is still true is computed by the reader from the
-- run's lock, the process and the heartbeat.
CREATE TABLE state (
  one            INTEGER PRIMARY KEY CHECK (one = 1),
  state          TEXT NOT NULL,     -- the protocol's word: starting, running, ..., finished
  step           INTEGER NOT NULL,
  steps          INTEGER NOT NULL,
  images         INTEGER NOT NULL,
  optimizer      TEXT NOT NULL,
  agvm           INTEGER NOT NULL,  -- 0 or 1
  lr             ANY NOT NULL,      -- number (see above): the base rate
  micro          INTEGER NOT NULL,
  accumulation   INTEGER NOT NULL,
  ranks          INTEGER NOT NULL,
  phase          TEXT NOT NULL,
  pid            INTEGER NOT NULL,  -- of the writer
  pid_started    TEXT NOT NULL,     -- field 22 of /proc/PID/stat: tells a reused pid apart
  boot_id        TEXT NOT NULL,     -- /proc/sys/kernel/random/boot_id
  heartbeat_unix REAL NOT NULL,
  exit_code      INTEGER,           -- NULL while it runs
  finished       TEXT NOT NULL,     -- or ''
  lr_in_use      ANY NOT NULL,      -- number: what warm-up and decay make of lr; since version 3
  trouble        TEXT NOT NULL      -- what hinders the run, one sentence, or ''; since version 3
) STRICT;

-- The curves. id is the index that rows use.
CREATE TABLE series (
  id     INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE,
  unit   TEXT NOT NULL,
  module TEXT NOT NULL,
  help   TEXT NOT NULL
) STRICT;

-- Lines of steps without a jump: 0 starts the run, undo and resume open a new one.
CREATE TABLE segment (
  segment         INTEGER PRIMARY KEY,
  parent          INTEGER NOT NULL,  -- -1: none
  start_step      INTEGER NOT NULL,  -- its first row is start_step + 1
  abandoned_after INTEGER NOT NULL,  -- its rows with a greater step are abandoned; -1: none are
  reason          TEXT NOT NULL
) STRICT;

-- Newest rows, one per update.
CREATE TABLE live_row (
  seq     INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL,
  step    INTEGER NOT NULL,
  images  INTEGER NOT NULL,
  seconds ANY NOT NULL,     -- number (see above)
  samples BLOB NOT NULL     -- n x (u32 series, f64 value): what was measured, nothing else
) STRICT;

-- The axes of up to 1024 older rows; chunks are in seq order and do not overlap.
CREATE TABLE axis_chunk (
  first_seq INTEGER PRIMARY KEY,
  last_seq  INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  rows      BLOB NOT NULL   -- five columns of count: i64 seq, segment, step, images, f64 seconds
) STRICT;

-- Up to 1024 samples of one series in one segment, in seq order. Rows are only ever added to the
-- newest segment, so the chunks of a series follow each other in seq across segments too.
CREATE TABLE series_chunk (
  id        INTEGER PRIMARY KEY,
  series    INTEGER NOT NULL,
  segment   INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  nonfinite INTEGER NOT NULL,  -- how many of them are NaN or infinite
  min       ANY,               -- of the finite ones; NULL: there are none
  max       ANY,
  first     ANY NOT NULL,      -- number (see above)
  last      ANY NOT NULL,
  offsets   BLOB,              -- u32 seq - first_seq of each; NULL: first_seq, first_seq + 1, ...
  samples   BLOB NOT NULL      -- f64 x count
) STRICT;
CREATE UNIQUE INDEX series_chunk_key ON series_chunk (series, first_seq);

-- What happened, after which update, and who asked.
CREATE TABLE event (
  id      INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL,
  step    INTEGER NOT NULL,
  seq     INTEGER NOT NULL,   -- newest row at that time
  time    TEXT NOT NULL,
  kind    TEXT NOT NULL,      -- what it was, named in engine/contract/records.h
  source  TEXT NOT NULL,
  text    TEXT NOT NULL,
  args    TEXT NOT NULL       -- JSON object of strings
) STRICT;

CREATE TABLE eval (
  id           INTEGER PRIMARY KEY,
  segment      INTEGER NOT NULL,
  step         INTEGER NOT NULL,
  images       INTEGER NOT NULL,
  seconds      ANY NOT NULL,
  pictures     INTEGER NOT NULL,
  eval_seconds ANY NOT NULL
) STRICT;
CREATE TABLE eval_metric (
  eval  INTEGER NOT NULL REFERENCES eval (id),
  name  TEXT NOT NULL,
  value ANY NOT NULL,         -- number (see above)
  PRIMARY KEY (eval, name)
) STRICT, WITHOUT ROWID;

-- Fixed pictures, and what was predicted on them at each evaluation and once before the first. A run
-- that goes on with other pictures adds those that are new: an evaluation's pictures are those that
-- it has predictions of.
-- Boxes are n x (f32 x1, y1, x2, y2, i32 label, f32 score). Pixels (NULL: nothing known of them;
-- since version 2) are u32: count of masks, for each its count of run lengths and these (0, 1, 0, ...
-- down the columns of the picture), then label, length, ... of every pixel, row by row.
CREATE TABLE probe (
  probe  INTEGER PRIMARY KEY,
  name   TEXT NOT NULL,
  width  INTEGER NOT NULL,
  height INTEGER NOT NULL,
  png    BLOB NOT NULL,
  truth  BLOB NOT NULL,
  pixels BLOB
) STRICT;
CREATE TABLE prediction (
  segment INTEGER NOT NULL,
  step    INTEGER NOT NULL,
  probe   INTEGER NOT NULL,
  boxes   BLOB NOT NULL,
  pixels  BLOB,
  PRIMARY KEY (segment, step, probe)
) STRICT;

CREATE TABLE checkpoint (
  file    TEXT PRIMARY KEY,   -- relative to the run folder
  segment INTEGER NOT NULL,
  step    INTEGER NOT NULL,
  kind    TEXT NOT NULL,      -- checkpoint or restore_point
  bytes   INTEGER NOT NULL
) STRICT;
