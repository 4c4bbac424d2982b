"""The guestbook's back end."""

import os
import socket

from flask import Flask, jsonify, request

import database

app = Flask(__name__)

WHOAMI = {"release": os.environ.get("APP_VERSION", "?"), "replica": socket.gethostname()}


@app.after_request
def name_release(response):
    response.headers["X-Release"] = WHOAMI["release"]
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/api/health")
def health():
    database.query("SELECT 1")
    return jsonify(ok=True)


@app.get("/api/whoami")
def whoami():
    return jsonify(WHOAMI)


@app.get("/api/messages")
def messages():
    rows = database.query("SELECT id, author, text, at FROM messages ORDER BY id DESC LIMIT 50")
    return jsonify(
        messages=[{"id": i, "author": a, "text": t, "at": at.isoformat()} for i, a, t, at in rows],
        answered=WHOAMI,
    )


@app.post("/api/messages")
def leave():
    body = request.get_json(silent=True) or {}
    author, text = (str(body.get(k, "")).strip() for k in ("author", "text"))
    if not text:
        return jsonify(error="the message is empty"), 400
    if len(text) > 500 or len(author) > 50:
        return jsonify(error="a message has at most 500 characters, a name at most 50"), 400
    (number,) = database.query(
        "INSERT INTO messages (author, text) VALUES (%s, %s) RETURNING id", (author or "somebody", text)
    )[0]
    return jsonify(id=number, answered=WHOAMI), 201
