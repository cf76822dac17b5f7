#!/usr/bin/env python3
"""Measures the time from a release to the next waiter's reply, and how late leases expire.

    build/lockerd --port 8765 &
    bench/hand_over.py 8765
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "program"))
from v1_client import Background, Client  # noqa: E402


def main():
    port = int(sys.argv[1])
    client = Client(port)
    alone, handed, late = [], [], []
    for _ in range(60):
        token = client.acquire("/bench/hand-over")["token"]
        waiting = Background(port, lambda c: c.acquire("/bench/hand-over", wait="9s"))
        time.sleep(0.02)
        began = time.monotonic()
        client.release("/bench/hand-over", token)
        alone.append(time.monotonic() - began)
        token = waiting.answer()["token"]
        handed.append(waiting.when - began)
        client.release("/bench/hand-over", token)
    for _ in range(20):
        client.acquire("/bench/expiry", ttl="150ms")
        began = time.monotonic()
        waiting = Background(port, lambda c: c.acquire("/bench/expiry", wait="9s"))
        client.release("/bench/expiry", waiting.answer()["token"])
        late.append(waiting.when - began - 0.15)
    for name, values in (("release, its own reply", alone), ("release to the next one's grant", handed),
                         ("expiry later than the TTL", late)):
        values.sort()
        print(f"{name}: median {1e3 * values[len(values) // 2]:.2f} ms, "
              f"90 of 100 below {1e3 * values[len(values) * 9 // 10]:.2f} ms")


if __name__ == "__main__":
    main()
