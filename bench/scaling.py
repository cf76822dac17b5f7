#!/usr/bin/env python3
"""Simulates the throughput of one lockerd on more cores than it was measured on.

Each core takes a request, works on it in parallel (the kernel's TCP, HTTP, JSON), and enters one
critical section: the mutex over the table and the open batch. Cores that find it taken queue up.
Everything that it guards is in the cache of the core that entered last, so it costs more if that
was another core. The costs are measured: see SCALING.md.

    bench/scaling.py            the tables of SCALING.md
"""

import heapq
import random

CORES = (1, 2, 4, 8, 16, 32, 64)
REQUESTS = 60_000
# Microseconds.
HAND_OVER = 0.1  # of a request to the single deciding thread, in a batch, and of its answer back
WORK = {"one at a time": 22.0, "16 deep": 4.0}
DOOR = {"empty": (0.6, 2.0), "1 million held": (1.3, 3.5)}  # same core entered last; another


def by_mutex(cores, work, door, shards=1, whole=0.0):
    """Returns requests per second. The fraction `whole` needs all shards: the root, or several."""
    rng = random.Random(1)
    stays, moves = door
    free_at = [0.0] * shards
    last = [-1] * shards
    ready = [(rng.expovariate(1 / work), core) for core in range(cores)]
    heapq.heapify(ready)
    done_at = 0.0
    for _ in range(REQUESTS):
        now, core = heapq.heappop(ready)
        if shards > 1 and rng.random() < whole:
            needed = range(shards)
        else:
            needed = (rng.randrange(shards),)
        for shard in needed:  # always in the same order
            now = max(now, free_at[shard]) + (stays if last[shard] == core else moves)
            last[shard] = core
        for shard in needed:
            free_at[shard] = now
        done_at = max(done_at, now)
        heapq.heappush(ready, (now + rng.expovariate(1 / work), core))
    return REQUESTS / done_at * 1e6


def by_one_thread(cores, work, door):
    """One core makes all decisions; the others hand requests to it."""
    if cores == 1:
        return 1e6 / (work + door[0])
    return min((cores - 1) * 1e6 / (work + HAND_OVER), 1e6 / (door[0] + HAND_OVER))


def table(heading, columns, cell):
    print(f"\n{heading}\n")
    print("| cores | " + " | ".join(name for name, _ in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for cores in CORES:
        cells = (f"{cell(cores, value) / 1000:,.0f}" for _, value in columns)
        print(f"| {cores} | " + " | ".join(cells) + " |")


def main():
    print("Thousand requests a second that change something, the disk aside.")
    for held, door in DOOR.items():
        for depth, work in WORK.items():
            ways = [("one mutex", lambda n, w=work, d=door: by_mutex(n, w, d)),
                    ("one thread decides", lambda n, w=work, d=door: by_one_thread(n, w, d))]
            for shards in (4, 16):
                ways.append((f"{shards} shards",
                             lambda n, w=work, d=door, s=shards: by_mutex(n, w, d, s)))
            ways.append(("16 shards, 1 % need all",
                         lambda n, w=work, d=door: by_mutex(n, w, d, 16, 0.01)))
            table(f"{depth}, {held}", ways, lambda cores, way: way(cores))


if __name__ == "__main__":
    main()
