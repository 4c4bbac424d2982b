"""The connection to PostgreSQL: one per thread, opened when it is first needed and again when it has broken."""

import os
import threading
import time

import psycopg2

_local = threading.local()


def connect(patience=10.0):
    """Connect, trying again for so many seconds: the database may be between two replicas."""
    with open("/run/secrets/db_password", encoding="utf-8") as f:
        password = f.read().strip()
    until = time.monotonic() + patience
    while True:
        try:
            return psycopg2.connect(
                host=os.environ.get("DB_HOST", "db"),
                user="guestbook",
                dbname="guestbook",
                password=password,
                connect_timeout=3,
            )
        except psycopg2.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def query(sql, args=()):
    """Run one statement in a transaction of its own and return its rows."""
    for attempt in (1, 2):
        conn = getattr(_local, "conn", None)
        if conn is None or conn.closed:
            conn = _local.conn = connect()
        try:
            with conn, conn.cursor() as cur:
                cur.execute(sql, args)
                return cur.fetchall() if cur.description else []
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            conn.close()
            if attempt == 2:
                raise
