"""Metrics with a token and TLS: over real sockets, and only with files that others cannot read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.api import serve_hooks
from hotslot.config import Agent, parse
from hotslot.doors import Bounds
from hotslot.errors import ConfigError
from hotslot.metrics import Metrics
from hotslot.metrics_guard import guarded, shows
from report.reported import answer
from test_config import LEAST

TOKEN = "0123456789abcdef0123456789abcdef"
LISTEN = "127.0.0.1:9"


def private(path: Path, text: str, mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    key.chmod(0o640)
    return cert, key


@asynccontextmanager
async def scraped(agent: Agent, bounds: Bounds | None = None) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    app, tls = guarded(Metrics(answer).app(), agent)
    served = await serve_hooks(app, where, "agent.metrics_listen", tls=tls, bounds=bounds)
    try:
        yield where
    finally:
        await served.close()


async def got(url: str, header: str | None = None, cert: Path | None = None) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        head = {} if header is None else {"Authorization": header}
        context = None if cert is None else ssl.create_default_context(cafile=str(cert))
        try:
            with urlopen(Request(url, headers=head), timeout=5, context=context) as said:
                return said.status, said.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.headers["WWW-Authenticate"] or ""

    return await asyncio.to_thread(get)


async def test_only_who_shows_the_token_is_answered(tmp_path: Path) -> None:
    agent = Agent(
        metrics_listen=LISTEN, metrics_token_file=private(tmp_path / "token", f"{TOKEN}\n")
    )
    async with scraped(agent) as where:
        url = f"http://{where}/metrics"
        status, text = await got(url, f"Bearer {TOKEN}")
        assert (status, "hotslot_host_cores" in text) == (200, True)
        assert (await got(url, f"bearer  {TOKEN}"))[0] == 200, "as RFC 6750 and 9110 have it"
        for wrong in (None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN,
                      f"Basic {TOKEN}", f"Bearer {TOKEN} {TOKEN}", "Bearer \xe9"):  # fmt: skip
            status, text = await got(url, wrong)
            assert (status, "Bearer" in text) == (401, True), wrong
        assert (await got(f"http://{where}/nothing"))[0] == 401, "nor what there is"


async def test_it_is_served_by_tls_and_not_otherwise(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    agent = Agent(
        metrics_listen=LISTEN,
        metrics_token_file=private(tmp_path / "token", TOKEN),
        metrics_tls_cert=cert,
        metrics_tls_key=key,
    )
    async with scraped(agent) as where:
        assert (await got(f"https://{where}/metrics", f"Bearer {TOKEN}", cert))[0] == 200
        assert (await got(f"https://{where}/metrics", None, cert))[0] == 401
        with pytest.raises((OSError, URLError)):
            await got(f"http://{where}/metrics", f"Bearer {TOKEN}")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        host, port = where.split(":")
        with pytest.raises((OSError, ssl.SSLError)):
            await asyncio.open_connection(host, int(port), ssl=old)


async def test_who_does_not_shake_hands_holds_no_slot(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    agent = Agent(metrics_listen=LISTEN, metrics_tls_cert=cert, metrics_tls_key=key)
    async with scraped(agent, Bounds(each=3, head_s=1.0)) as where:
        host, port = where.split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        over, writer = await asyncio.open_connection(host, int(port))
        held[0][1].write(b"\x16\x03\x01")
        held[1][1].write(b"GET /metrics HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(0.3):
            assert await over.read() == b""
        await asyncio.sleep(1.5)
        assert (await got(f"https://{where}/metrics", None, cert))[0] == 200
        for one in (writer, *(one for _, one in held)):
            one.close()
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()


def refused(agent: Agent) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        guarded(Metrics(answer).app(), agent)
    return {problem.where: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (TOKEN, 0o644, "others may read or change it; chmod 0640"),
        (TOKEN, 0o642, "others may read or change it"),
        (TOKEN, 0o660, "others may read or change it"),
        ("", 0o600, "has no token"),
        ("short", 0o600, "at least 16"),
        (f"{TOKEN}\n{TOKEN}\n", 0o600, "one line"),
        ("x" * 5000, 0o600, "more than 4,096 bytes"),
    ],
)
def test_a_token_that_others_know_is_refused(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    path = private(tmp_path / "token", text, mode)
    found = refused(Agent(metrics_listen=LISTEN, metrics_token_file=path))
    assert words in found["agent.metrics_token_file"]
    assert TOKEN not in str(found)


def test_files_that_are_not_there_are_named_all_at_once(tmp_path: Path) -> None:
    agent = Agent(
        metrics_listen=LISTEN,
        metrics_token_file=tmp_path / "none",
        metrics_tls_cert=tmp_path / "cert",
        metrics_tls_key=tmp_path,
    )
    found = refused(agent)
    assert "cannot be read: No such file" in found["agent.metrics_token_file"]
    assert "is not a plain file" in found["agent.metrics_tls_key"]


def test_a_key_of_others_or_for_another_certificate_is_refused(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    open_key = private(tmp_path / "key", key.read_text(), 0o644)
    found = refused(Agent(metrics_listen=LISTEN, metrics_tls_cert=cert, metrics_tls_key=open_key))
    assert "others may read" in found["agent.metrics_tls_key"]
    junk = private(tmp_path / "junk", "no key")
    found = refused(Agent(metrics_listen=LISTEN, metrics_tls_cert=cert, metrics_tls_key=junk))
    assert "cannot be used with" in found["agent.metrics_tls_cert"]


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    locked = private(tmp_path / "locked", "")
    subprocess.run(["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:hunter2",
                    "-out", locked], check=True, capture_output=True, timeout=30)  # fmt: skip
    found = refused(Agent(metrics_listen=LISTEN, metrics_tls_cert=cert, metrics_tls_key=locked))
    assert "wants a password" in found["agent.metrics_tls_cert"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_token_that_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "token", TOKEN)
    os.chown(path, 1234, -1)
    found = refused(Agent(metrics_listen=LISTEN, metrics_token_file=path))
    assert "belongs to uid 1234" in found["agent.metrics_token_file"]
    guarded(Metrics(answer).app(), Agent(metrics_listen=LISTEN, metrics_token_file=path), 1234)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("metrics_listen: '127.0.0.1:9', metrics_tls_cert: /c", "one is missing"),
        ("metrics_token_file: /t", "need metrics_listen"),
    ],
)
def test_settings_that_would_guard_nothing_are_refused(settings: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(f"{LEAST}\nagent: {{{settings}}}")


@given(st.binary(max_size=80), st.binary(min_size=16, max_size=80))
def test_no_header_but_the_right_one_is_right(raw: bytes, token: bytes) -> None:
    header = raw.decode("utf-8", "surrogateescape")
    scheme, _, value = header.partition(" ")
    right = scheme.lower() == "bearer" and value.strip().encode(errors="surrogateescape") == token
    assert shows(header, token) == right
    assert shows(f"Bearer {TOKEN}", TOKEN.encode())
