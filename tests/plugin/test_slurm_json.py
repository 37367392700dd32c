"""Reading squeue's and scontrol's JSON: every shape that is known, and none that is hostile."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import JobPhase, NodeCondition, Placement
from hotslot_plugin import slurm_json
from hotslot_plugin.slurm_document import Part, parse
from hotslot_plugin.slurm_job import placements
from plugin.replay import SCENES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = """
    allocated_nodes allocation array_job_id cores count cpus exit_code infinite job_id
    job_resources job_state jobs last_update list name nodes number reason reason_changed_at
    restart_cnt set sockets start_time state state_reason time_limit
"""
KEYS = st.sampled_from(NAMES.split())
LIKELY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["w[1-3]", "RUNNING", "COMPLETING", "w1", "DRAIN", "a[1-9999999]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


def recorded(scene: str, command: str) -> Any:
    """Return the answer of a command of a scene, by its file's name."""
    [path] = (SCENES / scene).glob(f"{command}.json")
    return json.loads(path.read_text())["stdout"]


def told(document: object) -> list[Placement]:
    """Return all that a document says of jobs."""
    jobs = slurm_json.jobs(parse(json.dumps(document)))
    return [placement for job in jobs for placement in placements(job)]


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


RUNNING = recorded("running", "squeue-local-json-nodelist=w1,w2,w3")
TWO = recorded("completing", "squeue-local-json-states=*")
NODES = recorded("drained", "scontrol-show-node-*")


@given(JSON | LIKELY)
@settings(max_examples=120)
def test_any_json_is_placements_or_an_error(document: object) -> None:
    try:
        found = told(document)
    except SchedulerError:
        return
    assert all(isinstance(p, Placement) and 1 <= p.cpus <= 65_536 for p in found)


@given(JSON | LIKELY)
def test_any_json_is_conditions_or_an_error(document: object) -> None:
    try:
        found = slurm_json.conditions(parse(json.dumps(document)))
    except SchedulerError:
        return
    assert all(isinstance(c, NodeCondition) for c in found)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_a_document_or_an_error(text: bytes | str) -> None:
    try:
        parse(text)
    except SchedulerError:
        return


@given(st.sampled_from([RUNNING, TWO]), st.data(), JSON)
@settings(max_examples=120)
def test_a_real_answer_with_one_part_replaced_is_placements_or_an_error(
    answer: Any, data: st.DataObject, replacement: object
) -> None:
    document = copy.deepcopy(answer)
    *way, last = data.draw(st.sampled_from(_places(document)))
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = replacement
    try:
        told(document)
    except SchedulerError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 500


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 10_000, '{"a": NaN}', ""])
def test_a_document_made_to_hurt_is_refused(text: str) -> None:
    with pytest.raises(SchedulerError, match="Slurm's answer"):
        parse(text)


def job(**fields: object) -> dict[str, object]:
    """A document with one running job, changed."""
    plain = {"job_id": 7, "job_state": ["RUNNING"], "nodes": "w1", "cpus": 4}
    return {"jobs": [{**plain, **fields}], "last_update": 1}


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"job_id": "7"}, r"jobs\[0\]\.job_id is not a whole number \(is '7'\)"),
        ({"job_id": 0}, r"jobs\[0\]\.job_id is not a job's number"),
        ({"job_id": True}, r"jobs\[0\]\.job_id"),
        ({"job_state": [5]}, r"jobs\[0\]\.job_state\[0\] is not text"),
        ({"job_state": ["DANCING"]}, "job 7 has a state that hotslot does not know: DANCING"),
        ({"job_state": []}, r"does not know: \(empty\)"),
        ({"nodes": "w[1-999999]"}, r"jobs\[0\]\.nodes is not a list of nodes"),
        ({"nodes": ["w1"]}, r"jobs\[0\]\.nodes is not text"),
        ({"cpus": 70_000}, r"jobs\[0\]\.cpus is above 65536"),
        ({"cpus": 1.5}, r"jobs\[0\]\.cpus is not a whole number"),
        ({"cpus": {"set": True, "number": -4}}, r"jobs\[0\]\.cpus is not a whole number"),
        ({"start_time": 1e300}, r"jobs\[0\]\.start_time is not a whole number"),
        (
            {"job_resources": {"nodes": {"allocation": [{"name": "../w1"}]}}},
            r"jobs\[0\]\.job_resources\.nodes\.allocation\[0\]\.name is not a node's name",
        ),
        (
            {
                "job_resources": {
                    "nodes": {"allocation": [{"name": "w1", "cpus": {"count": 10**9}}]}
                }
            },
            r"allocation\[0\]\.cpus\.count is above 65536",
        ),
    ],
)
def test_an_error_names_the_place_in_the_answer(fields: dict[str, object], where: str) -> None:
    with pytest.raises(SchedulerError, match=where):
        told(job(**fields))


@pytest.mark.parametrize("document", [{}, {"jobs": None}, {"jobs": {}}, {"errors": []}])
def test_an_answer_without_jobs_is_no_empty_answer(document: object) -> None:
    with pytest.raises(SchedulerError, match="jobs is not a list"):
        told(document)


def test_an_empty_answer_without_a_date_is_a_controller_that_is_away() -> None:
    """What scontrol of 24.11 prints, with exit status 0, when slurmctld is down."""
    unset = {"set": True, "infinite": False, "number": 0}
    with pytest.raises(SchedulerUnavailable, match="did not answer"):
        told({"jobs": [], "last_update": unset, "errors": []})


def _of_a_newer_slurm(value: object) -> object:
    """The same answer with what no version had before, everywhere."""
    if isinstance(value, dict):
        known = {key: _of_a_newer_slurm(inner) for key, inner in value.items()}
        return {"a_newer_field": {"set": True, "number": 7}, **known, "another": [None, "x"]}
    if isinstance(value, list):
        return [_of_a_newer_slurm(inner) for inner in value]
    return value


@pytest.mark.parametrize("answer", [RUNNING, TWO])
def test_a_slurm_upgraded_between_two_calls_says_the_same(answer: Any) -> None:
    newer = _of_a_newer_slurm(answer)
    assert isinstance(newer, dict)
    newer["meta"] = {"plugin": {"data_parser": "data_parser/v9.9.9"}, "slurm": {"release": "99"}}
    assert told(answer)
    assert told(newer) == told(answer)


def test_numbers_may_be_plain_or_have_a_set() -> None:
    plain, structured = (
        job(cpus=4, time_limit=10),
        job(
            cpus={"set": True, "infinite": False, "number": 4},
            time_limit={"set": True, "infinite": False, "number": 10},
        ),
    )
    assert told(plain) == told(structured)


@pytest.mark.parametrize(
    "limit", [None, {"set": True, "infinite": True, "number": 0}, {"set": False, "number": 5}]
)
def test_a_job_without_a_limit_has_none(limit: object) -> None:
    assert told(job(time_limit=limit))[0].time_limit_s is None


def test_states_may_be_a_list_or_text() -> None:
    assert told(job(job_state="RUNNING"))[0].phase is JobPhase.RUNNING


def test_the_allocation_of_data_parser_40_is_counted_in_cores() -> None:
    """As scontrol of 24.11 prints it with --json=v0.0.40, for 8 CPUs on cores of 2 threads."""
    cores = {"0": {"cores": {"0": "allocated", "1": "allocated"}}}
    nodes = [{"nodename": n, "sockets": cores, "cpus_used": 0} for n in ("w1", "w2")]
    found = told(job(nodes="w[1-2]", cpus=8, job_resources={"allocated_nodes": nodes}))
    assert [(p.worker, p.cpus) for p in found] == [("w1", 4), ("w2", 4)]


@pytest.mark.parametrize("resources", [None, {}, {"nodes": None}, {"nodes": "w[1-2]"}])
def test_without_an_allocation_the_cpus_are_split_evenly(resources: object) -> None:
    found = told(job(nodes="w[1-2]", cpus=5, job_resources=resources))
    assert [(p.worker, p.cpus) for p in found] == [("w1", 3), ("w2", 2)]


def test_a_name_that_is_no_utf8_hides_no_job() -> None:
    raw = b'{"jobs": [{"name": "caf\xe9"}, {"name": "\xff\x80"}, {"name": "train"}]}'
    found = [one["name"].text() for one in parse(raw)["jobs"].items()]
    assert found == ["caf\ufffd", "\ufffd\ufffd", "train"]


def test_text_is_made_harmless() -> None:
    [one] = told(job(name="a\x1b[31m\n" + "x" * 1000, user_name="al\u202eice"))
    assert one.name.startswith("a [31m x")
    assert len(one.name) <= 255
    assert one.user == "al ice"


@pytest.mark.parametrize(
    ("words", "reason", "phase"),
    [
        (["RUNNING"], "None", JobPhase.RUNNING),
        (["RUNNING"], "Prolog", JobPhase.STARTING),
        (["RUNNING", "CONFIGURING"], "None", JobPhase.STARTING),
        (["RUNNING", "RESIZING"], "None", JobPhase.RUNNING),
        (["RUNNING", "STOPPED"], "None", JobPhase.SUSPENDED),
        (["SUSPENDED"], "None", JobPhase.SUSPENDED),
        (["COMPLETED", "COMPLETING"], "None", JobPhase.ENDING),
        (["CANCELLED", "COMPLETING"], "Prolog", JobPhase.ENDING),
        (["OUT_OF_MEMORY"], "None", JobPhase.ENDED),
        (["PENDING", "SPECIAL_EXIT"], "None", JobPhase.PENDING),
        (["REQUEUE_HOLD"], "None", JobPhase.PENDING),
    ],
)
def test_state_words_say_where_a_job_is(words: list[str], reason: str, phase: JobPhase) -> None:
    assert told(job(job_state=words, state_reason=reason))[0].phase is phase


def test_a_drained_node_is_told_from_one_that_is_down() -> None:
    by_name = {c.worker: c for c in slurm_json.conditions(parse(json.dumps(NODES)))}
    assert [name for name, c in by_name.items() if c.drained] == ["w2"]
    down = copy.deepcopy(NODES["nodes"][0]) | {"state": "DOWN+NOT_RESPONDING"}
    [condition] = slurm_json.conditions(Part({"nodes": [down]}, ""))
    assert (condition.down, condition.drained, condition.state) == (
        True,
        False,
        "DOWN+NOT_RESPONDING",
    )


def number(value: int) -> dict[str, object]:
    return {"set": True, "infinite": False, "number": value}


def test_a_jobs_standing_is_read_in_every_shape() -> None:
    [new] = told(job(priority=number(4_294_901_757), deadline=number(1_795_300_000), requeue=True))
    assert (new.priority, new.deadline_at, new.may_requeue) == (4_294_901_757, 1_795_300_000, False)
    [old] = told(job(priority=7, deadline=0, requeue=True, batch_flag=True))
    assert (old.priority, old.deadline_at, old.may_requeue) == (7, None, True)
    [none] = told(job())
    assert (none.priority, none.deadline_at, none.may_requeue, none.asked) == (
        None,
        None,
        False,
        "",
    )


def test_a_comment_may_be_long_and_is_never_a_reason_to_fail() -> None:
    [long] = told(job(comment="x" * 600 + " hotslot:min=4"))
    assert long.asked == "min=4"
    for odd in (5, ["hotslot:min=4"], {"job": "hotslot:min=4"}, True):
        assert [one.asked for one in told(job(comment=odd))] == [""]
