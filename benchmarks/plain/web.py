"""The web application: gunicorn 'benchmarks.plain.web:app'."""

from __future__ import annotations

import hashlib
import os
import secrets
import time

import bcrypt
from flask import Flask, abort, g, jsonify, request, send_file
from flask_limiter import Limiter
from sqlalchemy import func, select
from werkzeug.utils import secure_filename

from benchmarks.plain.models import FOLDER, File, LoginSession, Session, User
from benchmarks.plain.tasks import process

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 50 * 1024 * 1024 + 100_000
SESSION_SECONDS = 24 * 3600


def _whose() -> str:
    return g.user.id if "user" in g else request.remote_addr or ""


@app.before_request
def sign_in() -> None:
    g.session = Session()
    if request.endpoint == "login":
        return
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    found = g.session.get(LoginSession, hashlib.sha256(token.encode()).hexdigest())
    if found is None or found.expires_at < time.time():
        abort(401)
    g.user = found.user


# After the above, whose user it counts.
limiter = Limiter(
    _whose,
    app=app,
    storage_uri=os.environ["CACHE_URL"],
    default_limits=["1000000 per minute"],
    headers_enabled=True,
)


@app.teardown_request
def close(_error) -> None:
    session = g.pop("session", None)
    if session is not None:
        session.close()


@app.errorhandler(Exception)
def tell(error):
    status = getattr(error, "code", 500)
    return jsonify(error=str(error)), status if isinstance(status, int) else 500


@app.post("/auth/login")
def login():
    sent = request.get_json()
    user = g.session.scalar(select(User).where(User.username == sent["username"]))
    if user is None or not bcrypt.checkpw(sent["password"].encode(), user.password_hash.encode()):
        abort(401)
    token = secrets.token_urlsafe(32)
    g.session.add(
        LoginSession(
            token_hash=hashlib.sha256(token.encode()).hexdigest(),
            user_id=user.id,
            expires_at=time.time() + SESSION_SECONDS,
        )
    )
    g.session.commit()
    answer = jsonify(success=True)
    answer.set_cookie("session", token, httponly=True, samesite="Lax")
    return answer


@app.get("/auth/me")
def me():
    user = g.user
    return jsonify(user={"id": user.id, "username": user.username, "organization_id": user.organization_id})


@app.post("/files")
def upload():
    sent = request.files["file"]
    file = File(
        organization_id=g.user.organization_id,
        uploaded_by_id=g.user.id,
        filename=secure_filename(sent.filename or "") or "unnamed",
        file_size=0,
        declared_type=sent.mimetype,
    )
    g.session.add(file)
    g.session.flush()
    target = FOLDER / "incoming" / file.id
    sent.save(target)
    file.file_size = target.stat().st_size
    g.session.commit()
    process.delay(file.id)
    return jsonify(file.to_json()), 201


@app.get("/files")
def list_files():
    limit = min(request.args.get("limit", 20, int), 100)
    offset = request.args.get("offset", 0, int)
    own = File.organization_id == g.user.organization_id
    newest = select(File).where(own).order_by(File.created_at.desc(), File.id.desc()).limit(limit).offset(offset)
    return jsonify(
        files=[file.to_json() for file in g.session.scalars(newest)],
        total=g.session.scalar(select(func.count()).select_from(File).where(own)),
        limit=limit,
        offset=offset,
    )


def _own(file_id: str) -> File:
    found = g.session.get(File, file_id)
    if found is None or found.organization_id != g.user.organization_id:
        abort(404)
    return found


@app.get("/files/<file_id>")
def details(file_id: str):
    file = _own(file_id)
    by = file.uploaded_by
    return jsonify({**file.to_json(), "uploaded_by": {"id": by.id, "username": by.username}})


@app.get("/files/<file_id>/content")
def content(file_id: str):
    file = _own(file_id)
    if file.status != "completed":
        abort(409)
    place = FOLDER / "files" / file.organization_id / file.id
    return send_file(place, mimetype=file.mime_type, as_attachment=True, download_name=file.filename)
