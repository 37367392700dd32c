"""What Prometheus may scrape from the agent: text at ``GET /metrics`` of an address of its own.

Labels have bounded sets of values: workers, schedulers, groups, kinds of results, directions;
never jobs or users. Amounts are totals in base units, so that ``rate()`` of core-seconds is cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from hotslot.loop import Loop
from hotslot.model import Event, ResultKind, Sample
from hotslot.routes import App, Request, Response

CYCLE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
CHANGE_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)

_WORKER = (
    ("granted_vcpus", "vCPUs plugged into the worker"),
    ("floor_vcpus", "The least that it is granted"),
    ("ceiling_vcpus", "The most that it is granted"),
    ("used_cores", "Cores that it kept busy in the last interval"),
    ("waited_cores", "Cores that were ready to run and had no core of the host"),
    ("wish_vcpus", "What its policy would give it"),
    ("target_vcpus", "What it is to have after all workers were looked at"),
)
"""Gauges of a worker, named as in ``GET /v1/status``."""

_GROUP = (
    ("used_cpus", "CPUs of the jobs that the scheduler has in the group"),
    ("limit_cpus", "CPUs that it may have there"),
    ("promised_cpus", "CPUs that are promised to it"),
)


_LEDGER = (
    ("capacity_vcpus", "vCPUs that may be granted in all"),
    ("requested_vcpus", "vCPUs that running jobs asked for"),
    ("granted_vcpus", "vCPUs plugged into workers: owners' + borrowers' + grown + idle"),
    ("owners_vcpus", "What jobs that own their requests have of them"),
    ("borrowers_vcpus", "What jobs that borrow have of their requests"),
    ("grown_vcpus", "What jobs have beyond their requests"),
    ("idle_vcpus", "What workers without a job have"),
    ("returned_vcpus", "What jobs that own their requests do not have of them"),
    ("unfilled_vcpus", "What jobs that borrow do not have of their requests"),
    ("reserved_vcpus", "Free, but wanted by jobs or kept for them"),
    ("headroom_vcpus", "Free, and may be lent"),
    ("lent_vcpus", "What borrowers run on that owners gave back"),
)
"""Gauges of the host, named as in ``ledger`` of ``GET /v1/status``."""


class Metrics:
    """Counts while the agent runs; the rest is read from its status when somebody scrapes."""

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._seen: dict[str, Sample] = {}
        self._series: dict[tuple[str, str], Counter] = {}
        self._cycle_s = Histogram(
            "hotslot_cycle_duration_seconds",
            "Time of a cycle: measure, decide, act, record",
            buckets=CYCLE_S,
            registry=registry,
        )
        self._changes = Counter(
            "hotslot_changes",
            "Attempts to change a worker's vCPUs, by direction and how they ended",
            ("worker", "direction", "result"),
            registry=registry,
        )
        self._change_s = Histogram(
            "hotslot_change_duration_seconds",
            "Time of an attempt that was applied, until its size had been read back",
            ("direction",),
            buckets=CHANGE_S,
            registry=registry,
        )
        self._core_s = {
            name: Counter(
                f"hotslot_{name}_core_seconds",
                words,
                ("worker",),
                registry=registry,
            )
            for name, words in (
                ("requested", "Requests of the worker's jobs x time"),
                ("held", "vCPUs granted to the worker while it had a job, x time"),
                ("idle", "vCPUs granted to the worker while it had none, x time"),
                ("used", "Cores kept busy x time, with and without a job"),
                ("waited", "Cores ready to run without a core of the host, x time"),
            )
        }
        registry.register(_Status(status))
        ProcessCollector(registry=registry)

    def cycled(self, loop: Loop, took_s: float) -> None:
        """Count what a cycle took and measured."""
        self._cycle_s.observe(took_s)
        for track in loop.tracks.values():
            last = track.last
            if last is None or self._seen.get(track.name) is last:
                continue
            self._seen[track.name] = last
            lease = loop.book.on(track.name)
            self._measured(track.name, last, lease.request if lease else None)

    def _measured(self, worker: str, last: Sample, request: int | None) -> None:
        granted = last.held_cores * last.interval_s
        self._add(worker, "held", 0.0 if request is None else granted)
        self._add(worker, "idle", granted if request is None else 0.0)
        self._add(worker, "requested", (request or 0) * last.interval_s)
        self._add(worker, "used", last.used_cores * last.interval_s)
        self._add(worker, "waited", last.waited_cores * last.interval_s)

    def _add(self, worker: str, name: str, core_s: float) -> None:
        series = self._series.get((worker, name))
        if series is None:  # looking a label up costs more than counting
            series = self._series[worker, name] = self._core_s[name].labels(worker)
        series.inc(max(0.0, core_s))

    def changed(self, event: Event) -> None:
        """Count an attempt that has ended."""
        direction = "up" if event.to_vcpus > event.from_vcpus else "down"
        kind = event.result.kind
        self._changes.labels(event.worker, direction, kind.value.replace(" ", "_")).inc()
        if kind is ResultKind.APPLIED:
            self._change_s.labels(direction).observe(event.took_s)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def app(self) -> App:
        """Return the application that Prometheus scrapes."""

        async def show(_: Request) -> Response:
            return Response(200, self.text(), (("Content-Type", CONTENT_TYPE_LATEST),))

        app = App()
        app.add("GET", "/metrics", show)
        return app


class _Status(Collector):
    """Reads the agent's status, once a scrape."""

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Nothing is read before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the agent, its host, workers, schedulers and record."""
        status = self._status()
        yield from _agent(status)
        yield from _ledger(status["ledger"])
        yield from _workers(status["workers"])
        yield from _schedulers(status)
        yield from _record(status["agent"]["record"])
        if (audit := status["agent"].get("audit")) is not None:
            yield from _audit(audit)


def _agent(status: Mapping[str, Any]) -> Iterator[Metric]:
    names = {name: str(status[name]) for name in ("host", "version", "policy")}
    yield InfoMetricFamily("hotslot_agent", "The agent and what it decides by", value=names)
    yield GaugeMetricFamily(
        "hotslot_agent_start_time_seconds",
        "When the agent started, s since the epoch",
        value=status["agent"]["started_at"],
    )
    yield GaugeMetricFamily("hotslot_host_cores", "Cores of the host", value=status["cores"])


def _ledger(ledger: Mapping[str, Any]) -> Iterator[Metric]:
    for key, words in _LEDGER:
        yield GaugeMetricFamily(f"hotslot_host_{key}", words, value=ledger[key])
    forecast = ledger["forecast"]
    yield GaugeMetricFamily(
        "hotslot_host_kept_vcpus",
        "vCPUs that jobs may want back within the horizon",
        value=forecast["kept_vcpus"],
    )
    yield CounterMetricFamily(
        "hotslot_forecast_spans",
        "Horizons that were foretold and are over",
        value=forecast["spans"],
    )
    yield CounterMetricFamily(
        "hotslot_forecast_exceeded",
        "Those in which jobs took back more than was kept",
        value=forecast["exceeded_spans"],
    )
    offered = GaugeMetricFamily(
        "hotslot_group_offered_cpus",
        "CPUs that the scheduler may still fill there",
        labels=["scheduler", "group"],
    )
    for one in ledger["offers"]:
        offered.add_metric([one["scheduler"], one["group"]], one["cpus"])
    yield offered


def _workers(workers: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    known = list(workers)
    up = GaugeMetricFamily("hotslot_worker_up", "1: the VM runs and is measured", labels=["worker"])
    leased = GaugeMetricFamily("hotslot_worker_leased", "1: it has a job", labels=["worker"])
    borrows = GaugeMetricFamily(
        "hotslot_worker_borrows", "1: its job would not run without lending", labels=["worker"]
    )
    requested = GaugeMetricFamily(
        "hotslot_worker_requested_vcpus", "CPUs that its job asked for, 0: none", labels=["worker"]
    )
    for one in known:
        name = [one["worker"]]
        up.add_metric(name, float(one["up"]))
        leased.add_metric(name, float(one["lease"] is not None))
        borrows.add_metric(name, float(one["borrows"]))
        requested.add_metric(name, float(one["requested_vcpus"] or 0))
    yield from (up, leased, borrows, requested)
    for key, words in _WORKER:
        gauge = GaugeMetricFamily(f"hotslot_worker_{key}", words, labels=["worker"])
        for one in known:
            if one[key] is not None:
                gauge.add_metric([one["worker"]], float(one[key]))
        yield gauge


def _schedulers(status: Mapping[str, Any]) -> Iterator[Metric]:
    up = GaugeMetricFamily("hotslot_scheduler_up", "1: it answers", labels=["scheduler"])
    calls = CounterMetricFamily("hotslot_scheduler_calls", "Calls to it", labels=["scheduler"])
    unwritten = GaugeMetricFamily(
        "hotslot_scheduler_unwritten_jobs",
        "Ended jobs whose figures it has not got yet",
        labels=["scheduler"],
    )
    for one in status["agent"]["schedulers"]:
        name = [one["name"]]
        up.add_metric(name, float(one["silent_since"] is None))
        calls.add_metric(name, one["calls"])
        unwritten.add_metric(name, one.get("not_written_back", 0))
    waiting = GaugeMetricFamily(
        "hotslot_scheduler_waiting_jobs", "Jobs that wait for CPUs", labels=["scheduler"]
    )
    for name, count in status["offers"]["waiting_jobs"].items():
        waiting.add_metric([name], count)
    yield from (up, calls, unwritten, waiting)
    yield GaugeMetricFamily(
        "hotslot_offers_stuck",
        "1: offers do not move, for a reason that hotslot status tells",
        value=float(status["offers"]["problem"] is not None),
    )
    for key, words in _GROUP:
        gauge = GaugeMetricFamily(f"hotslot_group_{key}", words, labels=["scheduler", "group"])
        for one in status["offers"]["groups"]:
            gauge.add_metric([one["scheduler"], one["group"]], one[key])
        yield gauge


def _record(record: Mapping[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "hotslot_record_up", "1: the record is written", value=float(record["condition"] == "ok")
    )
    yield GaugeMetricFamily(
        "hotslot_record_behind_seconds", "Age of what is not written", value=record["behind_s"]
    )
    yield GaugeMetricFamily(
        "hotslot_record_waiting", "Records that wait to be written", value=record["waiting_records"]
    )
    yield CounterMetricFamily(
        "hotslot_record_lost_samples", "Samples that were dropped", value=record["lost_samples"]
    )
    yield CounterMetricFamily(
        "hotslot_record_refused", "Records that were refused", value=record["refused_records"]
    )


def _audit(audit: Mapping[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "hotslot_audit_up", "1: the audit log is written", value=float(not audit["last_error"])
    )
    yield GaugeMetricFamily(
        "hotslot_audit_waiting", "Entries that wait to be written", value=audit["waiting"]
    )
    yield CounterMetricFamily(
        "hotslot_audit_lost", "Entries that could not be kept", value=audit["lost"]
    )
