"""``hotslot workers``: the list, and making, keeping and removing the VMs behind it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import click

from hotslot.config import Config, load
from hotslot.errors import AgentUnreachable, HotslotError
from hotslot.options import Memory, Name
from hotslot.terminal import as_json, console, fail, print_json, progress, say


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def workers(context: click.Context, json_: bool) -> None:
    """List the workers of this host; make, start, stop, repair or remove their VMs.

    Without a command: their bounds, and whether their VMs are up, as the agent sees it.

    \b
    Examples:
      hotslot workers
      hotslot workers --json
      hotslot workers add w1 --template debian13 --vcpus 16 --memory 32G
      hotslot workers start w1
    """
    if context.invoked_subcommand is not None:
        if json_:
            raise click.UsageError(f"--json goes behind {context.invoked_subcommand}", context)
        return
    from hotslot.client import ask
    from hotslot.report.status import Status, workers_table

    answer = ask(load(context.obj).agent.socket, "/v1/status")
    if json_:
        print_json(answer["workers"])
    else:
        console().print(workers_table(Status.of(answer)))


@workers.command()
@as_json
@click.argument("name", type=Name(new=True))
@click.option("--template", required=True, type=Name(), metavar="VM",
              help="The VM to clone: switched off, never started.")  # fmt: skip
@click.option("--vcpus", type=click.IntRange(2, 33), default=16, show_default=True,
              help="The most that it can have; it starts with one.")  # fmt: skip
@click.option("--memory", type=Memory(), default="32G", show_default=True, metavar="SIZE",
              help="Its memory: 32G, 4096M.")  # fmt: skip
@click.option("--network", default="", metavar="NAME",
              help="A host-only network; default: the one there is, or a new one.")  # fmt: skip
@click.pass_obj
def add(
    path: Path, json_: bool, name: str, template: str, vcpus: int, memory: int, network: str
) -> None:
    """Make a worker's VM: a linked clone of a template, ready for hot-plug. It does not start.

    What is so already is left alone, so it can be repeated. In the end it says what to add to
    the configuration and to the scheduler.

    \b
    Examples:
      hotslot workers add w1 --template debian13 --vcpus 16 --memory 32G
      hotslot workers add w2 --template debian13 --network vboxnet0
    """
    from hotslot.act.driver import NewMachine

    config = load(path)
    wanted = NewMachine(name, template, vcpus, memory, network)
    to_add = _to_add(config, wanted)
    _carry_out(config, name, json_, lambda machines: machines.add(wanted), {"to_add": to_add})
    if not json_:
        for where, lines in to_add.items():
            click.echo(f"\nto add to {where}:")
            click.echo("".join(f"  {line}\n" for line in lines), nl=False)


@workers.command()
@as_json
@click.argument("name", type=Name())
@click.option("--force", is_flag=True,
              help="Also if it runs, has a job, or was not made by hotslot.")  # fmt: skip
@click.pass_obj
def remove(path: Path, json_: bool, name: str, force: bool) -> None:
    """Delete a worker's VM with its disks. The template stays.

    \b
    Examples:
      hotslot workers remove w1
      hotslot workers remove w1 --force
    """
    config = load(path)
    vm = _vm(config, name)
    _no_job(config, vm, force)
    _carry_out(config, vm, json_, lambda machines: machines.remove(vm, force=force))


@workers.command()
@as_json
@click.argument("name", type=Name())
@click.pass_obj
def start(path: Path, json_: bool, name: str) -> None:
    """Start a worker's VM and wait until it runs.

    \b
    Examples:
      hotslot workers start w1
    """
    config = load(path)
    vm = _vm(config, name)
    _carry_out(config, vm, json_, lambda machines: machines.start(vm))


@workers.command()
@as_json
@click.argument("name", type=Name())
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True,
              help="Seconds that its guest has to shut down.")  # fmt: skip
@click.option("--force", is_flag=True,
              help="Switch it off at once, also if it has a job, which is lost.")  # fmt: skip
@click.pass_obj
def stop(path: Path, json_: bool, name: str, timeout: float, force: bool) -> None:
    """Shut a worker's VM down, by its power button. Refuses while a job runs on it.

    Drain its node first, so that no job starts meanwhile.

    \b
    Examples:
      hotslot workers stop w1
      hotslot workers stop w1 --timeout 300
      hotslot workers stop w1 --force
    """
    config = load(path)
    vm = _vm(config, name)
    _no_job(config, vm, force)
    _carry_out(
        config, vm, json_, lambda machines: machines.stop(vm, timeout_s=timeout, force=force)
    )


@workers.command()
@as_json
@click.argument("name", type=Name())
@click.pass_obj
def repair(path: Path, json_: bool, name: str) -> None:
    """Mend what stops hot-plug in a worker's VM.

    Of one that is off: hot-plug, the I/O APIC, plugged vCPUs, a saved state, starting with the
    host. Of one that runs: a pause; the rest needs a stop, which it says. Exit code 1 then.

    \b
    Examples:
      hotslot workers repair w1
      hotslot workers stop w1; hotslot workers repair w1; hotslot workers start w1
    """
    config = load(path)
    vm = _vm(config, name)
    _carry_out(config, vm, json_, lambda machines: machines.repair(vm))


def _vm(config: Config, name: str) -> str:
    """Return the VM of a worker; a name that is no worker's is a VM's own."""
    worker = config.worker(name)
    return worker.vm_name if worker else name


def _no_job(config: Config, vm: str, force: bool) -> None:
    """Refuse when the agent, if it answers, has a job's lease open on this VM."""
    from hotslot.client import ask

    if force:
        return
    try:
        known = ask(config.agent.socket, "/v1/status").get("workers", [])
    except AgentUnreachable:
        return
    for worker in known:
        if worker.get("vm") == vm and worker.get("job") is not None:
            job = f"job {worker['job']} of {worker.get('user')}"
            fail(1, f"VM {vm}: {job} runs on it; wait, or lose the job with --force")


def _carry_out(
    config: Config,
    vm: str,
    json_: bool,
    what: Callable[[Any], AsyncIterator[Any]],
    more: dict[str, Any] | None = None,
) -> None:
    """Take the steps, telling each as it comes; exit code 1 when something is left to do."""
    from hotslot.act import driver as drivers
    from hotslot.act.driver import Step, StepKind

    driver = drivers.connect(config.driver.name, config.driver.settings)
    machines = driver.machines
    if machines is None:
        words = f"driver {driver.name} does not make or start VMs; do it as you made them"
        fail(2, f"{words} (README.md, Installing), then ask `hotslot check`")
    steps: list[Step] = []

    async def take() -> None:
        try:
            async for step in what(machines):
                if step.kind is StepKind.WAITING:
                    tell(step.words)
                    continue
                steps.append(step)
                if not json_:
                    say(f"{step.kind.value:<8} {step.words}")
        finally:
            await driver.close()

    error = ""
    command = click.get_current_context().command_path
    _noted(config, {"vm": vm, "begins": True}, command)
    with progress(f"asking {driver.name} about {vm}", f"{vm}: {{}}") as tell:
        try:
            asyncio.run(take())
        except HotslotError as problem:
            if not json_:
                raise
            error = str(problem)
        finally:
            done = [step.words for step in steps if step.kind is StepKind.DONE]
            _noted(config, {"vm": vm, "ended": True, "steps": done}, command)
    if json_:
        listed = [{"kind": step.kind.value, "what": step.words} for step in steps]
        answer = {"vm": vm, "steps": listed, "error": error or None}
        print_json(answer if error else answer | (more or {}))
    if error:
        fail(1, error)
    if any(step.kind is StepKind.LEFT for step in steps):
        sys.exit(1)


def _noted(config: Config, what: dict[str, object], command: str) -> None:
    from hotslot.audit.chain import Kind
    from hotslot.audited import say as write

    if problem := write(config, Kind.MACHINE, what, command):
        click.echo(f"hotslot: {problem}", err=True)


def _to_add(config: Config, wanted: Any) -> dict[str, Sequence[str]]:
    """Say what makes a new VM known to hotslot and to the scheduler.

    Slurm refuses a node that has less memory than its line says, and a kernel keeps some for
    itself: RealMemory is what VirtualBox gives, times 1000 / 1024. Worked: 32768 MiB: 32000.
    """
    lines: dict[str, Sequence[str]] = {}
    if config.worker(wanted.name) is None:
        lines["hotslot.yaml, workers (then restart hotslotd)"] = (
            f"- name: {wanted.name}",
            f"  ceiling: {wanted.vcpus}",
            *(["  scheduler: slurm"] if len(config.scheduler) > 1 else []),
        )
    if any(scheduler.name == "slurm" for scheduler in config.scheduler):
        memory = wanted.memory_mib * 1000 // 1024
        lines["slurm.conf, and its name to Nodes= of this host's partition"] = (
            f"NodeName={wanted.name} CPUs={wanted.vcpus} RealMemory={memory} Gres=vm:1",
        )
    return lines
