"""What Prometheus scrapes: named by its conventions, bounded, and enough for the dashboard."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes.virtual_time import in_virtual_time
from hotslot.api import serve_hooks
from hotslot.errors import ConfigError
from hotslot.metrics import Metrics
from report.reported import HOSTILE, answer, event, lending_answer
from test_loop import World

DASHBOARD = Path(__file__).parents[1] / "packaging" / "grafana" / "hotslot.json"
NAME = re.compile(r"\b(?:hotslot|process)_[a-z0-9_]+")
LABELS = {"worker", "scheduler", "group", "direction", "result", "le", "host", "version", "policy"}


def scraped(metrics: Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return samples by name, as Prometheus reads them."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def of(found: dict[str, Any], name: str, **labels: str) -> float:
    """Return one sample's value."""
    (value,) = [value for has, value in found[name] if labels.items() <= has.items()]
    return float(value)


async def lived() -> Metrics:
    """An agent's metrics after a job of 20 s."""
    metrics = Metrics(answer)
    world = World()
    world.loop.on_event = metrics.changed
    world.load = 1.0
    await world.start(cpus=3)
    for _ in range(20):
        world.loop.cycle()
        metrics.cycled(world.loop, 0.002)
        metrics.cycled(world.loop, 0.002)  # nothing new was measured
        await asyncio.sleep(1)
    return metrics


@in_virtual_time
async def test_core_seconds_and_changes_are_counted_once() -> None:
    found = scraped(await lived())
    assert of(found, "hotslot_requested_core_seconds_total", worker="w1") == pytest.approx(
        57, abs=3
    )
    assert of(found, "hotslot_used_core_seconds_total", worker="w1") == pytest.approx(20, abs=2)
    held = of(found, "hotslot_held_core_seconds_total", worker="w1")
    assert 20 < held < 57
    assert of(found, "hotslot_changes_total", direction="up", result="applied") == 1
    assert of(found, "hotslot_changes_total", direction="down", result="applied") >= 1
    assert of(found, "hotslot_change_duration_seconds_count", direction="up") == 1
    assert of(found, "hotslot_cycle_duration_seconds_count") == 40


def test_the_ledger_is_scraped_and_adds_up() -> None:
    told = lending_answer()
    told["offers"]["problem"] = "slurm: no answer"
    told["agent"]["audit"] = {"waiting": 31, "lost": 2, "last_error": "No space left on device"}
    found = scraped(Metrics(lambda: told))
    host = {
        name: of(found, f"hotslot_host_{name}_vcpus")
        for name in ("granted", "owners", "borrowers", "grown", "idle", "lent", "kept")
    }
    assert host["granted"] == sum(host[name] for name in ("owners", "borrowers", "grown", "idle"))
    assert (host["granted"], host["lent"], host["kept"]) == (11, 4, 2)
    assert of(found, "hotslot_group_offered_cpus", scheduler="slurm", group="n1") == 0
    assert of(found, "hotslot_worker_borrows", worker="n1-w3") == 1
    assert of(found, "hotslot_worker_target_vcpus", worker="n1-w3") == 3
    assert of(found, "hotslot_forecast_exceeded_total") == 3
    assert of(found, "hotslot_forecast_spans_total") == 120
    assert of(found, "hotslot_offers_stuck") == 1
    audit = [of(found, f"hotslot_audit_{name}") for name in ("up", "waiting", "lost_total")]
    assert audit == [0, 31, 2]
    assert of(scraped(Metrics(answer)), "hotslot_offers_stuck") == 0


def test_every_figure_of_the_ledger_can_be_scraped() -> None:
    found = scraped(Metrics(answer))
    told = {key for key in answer()["ledger"] if key.endswith("_vcpus")}
    known = {name.removeprefix("hotslot_host_") for name in found}
    assert told - known == {"taken_vcpus", "over_vcpus"}, "sums and differences of the others"


def test_the_status_is_read_at_each_scrape() -> None:
    found = scraped(Metrics(answer))
    assert of(found, "hotslot_worker_granted_vcpus", worker="n1-w1") == 4
    assert of(found, "hotslot_worker_up", worker="n1-w3") == 0
    assert of(found, "hotslot_worker_requested_vcpus", worker="n1-w2") == 0
    assert of(found, "hotslot_scheduler_up", scheduler="slurm") == 1
    assert of(found, "hotslot_scheduler_waiting_jobs", scheduler="slurm") == 3
    assert of(found, "hotslot_group_limit_cpus", group="n1") == 12
    assert of(found, "hotslot_record_behind_seconds") == 0.4
    assert of(found, "hotslot_audit_up") == 1
    assert of(found, "hotslot_agent_info", host="n1", policy="window") == 1


@in_virtual_time
async def test_every_metric_the_dashboard_asks_for_is_there() -> None:
    metrics = await lived()
    known = scraped(metrics).keys()
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in NAME.findall(target["expr"])
    }
    asked |= {name for one in dashboard["templating"]["list"]
              for name in NAME.findall(one.get("definition", ""))}  # fmt: skip
    assert len(asked) > 15
    assert asked <= known
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


@in_virtual_time
async def test_labels_are_bounded_and_tell_of_no_job_and_no_user() -> None:
    metrics = await lived()
    found = scraped(metrics)
    labels = {label for samples in found.values() for has, _ in samples for label in has}
    assert labels <= LABELS
    text = metrics.text().decode()
    for secret in ("alice", "train", "job="):
        assert secret not in text


@in_virtual_time
async def test_names_follow_prometheus_conventions() -> None:
    metrics = await lived()
    for family in text_string_to_metric_families(metrics.text().decode()):
        assert family.documentation, family.name
        assert re.fullmatch(r"(hotslot|process|python)_[a-z0-9_]+", family.name)
        assert not re.search(r"(_ms|_minutes|_hours|_percent|_mib)(_|$)", family.name)
        if family.type == "counter":
            assert all(one.name.endswith("_total") for one in family.samples if
                       not one.name.endswith("_created"))  # fmt: skip


def test_a_hostile_name_of_a_group_stays_one_label() -> None:
    told = answer()
    told["offers"]["groups"][0]["group"] = HOSTILE + '"} 1\nhotslot_host_cores 99\n'
    found = scraped(Metrics(lambda: told))
    assert of(found, "hotslot_host_cores") == 16
    (labels, _) = found["hotslot_group_used_cpus"][0]
    assert labels["group"].startswith(HOSTILE)


async def test_it_is_served_as_prometheus_asks_for_it_and_nothing_else() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metrics = Metrics(answer)
    metrics.changed(event(1.0, (2, 4)))
    served = await serve_hooks(metrics.app(), f"127.0.0.1:{port}", "agent.metrics_listen")
    try:

        def get() -> tuple[str, str]:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return answer.headers["Content-Type"], answer.read().decode()

        kind, text = await asyncio.to_thread(get)
        assert kind.startswith("text/plain; version=")
        assert "hotslot_changes_total" in text
        with pytest.raises(ConfigError, match=r"agent\.metrics_listen"):
            await serve_hooks(metrics.app(), f"127.0.0.1:{port}", "agent.metrics_listen")
    finally:
        await served.close()


def test_it_makes_the_agent_at_most_three_megabytes_larger() -> None:
    code = (
        "import sys, hotslot.api, hotslot.loop, hotslot.wiring\n"
        "def rss():\n"
        "    return int(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])\n"
        "before = rss(); import hotslot.metrics; print(rss() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * 1024
