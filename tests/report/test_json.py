"""The JSON of a command keeps its keys, and they name their units."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hotslot.report.as_json import detail_json, jobs_json
from hotslot.report.efficiency import Job
from hotslot.report.job import EventParts, event_parts
from report.reported import decision_of, event, hostile_job, one_job, part, some_jobs

Golden = Callable[[str, object], None]


def test_the_keys_stay_as_they_are(golden: Golden) -> None:
    golden("jobs.json", jobs_json(some_jobs()))
    detail = detail_json(one_job())
    detail["parts"][0]["samples"] = detail["parts"][0]["samples"][:2]
    golden("job.json", detail)


def test_every_number_names_its_unit() -> None:
    units = re.compile(r".*_(s|at|core_s|cores|vcpus|samples)$|^efficiency_of_\w+$")
    exempt = {"lease", "run", "at", *("applied", "refused", "timed_out", "failed", "vm_gone")}
    for key, value in flat(detail_json(one_job())):
        if isinstance(value, int | float):
            assert units.match(key) or key in exempt, key


def test_hostile_text_survives_json() -> None:
    told = detail_json(hostile_job())
    assert json.loads(json.dumps(told)) == told


def test_an_efficiency_without_denominator_is_null() -> None:
    (told,) = jobs_json([Job((part(),))])
    assert told["efficiency_of_request"] is None


def test_the_parts_of_an_event_add_up_to_the_docstring() -> None:
    one = event(11.2, (2, 4), online_s=1.1)
    found = event_parts(one, [decision_of(one)])
    assert found.detect_s == pytest.approx(1.0)
    assert found.wait_s == pytest.approx(0.2)
    assert (found.plug_s, found.online_s) == (0.4, 1.1)


def test_without_its_decision_detection_is_all_until_the_attempt() -> None:
    other = decision_of(event(5.0, (2, 4)))
    found = event_parts(event(11.2, (2, 4)), [other])
    assert found.detect_s == pytest.approx(1.2)
    assert found.wait_s is None


def test_an_event_that_nothing_detected_has_no_detection() -> None:
    told = replace(event(1.0, (4, 2)), detected_at=None)
    assert event_parts(told) == EventParts(None, None, 0.4, None)


def flat(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from flat(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from flat(inner)
