"""The time until which a lease is certainly alive, by the local clock."""

from __future__ import annotations

import time
from typing import Callable


def _choose_clock() -> Callable[[], float]:
    # Linux' monotonic clock stops while the machine is suspended; the server's clock does not.
    try:
        time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic
    return lambda: time.clock_gettime(time.CLOCK_BOOTTIME)


now = _choose_clock()

RENEWALS_PER_TTL = 3
LOOK_WITHOUT_TTL = 10.0


class Deadline:
    """The deadline of a lease that was last renewed by a request sent at `sent`.

    The server counts the TTL from the arrival of that request. It cannot have arrived before it was
    sent, so the lease lives at least until `sent + ttl`. `ends` is earlier by a margin of 1 s, or
    `ttl / 10` if that is less, for the time between a check and the action it guards.
    """

    def __init__(self, ttl: float | None, sent: float):
        self.ttl = ttl
        self.sent = sent
        if ttl is None:  # never expires; only a force can end it
            self.ends = float("inf")
            self.renewal_is_due = sent + LOOK_WITHOUT_TTL
        else:
            self.ends = sent + ttl - min(1.0, ttl / 10)
            self.renewal_is_due = sent + ttl / RENEWALS_PER_TTL
