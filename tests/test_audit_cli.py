"""``hotslot audit`` as people and programs call it, and what the agent and commands put into it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from fakes.virtual_time import in_virtual_time
from hotslot.audit.chain import Draft, Kind
from hotslot.audit.files import all_of
from hotslot.audit.pump import AuditLog
from hotslot.audit.verify import entries
from hotslot.audit.writing import AuditFile, Keep
from hotslot.audited import caller, kept, say, watch
from hotslot.cli import cli
from hotslot.config import load
from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.model import Event
from test_cli import home  # noqa: F401 (a fixture)
from test_loop import World

SECRET = "Pl4nted-password"


def run(home: Path, *arguments: str) -> Result:  # noqa: F811
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        cli, ["-c", str(home / "hotslot.yaml"), *arguments]
    )


def log_of(home: Path) -> Path:  # noqa: F811
    return home / "audit.log"


@pytest.fixture
def written(home: Path) -> Path:  # noqa: F811
    file = AuditFile(log_of(home), Keep(file_bytes=1500))
    for number in range(8):
        what = {"worker": f"w{number % 2}", "from_vcpus": 4, "got_vcpus": 2, "job": str(number),
                "user": "alice"}  # fmt: skip
        file.append([Draft(1000.0 + number, Kind.VCPUS, "hotslotd", what, "it \x1b[31midles")])
    return home


def test_a_log_that_is_whole_is_exit_0_with_its_head(written: Path) -> None:
    done = run(written, "audit", "verify")
    assert done.exit_code == 0, done.output
    assert "whole" in done.output
    head = run(written, "audit", "head").output.strip()
    assert head in done.output
    assert run(written, "audit", "verify", "--head", head).exit_code == 0
    found = json.loads(run(written, "audit", "verify", "--json").output)
    assert (found["broken"], found["head"], found["wrong"]) == (None, head, [])
    assert found["files"] > 1


def test_the_first_broken_line_is_named_and_exit_1(written: Path) -> None:
    first = all_of(log_of(written))[0]
    text = first.read_bytes().replace(b'"job":"1"', b'"job":"7"')
    first.write_bytes(text)
    done = run(written, "audit", "verify")
    assert done.exit_code == 1
    assert "audit.log.1, line 3" in " ".join(done.output.split())
    assert "its hash differs" in " ".join(done.output.split())
    found = json.loads(run(written, "audit", "verify", "--json").output)
    assert found["broken"]["where"].endswith("audit.log.1, line 3")


def test_files_that_are_named_are_put_in_order(written: Path) -> None:
    files = [str(one) for one in reversed(all_of(log_of(written)))]
    assert run(written, "audit", "verify", *files).exit_code == 0
    assert run(written, "audit", "verify", files[0]).exit_code == 0, "a part is whole, too"


def test_files_that_are_gone_and_heads_that_were_cut_off_are_exit_1(written: Path) -> None:
    head = run(written, "audit", "head").output.strip()
    last = all_of(log_of(written))[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(written, "audit", "verify").exit_code == 0, "cut off at the end: only a head tells"
    done = run(written, "audit", "verify", "--head", head)
    assert done.exit_code == 1
    assert "cut off" in done.output
    all_of(log_of(written))[0].unlink()
    assert "are gone" in run(written, "audit", "verify").output


def test_changes_are_shown_by_worker_job_and_time(written: Path) -> None:
    shown = run(written, "audit", "show", "--since", "1970-01-01").output
    assert "w1: 4 → 2 vCPUs (job 1 of alice)" in " ".join(shown.split())
    assert "\x1b" not in shown, "what a job's owner wrote is shown as it is"
    for arguments, count in ((("--worker", "w1"), 4), (("--job", "3"), 1), (("--kind", "vcpus"), 8),
                             (("--kind", "prune"), 0), (("--limit", "2"), 2)):  # fmt: skip
        done = run(written, "audit", "show", "--since", "1970-01-01", "--json", *arguments)
        assert len(json.loads(done.output)) == count, arguments
    assert "alice" not in run(written, "audit").output, "the last day's"


def test_no_log_is_one_sentence(home: Path) -> None:  # noqa: F811
    for command in ("verify", "show", "head"):
        done = run(home, "audit", command)
        assert done.exit_code == 1
        assert "there is no audit log" in done.output
    config = yaml.safe_load((home / "hotslot.yaml").read_text()) | {"audit": {"enabled": False}}
    (home / "hotslot.yaml").write_text(yaml.safe_dump(config))
    assert "audit.enabled is false" in run(home, "audit", "head").output
    assert run(home, "prune").exit_code == 0
    assert not log_of(home).exists()


def test_a_prune_is_in_the_log_with_who_did_it(home: Path) -> None:  # noqa: F811
    assert run(home, "prune", "--dry-run").exit_code == 0
    assert not log_of(home).exists(), "looking is no change"
    assert run(home, "prune", "--keep", "30d").exit_code == 0
    begun, ended = (line for line in entries([log_of(home)]) if line.kind == "prune")
    assert begun.who == ended.who == caller()
    assert f"(uid {os.getuid()})" in begun.who or begun.who.startswith("uid ")
    assert (begun.what["begins"], ended.what["leases"]) == (True, 1)


def test_a_log_that_cannot_be_written_stops_no_prune(home: Path) -> None:  # noqa: F811
    log_of(home).symlink_to(home / "elsewhere")
    done = run(home, "prune")
    assert done.exit_code == 0
    assert "not in the audit log" in done.output
    assert not (home / "elsewhere").exists()


def test_the_agents_start_settings_and_end_are_in_the_log_without_secrets(
    home: Path,  # noqa: F811
) -> None:
    config = yaml.safe_load((home / "hotslot.yaml").read_text())
    config["driver"]["password"] = SECRET
    (home / "hotslot.yaml").write_text(yaml.safe_dump(config))
    loaded = load(home / "hotslot.yaml")
    with kept(loaded) as audit:
        assert audit is not None
    with pytest.raises(ValueError, match="bug"), kept(loaded):
        raise ValueError("a bug")
    lines = [line for line in entries([log_of(home)]) if line.kind != "file"]
    assert [line.kind for line in lines] == ["start", "stop", "start", "stop"]
    assert [line.why for line in lines[1::2]] == ["stopped", "ended by ValueError: a bug"]
    assert lines[0].what["settings"]["workers"][0]["ceiling"] == 4
    assert SECRET not in log_of(home).read_text()
    assert say(loaded, Kind.PRUNE, {}, "") == ""


@in_virtual_time
async def test_the_loop_tells_of_its_changes_beside_whom_it_told_before(tmp_path: Path) -> None:
    world, before = World(), list[Event]()
    world.loop.on_event = before.append
    audit = AuditLog(AuditFile(tmp_path / "audit.log"))
    watch(audit, world.loop, [])
    world.load = 1.0
    await world.start(cpus=3)
    for _ in range(20):
        world.loop.cycle()
        await asyncio.sleep(1)
    assert audit.state.waiting == len(before) >= 2
    audit.turn()
    lines = [line for line in entries([tmp_path / "audit.log"]) if line.kind == "vcpus"]
    assert [line.what["got_vcpus"] for line in lines] == [one.got_vcpus for one in before]
    assert [line.why for line in lines] == [one.reason for one in before]
    assert lines[0].what["user"] == "alice"


async def test_a_desk_tells_of_what_it_has_told_the_scheduler() -> None:
    told: list[tuple[object, ...]] = []

    class Scheduler:
        name = "slurm"

        def offer(self, limits: object) -> None:
            if limits == {"n1": 0}:
                raise SchedulerError("no")

        def resume(self, worker: str) -> None: ...
        def close(self) -> None: ...

    desk = Desk(Scheduler(), ["w1"], gap_s=0)  # type: ignore[arg-type]
    desk.on_offer = lambda *words: told.append(words)
    desk.on_resume = lambda *words: told.append(words)
    await desk.offer({"n1": 4})
    with pytest.raises(SchedulerError):
        await desk.offer({"n1": 0})
    await desk.resume("w1", "drained")
    assert told == [({"n1": 4}, ""), ({"n1": 0}, "no"), ("w1", "drained", "")]
    await asyncio.sleep(0)
    await desk.close()


def test_check_looks_at_the_log_and_at_who_may_ask(home: Path) -> None:  # noqa: F811
    log_of(home).symlink_to(home / "elsewhere")
    (home / "token").write_text("0123456789abcdef")
    (home / "token").chmod(0o644)
    config = yaml.safe_load((home / "hotslot.yaml").read_text())
    config["agent"] |= {"socket_admin_group": "no-such-group", "metrics_listen": "10.0.0.1:9",
                        "metrics_token_file": str(home / "token")}  # fmt: skip
    (home / "hotslot.yaml").write_text(yaml.safe_dump(config))
    found = {one["subject"]: one for one in json.loads(run(home, "check", "--json").output)}
    levels = {subject: one["level"] for subject, one in found.items()}
    assert levels["audit.file"] == levels["agent.socket_admin_group"] == "wrong"
    assert "others may read" in found["agent.metrics_token_file"]["found"]
    assert levels["agent.metrics_tls_cert"] == "warn"
