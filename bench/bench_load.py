"""256 workers of 16 vCPUs on one host, 50 job starts a second, and reports, all at once.

The limits are those that the roadmap states. How long things take here depends on what else runs
on this machine: a bare sleeper beside the agent says how late any beat would be. So a limit that is
missed is told; exits 1 only when jobs that started were not answered.
"""

from __future__ import annotations

import argparse
import sys

from load import Found, Load, part, run

CPU_MS, LATE_MS, RSS_MB = 100.0, 200.0, 60.0


def table(found: Found) -> str:
    """Lay out what was measured, with the limits."""
    cpu = [one.cpu_s * 1e3 for one in found.cycles]
    wall = [one.wall_s * 1e3 for one in found.cycles]
    late = [one.late_s * 1e3 for one in found.cycles]
    alone = [one * 1e3 for one in found.sleeper_s]
    answer = [one * 1e3 for one in found.answer_s]
    seconds, used = found.span_s, found.usage
    answers = ", ".join(f"{count} x {code}" for code, count in sorted(found.answers.items()))
    rows = [
        ("", "median", "p99", "most", "limit"),
        ("CPU of a cycle, ms", *_three(cpu), f"{CPU_MS:g}"),
        ("wall of a cycle, ms", *_three(wall), ""),
        ("a cycle is late by, ms", *_three(late), f"{LATE_MS:g}"),
        ("a bare sleeper is late by, ms", *_three(alone), ""),
        ("a start is answered in, ms", *_three(answer), ""),
    ]
    lines = [f"{name:<32}{a:>9}{b:>9}{c:>9}{d:>9}" for name, a, b, c, d in rows]
    lines += [
        f"memory {found.rss_mb[0]:.1f} -> {found.rss_mb[1]:.1f} MB (limit {RSS_MB:g}), of which "
        f"{found.own_mb:.1f} are no pages of files; "
        f"descriptors {found.descriptors[0]} -> {found.descriptors[1]}",
        f"a second of the agent: loop {used.loop_s / seconds * 1e3:.0f} ms of CPU, other threads "
        f"{used.others_s / seconds * 1e3:.0f} ms; the loop waited for a core "
        f"{used.loop_waited_s / seconds * 1e3:.0f} ms",
        f"{len(found.cycles)} cycles in {seconds:.0f} s; answers to starts: {answers}; "
        f"{found.reports} reports; load average {found.machine_load:.1f}",
    ]
    return "\n".join(lines)


def _three(values: list[float]) -> tuple[str, str, str]:
    return tuple(f"{part(values, share):.1f}" for share in (0.5, 0.99, 1.0))  # type: ignore[return-value]


def shortfalls(found: Found) -> list[str]:
    """Say which limit was missed."""
    missed = []
    if part([one.cpu_s * 1e3 for one in found.cycles], 0.5) > CPU_MS:
        missed.append(f"a cycle takes more than {CPU_MS:g} ms of CPU")
    if part([one.late_s * 1e3 for one in found.cycles], 1.0) > LATE_MS:
        missed.append(f"a cycle was later than {LATE_MS:g} ms")
    if found.rss_mb[1] > RSS_MB:
        missed.append(f"more than {RSS_MB:g} MB")
    return missed


def main() -> int:
    """Measure and print; exit 1 when not all starts were answered."""
    plain = Load()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=plain.workers)
    parser.add_argument("--awake", type=int, default=plain.awake, help="of 16 vCPUs, each second")
    parser.add_argument("--starts", type=float, default=plain.starts_per_s, help="a second")
    parser.add_argument("--seconds", type=float, default=plain.measured_s)
    parser.add_argument("--warm", type=float, default=plain.warm_s, help="seconds before them")
    given = parser.parse_args()
    found = run(
        Load(
            workers=given.workers,
            steady=given.workers // 2,
            awake=given.awake,
            starts_per_s=given.starts,
            life_s=given.workers / 2 / given.starts * 0.8,
            measured_s=given.seconds,
            warm_s=given.warm,
        )
    )
    print(table(found))
    missed = shortfalls(found)
    print("\n".join(f"MISSED: {one}" for one in missed) or "within its limits")
    return int(set(found.answers) != {200})


if __name__ == "__main__":
    sys.exit(main())
