"""Figures in a job's ad: each agent's own, repeatable, whatever the user wrote there."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from builders import run_summary
from hotslot_plugin.condor_runs import (
    RUNS,
    RUNS_MAX,
    Run,
    attributes,
    merged,
    run_of,
    runs_in,
    wrong,
)

ONE = Run(0, "c1", 4, 260.0, 150.0, 3.9, 2, over=True)


def plain(run: Run) -> dict[str, object]:
    """Return an entry as the bindings' process tells it."""
    names = ("Run", "Worker", "Requested", "Held", "Used", "Peak", "Events", "Over")
    values = (run.run, run.worker, run.requested, run.held, run.used, run.peak, run.events)
    return dict(zip(names, (*values, run.over), strict=True))


def test_the_worked_example() -> None:
    other = replace(ONE, run=1, worker="c2", requested=2, held=40.5, peak=1.0, over=False)
    told = attributes([ONE, other])
    assert told == {
        RUNS: '{ [ Run = 0; Worker = "c1"; Requested = 4; Held = 260.000; Used = 150.000; '
        "Peak = 3.900; Events = 2; Over = true ], "
        '[ Run = 1; Worker = "c2"; Requested = 2; Held = 40.500; Used = 150.000; '
        "Peak = 1.000; Events = 2; Over = false ] }",
        "HotslotRequestedCpus": "4",
        "HotslotHeldCoreSeconds": "300.500",
        "HotslotUsedCoreSeconds": "300.000",
        "HotslotPeakCpus": "3.900",
        "HotslotEvents": "4",
    }


def test_an_agent_replaces_its_own_entry_and_keeps_the_others() -> None:
    other = replace(ONE, worker="c2", run=1)
    newer = replace(ONE, held=270.0)
    assert merged([ONE, other], [newer]) == [newer, other]
    assert merged([newer, other], [newer]) == [newer, other]


def test_what_a_summary_says_is_in_its_entry() -> None:
    run = run_of(run_summary(held=260.00049))
    assert (run.held, run.used, run.peak, run.events, run.requested) == (260.0, 150, 3.9, 2, 4)


def test_the_oldest_runs_are_folded_and_nothing_is_lost() -> None:
    runs: list[Run] = []
    for number in range(3 * RUNS_MAX):
        runs = merged(runs, [replace(ONE, run=number)])
    assert len(runs) == RUNS_MAX
    assert runs[0].worker == ""
    assert attributes(runs)["HotslotHeldCoreSeconds"] == f"{260 * 3 * RUNS_MAX:.3f}"
    again = merged(runs, [replace(ONE, run=3)])
    assert again == runs, "a run that was folded is not counted twice"


def test_an_ad_that_is_as_it_should_be_is_left_alone() -> None:
    ad: dict[str, object] = {
        name: float(v) for name, v in attributes([ONE]).items() if name != RUNS
    }
    ad[RUNS] = [plain(ONE)]
    assert wrong(ad, runs_in(ad)) == []
    assert wrong({**ad, "HotslotEvents": "many"}, [ONE]) == ["HotslotEvents"]
    assert wrong({**ad, RUNS: [plain(ONE), 5]}, [ONE]) == [RUNS]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
ENTRY = st.fixed_dictionaries(
    {name: JSON | st.integers(0, 9) for name in plain(ONE)}
    | {"Worker": st.sampled_from(["c1", "", 'x" ]']) | JSON, "Over": st.booleans() | JSON}
)


@given(st.lists(ENTRY | JSON, max_size=3) | JSON)
@example([plain(ONE) | {"Worker": "", "Run": 9}])
def test_forged_figures_never_become_an_expression(forged: object) -> None:
    runs = merged(runs_in({RUNS: forged}), [ONE])
    told = attributes(runs)
    assert ONE in runs
    inside = told[RUNS]
    assert inside.isascii()
    assert inside.count('"') == 2 * len(runs)
    assert inside.count("[") == inside.count("]") == len(runs)
    for name, value in told.items():
        assert name == RUNS or float(value) >= 0
