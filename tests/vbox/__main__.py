"""Build what the VirtualBox rig needs, beforehand."""

from __future__ import annotations

import argparse
import sys

from testbed.cache import cache_dir
from testbed.errors import TestbedError
from testbed.progress import say

from . import recipe


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m vbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build root and guest unless they are cached")
    parser.parse_args()
    try:
        recipe.build_all()
    except (TestbedError, OSError) as error:
        print(f"vbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"all artifacts are in {cache_dir()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
