"""The fake pyslurm, and what the adapter asks of the real one, are compared with its sources.

pyslurm builds only beside a Slurm of its own version, so its sdist is read, not installed: pip
downloads it once into the cache.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from fakes import fake_pyslurm
from hotslot_plugin.slurm_child import JOB_FIELDS, NODE_FIELDS
from testbed.cache import cache_dir

SDIST = "pyslurm-25.11.2"
SHA256 = "6e0e4bc639ea3177591b102b77c1dd8df55a9e411ac42ef339a4adb3908cca34"

PROPERTIES = {
    "id": "return self.ptr.job_id",
    "state": "slurm_job_state_string(self.ptr.job_state)",
    "requeue_count": "u16_parse(self.ptr.restart_cnt, on_noval=0)",
    "allocated_nodes": "cstr.to_unicode(self.ptr.nodes)",
    "cpus": "u32_parse(self.ptr.num_cpus, on_noval=1)",
    "array_id": "u32_parse(self.ptr.array_job_id)",
    "array_task_id": "u32_parse(self.ptr.array_task_id)",
    "heterogeneous_id": "u32_parse(self.ptr.het_job_id, noval=0)",
    "start_time": "_raw_time(self.ptr.start_time)",
    "end_time": "_raw_time(self.ptr.end_time)",
    "time_limit": "_raw_time(self.ptr.time_limit)",
    "run_time": "self._calc_run_time()",
    "comment": "cstr.to_unicode(self.ptr.comment)",
    "priority": "u32_parse(self.ptr.priority, zero_is_noval=False)",
    "deadline": "_raw_time(self.ptr.deadline)",
    "is_requeueable": "u16_parse_bool(self.ptr.requeue)",
    "is_batch_job": "u16_parse_bool(self.ptr.batch_flag)",
}
"""Bodies of properties of Job from which the adapter infers more than they say."""


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The sdist's Python and Cython files, by their path below its top."""
    path = cache_dir() / f"{SDIST}.tar.gz"
    if not path.exists():
        _download(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is not the sdist"
    with tarfile.open(path) as archive:
        return {
            member.name.removeprefix(f"{SDIST}/"): _text(archive, member)
            for member in archive
            if member.isfile() and member.name.endswith((".py", ".pyx", ".pxd"))
        }


def _download(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ["--no-deps", "--no-binary", ":all:", "--dest", str(path.parent)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", *words]
    requirement = SDIST.replace("-", "==")
    done = subprocess.run([*pip, requirement], check=False, capture_output=True, text=True)
    if not path.exists():
        pytest.skip(f"pip cannot get {requirement}: {done.stderr.strip()[-200:]}")


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return "" if file is None else file.read().decode()


def body(source: str, name: str) -> str:
    """Return the body of a class in a .pyx file."""
    match = re.search(rf"^(?:cdef )?class {name}\b.*:\n((?:[ \t#].*\n|\n)*)", source, re.MULTILINE)
    assert match is not None, f"no class {name}"
    return match[1]


def properties(text: str) -> dict[str, str]:
    """Return the properties of a class's body, with what they do."""
    pattern = r"    @property\n    def (\w+)\(self\):\n((?:        .*\n|\n)*)"
    return {match[1]: match[2] for match in re.finditer(pattern, text)}


def static_methods(text: str) -> dict[str, str]:
    """Return the parameters of the static methods that Python sees."""
    return dict(re.findall(r"    @staticmethod\n    def (\w+)\((.*)\):", text))


@pytest.fixture(scope="module")
def job(sources: dict[str, str]) -> str:
    return body(sources["pyslurm/core/job/job.pyx"], "Job")


def test_every_property_that_is_asked_for_exists(sources: dict[str, str], job: str) -> None:
    node = body(sources["pyslurm/core/node.pyx"], "Node")
    assert set(JOB_FIELDS) <= set(properties(job))
    assert set(NODE_FIELDS) <= set(properties(node))


def test_the_fake_has_exactly_what_is_asked_for() -> None:
    for cls, fields in ((fake_pyslurm.Job, JOB_FIELDS), (fake_pyslurm.Node, NODE_FIELDS)):
        own = {name for name, value in vars(cls).items() if isinstance(value, property)}
        assert own == set(fields)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("pyslurm/core/job/job.pyx", "Jobs"),
        ("pyslurm/core/job/job.pyx", "Job"),
        ("pyslurm/core/node.pyx", "Nodes"),
        ("pyslurm/core/node.pyx", "Node"),
    ],
)
def test_things_are_loaded_with_the_same_parameters(
    sources: dict[str, str], file: str, name: str
) -> None:
    real = static_methods(body(sources[file], name))["load"]
    fake = inspect.signature(getattr(fake_pyslurm, name).load)
    assert [p.replace(" ", "") for p in real.split(",") if p] == [
        p.name if p.default is p.empty else f"{p.name}={p.default}"
        for p in fake.parameters.values()
    ]


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_a_property_does_what_the_adapter_builds_on(job: str, name: str) -> None:
    assert PROPERTIES[name] in properties(job)[name]


def test_zero_is_told_as_none_and_a_waiting_job_has_run_for_no_time(
    sources: dict[str, str], job: str
) -> None:
    assert (
        "u32_parse(uint32_t val, on_inf=UNLIMITED, on_noval=None,"
        in sources["pyslurm/utils/uint.pyx"]
    )
    assert re.search(r"u32_parse\(.*zero_is_noval=True\)", sources["pyslurm/utils/uint.pyx"])
    assert re.search(r"IS_JOB_PENDING\(self\.ptr\) or not .*:\n\s+return 0", job)
    assert "on_noval=0)" in job.partition("cdef _calc_run_time")[2].partition("@property")[0]


def test_one_job_is_the_first_of_the_records_that_came(job: str) -> None:
    assert "slurm_load_job(&info, job_id, slurm.SHOW_DETAIL)" in job
    assert "Job.from_ptr(&info.job_array[0])" in job


def test_the_layout_has_the_cpus_of_each_node_as_cores(sources: dict[str, str], job: str) -> None:
    assert "def get_resource_layout_per_node(self):" in job
    assert re.findall(r'"(\w+)": +\w', job.partition("output[nodename] =")[2])[:3] == [
        "cpu_ids",
        "gres",
        "memory",
    ]
    threads = sources["pyslurm/core/job/job.pyx"].partition("cdef _threads_per_core")[2]
    assert "return 1" in threads


def test_everything_is_where_the_child_looks_for_it(sources: dict[str, str]) -> None:
    exported = sources["pyslurm/__init__.py"]
    for name in ("Job", "Jobs", "Node", "Nodes", "RPCError", "__version__"):
        assert re.search(rf"^\s*(from \S+ import )?(\w+, )*{name}\b", exported, re.MULTILINE), name
    errors = sources["pyslurm/core/error.pyx"]
    assert "def __init__(self, errno=slurm.SLURM_ERROR, msg=None):" in errors
    assert "class RPCError(PyslurmError):" in errors
    collections = body(sources["pyslurm/xcollections.pyx"], "MultiClusterMap")
    assert "    def values(self):" in collections
    for file, name in (("core/job/job.pyx", "Jobs"), ("core/node.pyx", "Nodes")):
        assert f"cdef class {name}(MultiClusterMap):" in sources[f"pyslurm/{file}"]


def test_the_version_is_the_sdists(sources: dict[str, str]) -> None:
    assert f'__version__ = "{fake_pyslurm.__version__}"' in sources["pyslurm/version.py"]
