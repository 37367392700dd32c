"""Open and close leases until killed, going on where the last one was killed. Usage: DATABASE.

Says on stdout how many are closed on disk, after a first line that says it has begun.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hotslot.record.store import Store
from record.lives import Life, a_life, live
from record.recorded import closed

with Store(Path(sys.argv[1])) as store:
    print(0, flush=True)
    for number in count(1):
        life = a_life(str(number), 1000.0 + number)
        known = store.lease(number)
        if known is None:
            live(store, [Life(life.of, life.opened_at, granted=(4, 4))], first_id=number)
        else:
            store.close_lease(closed(known, life.opened_at + 2))
        print(number, flush=True)
