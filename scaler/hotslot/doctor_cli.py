"""``hotslot doctor``."""

import click

from hotslot.terminal import as_json


@click.command()
@as_json
def doctor(json_: bool) -> None:
    """Collect.

    \b
    Examples:
      hotslot doctor
    """
