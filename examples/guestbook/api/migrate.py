"""Brings the tables to the newest version. It runs once per release, before any replica changes."""

import database

# Each step runs once, in this order. A step that has run is never edited: add another one.
STEPS = [
    """CREATE TABLE messages (
           id bigserial PRIMARY KEY,
           author text NOT NULL,
           text text NOT NULL,
           at timestamptz NOT NULL DEFAULT now())""",
]

conn = database.connect(patience=30)
with conn, conn.cursor() as cur:
    cur.execute("SELECT pg_advisory_xact_lock(1)")
    cur.execute("CREATE TABLE IF NOT EXISTS migrations (step int PRIMARY KEY)")
    cur.execute("SELECT coalesce(max(step), 0) FROM migrations")
    (done,) = cur.fetchone()
    for step, sql in enumerate(STEPS[done:], start=done + 1):
        print("step", step)
        cur.execute(sql)
        cur.execute("INSERT INTO migrations VALUES (%s)", (step,))
print("the tables are at step", len(STEPS))
