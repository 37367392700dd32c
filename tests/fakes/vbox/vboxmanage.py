"""A VBoxManage without a VirtualBox: ``python3 -SEI vboxmanage.py WORLD VERB …``.

The package is compiled once and cached; this file is not, so it stays short.
"""

import sys

sys.path.insert(0, __file__.rpartition("/fakes/")[0])

from fakes.vbox.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
