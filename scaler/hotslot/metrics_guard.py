"""What Prometheus must show to scrape the agent, and TLS: read once, when the agent starts."""

from __future__ import annotations

import hmac
import os
import ssl
import stat
from pathlib import Path

from hotslot.config import Agent
from hotslot.errors import ConfigError, Problem
from hotslot.routes import Handler, Request, Response, said

LEAST_TOKEN = 16
"""Characters of a token; `openssl rand -hex 32` makes 64."""

TOKEN_BYTES = 4096
KEY_BYTES = 64 * 1024


def guarded(
    app: Handler, agent: Agent, own_uid: int | None = None
) -> tuple[Handler, ssl.SSLContext | None]:
    """Return what asks for the token before it lets ``app`` answer, and how to serve it.

    ConfigError names files that cannot be used, that others can read, or that belong to neither
    root nor ``own_uid`` (None: this process's user).
    """
    own_uid = os.geteuid() if own_uid is None else own_uid
    problems: list[Problem] = []
    tls = None
    if agent.metrics_token_file is not None:
        try:
            app = asks_for(_token(agent.metrics_token_file, own_uid), app)
        except (OSError, ValueError) as error:
            problems.append(_problem("metrics_token_file", agent.metrics_token_file, error))
    if agent.metrics_tls_cert is not None and agent.metrics_tls_key is not None:
        try:
            _secret(agent.metrics_tls_key, KEY_BYTES, own_uid)
        except (OSError, ValueError) as error:
            problems.append(_problem("metrics_tls_key", agent.metrics_tls_key, error))
        else:
            try:
                tls = _tls(agent.metrics_tls_cert, agent.metrics_tls_key)
            except (OSError, ValueError) as error:
                problems.append(_problem("metrics_tls_cert", agent.metrics_tls_cert, error))
    if problems:
        raise ConfigError("configuration", problems)
    return app, tls


def asks_for(token: bytes, app: Handler) -> Handler:
    """Return what lets ``app`` answer who shows the token."""

    async def check(request: Request) -> Response:
        if not shows(request.headers.get("authorization", ""), token):
            wanted = ("WWW-Authenticate", 'Bearer realm="hotslot metrics"')
            return said(401, "a token is wanted\n", wanted)
        return await app(request)

    return check


def shows(header: str, token: bytes) -> bool:
    """Whether an Authorization header shows the token; takes as long wherever they differ."""
    scheme, _, value = header.partition(" ")
    right = hmac.compare_digest(value.strip().encode("utf-8", "surrogateescape"), token)
    return right and scheme.lower() == "bearer"


def _token(path: Path, own_uid: int) -> bytes:
    lines = _secret(path, TOKEN_BYTES, own_uid).split()
    if len(lines) != 1 or len(lines[0]) < LEAST_TOKEN:
        raise ValueError(
            f"has no token: one line of at least {LEAST_TOKEN} characters, "
            "such as openssl rand -hex 32 prints"
        )
    return lines[0]


def _secret(path: Path, most: int, own_uid: int) -> bytes:
    """Return what a file holds that others cannot read or write."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        has = os.fstat(file)
        if not stat.S_ISREG(has.st_mode):
            raise ValueError("is not a plain file")
        if has.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise ValueError(
                f"has mode {stat.S_IMODE(has.st_mode):04o}: others may read or change it; "
                f"chmod 0640 {path}"
            )
        if has.st_uid not in (0, own_uid):
            raise ValueError(f"belongs to uid {has.st_uid}, who could change it; chown root {path}")
        if has.st_size > most:
            raise ValueError(f"has more than {most:,} bytes")
        return os.read(file, most)
    finally:
        os.close(file)


def _tls(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(f"cannot be used with {key}: {error.reason or error}") from error
    return context


def _no_password() -> str:
    """An agent has nobody to ask; without this, OpenSSL asks the terminal."""
    raise ValueError("its key wants a password; keep one without, readable for hotslot only")


def _problem(key: str, path: Path, error: Exception) -> Problem:
    words = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    cannot = "cannot be read: " if isinstance(error, OSError) else ""
    return Problem(f"agent.{key}", f"{path} {cannot}{words}")
