"""Whatever comes from a file, the environment or the network: it is checked, or it is refused."""

from __future__ import annotations

import math
import platform
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hotslot_plugin import hook

HEAD = st.sampled_from([b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 ", b"HTTP/1.0 404\r\n", b""])


@given(HEAD, st.binary(max_size=300))
def test_any_bytes_are_an_answer_in_plain_words(head: bytes, rest: bytes) -> None:
    status, words = hook.parse_answer(head + rest)
    assert 0 <= status <= 9999
    assert len(words) <= 200
    assert all(" " <= c <= "~" for c in words)


@given(st.integers(), st.text(max_size=100))
def test_any_answer_starts_the_job_or_fails_or_is_asked_again(status: int, words: str) -> None:
    decided = hook.verdict(hook.Conf("a", 1, 60.0, ""), "w1", status, words)
    assert decided is None or decided[0] in (0, 1)
    if decided is not None:
        assert status in (200, 404, 409, 410, 421)


@given(st.text(max_size=200) | st.text(alphabet="agent_wait_snode=:[]. 019#\n", max_size=60))
def test_any_configuration_is_whole_or_refused(text: str) -> None:
    try:
        conf = hook.parse_conf(text, "hook.conf")
    except ValueError as error:
        assert str(error).startswith("hook.conf")
        assert "\n" not in str(error)
        return
    assert 1 <= conf.port <= 65535
    assert 1 <= conf.wait_s <= 3600
    assert math.isfinite(conf.wait_s)
    assert set(conf.address) <= hook.NAME | set("[]:")


@given(
    st.dictionaries(st.sampled_from([b"SLURM_JOB_ID", b"SLURMD_NODENAME"]), st.binary(max_size=30))
)
def test_any_environment_makes_a_harmless_request_or_is_refused(
    environment: dict[bytes, bytes],
) -> None:
    conf = hook.Conf("agent", 80, 60.0, "")
    try:
        job, worker = hook.job_and_worker(environment, conf)
    except ValueError as error:
        assert str(error).isascii()
        assert "\n" not in str(error)
        return
    head, _, body = hook.request("start", job, worker, conf.address).partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == 4
    assert body == f"event=start&job={job}&worker={worker}".encode()
    assert b"Content-Length: %d" % len(body) in head


ODD = st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
AD_LINES = st.lists(
    st.sampled_from([b'GlobalJobId = "', b'Args = "', b"ap1#1.0#2", b"@", b"#", b'"', b"\n"]) | ODD
).map(b"".join)


@given(AD_LINES)
def test_any_job_ad_makes_a_harmless_request_or_is_refused(ad: bytes) -> None:
    conf = hook.Conf("agent", 80, 60.0, "c1")
    try:
        job, worker = hook.condor_job_and_worker(ad, conf)
    except ValueError as error:
        assert str(error).isascii()
        assert "\n" not in str(error)
        return
    assert re.fullmatch(r"[0-9]{1,10}\.[0-9]{1,9}@[A-Za-z0-9._@-]{1,253}", job)
    head, _, body = hook.request("start", job, worker, conf.address).partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == 4
    assert body == f"event=start&job={job}&worker=c1".encode()


def test_a_schedd_may_have_a_name_of_its_own_on_its_host() -> None:
    conf = hook.Conf("agent", 80, 60.0, "c1")
    ad = b'GlobalJobId = "second@ap-1.site_x#7.12#1795254337"\n'
    assert hook.condor_job_and_worker(ad, conf) == ("7.12@second@ap-1.site_x", "c1")


def test_a_worker_without_a_name_in_hook_conf_has_its_machines() -> None:
    conf = hook.Conf("agent", 80, 60.0, "")
    job, worker = hook.condor_job_and_worker(b'GlobalJobId = "ap#7.0#1"\n', conf)
    assert (job, worker) == ("7.0@ap", platform.node())


def test_the_shipped_configuration_is_valid_and_names_the_defaults() -> None:
    text = (Path(__file__).resolve().parents[2] / "config/slurm/hook.conf").read_text()
    shipped = hook.parse_conf(text, "hook.conf")
    assert (shipped.address, shipped.wait_s, shipped.node) == ("192.168.56.1:8765", 60.0, "")
    spelled_out = hook.parse_conf(text.replace("\n#agent_wait_s", "\nagent_wait_s"), "hook.conf")
    assert spelled_out.wait_s == shipped.wait_s
