"""Measures Locker alone: with many locks held, during a snapshot, in memory, at a restart."""

import contextlib
import glob
import http.client
import json
import os
import shutil
import socket
import time

from clients import Beside, cycles, output_of, wrk
from plot import COLOURS, chart
from processes import BUILD, Failure, Process, free_port
from servers import SERVERS

WRITERS = 64
READERS = 16
IDLE = 10_000


def figure(what, unit, values):
    return {"what": what, "unit": unit, "values": values}


def figures(name, title, explanation, rows):
    return {"kind": "figures", "name": name, "title": title, "explanation": explanation,
            "figures": rows}


def count_text(count):
    return f"{count / 1e6:g} million" if count >= 1_000_000 else f"{count:,}"


class Stores:
    """Stores with many held locks, each made once per run."""

    def __init__(self, directory):
        self.directory = directory
        self.facts = {}

    def make(self, count, snapshot):
        path = os.path.join(self.directory, f"{count}-{'snapshot' if snapshot else 'journal'}")
        if path not in self.facts:
            command = [BUILD + "/load_store", path, str(count)]
            self.facts[path] = json.loads(output_of(command + ["--snapshot"] * snapshot, 900))
            os.sync()  # otherwise the next measurement pays for it
        return path, self.facts[path]


def start_lockerd(store):
    """Returns (process, seconds until it answered)."""
    port, began = free_port(), time.monotonic()
    command = [BUILD + "/lockerd", "--port", str(port), "--log-level", "warning",
               "--connections-max", "20000", "--file", store]
    process = Process(port, command, store + ".log")
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, time.monotonic() - began
        time.sleep(0.005)


def alone(options, _stores, directory, say):
    """Compares one connection with the disk and the bare round trip."""
    syncs, trips, requests, ratios = [], [], [], []
    with contextlib.ExitStack() as stack:
        constant = stack.enter_context(SERVERS["epoll"].start(directory))
        locker = stack.enter_context(SERVERS["locker"].start(directory))
        for _ in range(options.rounds):
            say("alone")
            sync = json.loads(output_of([BUILD + "/disk_sync", directory, str(options.seconds)]))
            trip = cycles("locker", constant.port, work="query", connections=1,
                          seconds=options.seconds)
            own = cycles("locker", locker.port, connections=1, seconds=options.seconds)
            syncs.append(sync["p50_ms"])
            trips.append(trip["p50_ms"])
            requests.append(own["p50_ms"])
            ratios.append(own["p50_ms"] / (sync["p50_ms"] + trip["p50_ms"]))
    return figures("alone", "One connection alone", "Medians of one request. `disk_sync` writes "
                   "128 bytes and calls fdatasync; the round trip is a constant reply.", [
                       figure("write and fdatasync", "ms", syncs),
                       figure("HTTP round trip", "ms", trips),
                       figure("durable acquire or release", "ms", requests),
                       figure("that, against the sum of both", "times", ratios)])


def client(options, _stores, directory, say):
    """Measures how fast the load generators themselves are."""
    rows = {}
    with SERVERS["epoll"].start(directory) as constant:
        for _ in range(options.rounds):
            for pipelined in (1, 16):
                say(f"client: {pipelined} deep")
                shape = {"connections": WRITERS, "pipelined": pipelined, "seconds": options.seconds}
                for name, measured in (
                        ("cycles", cycles("locker", constant.port, work="query", **shape)),
                        ("wrk", wrk(constant.port, **shape))):
                    what = f"{name}, {WRITERS} connections, {pipelined} deep"
                    rows.setdefault(what, []).append(measured)
    return figures("client", "The load generators, against constant replies", "Whoever is near "
                   "these measures its client. `cycles` has one thread, `wrk` two.", [
                       line for what, rounds in rows.items() for line in (
                           figure(what, "requests a second", [one["per_second"] for one in rounds]),
                           figure(what, "cores", [one["client_cpu"] for one in rounds]))])


def beside(options, _stores, directory, say):
    """Measures queries during writes."""
    rows = {name: [] for name in ("alone", "with", "queries", "slowest", "writes", "sync")}
    with SERVERS["locker"].start(directory) as locker:
        for _ in range(options.rounds):
            say("beside")
            query = {"work": "query", "connections": READERS}
            quiet = cycles("locker", locker.port, seconds=options.seconds, **query)
            with Beside("locker", locker.port, connections=WRITERS, warm_up=0.6,
                        seconds=options.seconds + 1) as writers:
                time.sleep(0.5)
                loud = cycles("locker", locker.port, seconds=options.seconds, **query)
                if not writers.is_running():
                    raise Failure("the writers ended before the queries")
                wrote = writers.result()
            sync = json.loads(output_of([BUILD + "/disk_sync", directory, "0.5"]))
            for name, value in (("alone", quiet["p99_ms"]), ("with", loud["p99_ms"]),
                                ("queries", loud["per_second"]), ("slowest", wrote["max_ms"]),
                                ("writes", wrote["per_second"]), ("sync", sync["p50_ms"])):
                rows[name].append(value)
    return figures("beside", "Queries beside durable writers", f"{READERS} connections query, each "
                   f"as fast as it is answered, while {WRITERS} acquire and release.", [
                       figure("query without writers, p99", "ms", rows["alone"]),
                       figure("query beside writers, p99", "ms", rows["with"]),
                       figure("queries beside writers", "a second", rows["queries"]),
                       figure("the slowest write", "ms", rows["slowest"]),
                       figure("pairs beside queries", "a second", rows["writes"]),
                       figure("the disk syncs in (median)", "ms", rows["sync"])])


def held(options, stores, directory, say):
    """Measures the same work with more and more locks held."""
    counts = (0, *options.locks)
    works = {"pairs": "acquire and release", "query": "query"}
    measured = {(work, count): [] for work in works for count in counts}
    with contextlib.ExitStack() as stack:
        processes = {0: stack.enter_context(SERVERS["locker"].start(directory))}
        for count in options.locks:
            say(f"held: loading {count_text(count)}")
            processes[count], _ = start_lockerd(stores.make(count, True)[0])
            stack.enter_context(processes[count])
        for _ in range(options.rounds):
            for (work, count), rounds in measured.items():
                say(f"held: {work}, {count_text(count)}")
                rounds.append(cycles("locker", processes[count].port, work=work,
                                     connections=WRITERS, seconds=options.seconds,
                                     among=count or max(options.locks)))
    rows = []
    for (work, count), rounds in measured.items():
        what = f"{works[work]}, {count_text(count)} locks held"
        rows.append(figure(what, "a second", [one["per_second"] for one in rounds]))
        rows.append(figure(what + ", p99", "ms", [one["p99_ms"] for one in rounds]))
    result = figures("held", "With many locks held", f"{WRITERS} connections. Each request is for "
                     "another random sibling of a held lock; with none held, for the same paths.",
                     rows)

    def series(work, key):
        return [(count, [one[key] for one in measured[work, count]]) for count in counts]

    chart(os.path.join(options.results, "held.svg"),
          [(title, "locks held", [(name, COLOURS[i], False, series(work, key))
                                  for i, (work, name) in enumerate(works.items())])
           for title, key in (("a second", "per_second"), ("ms, p99", "p99_ms"))],
          list(works.values()))
    return result | {"pictures": ["held.svg"]}


def snapshot(options, stores, directory, say):
    """Measures a snapshot: a store without one gets one as soon as it is opened."""
    count = max(options.locks)
    seconds = min(options.seconds, count / 2e6)  # about a million locks per second are written
    during, after, ratios, took, starts = [], [], [], [], []
    for _ in range(options.rounds):
        say(f"snapshot: loading {count_text(count)}")
        store = os.path.join(directory, "copy.db")
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(stores.make(count, False)[0], store)
        os.sync()
        process, started = start_lockerd(store)
        starts.append(started)
        with process:
            began = time.monotonic()
            loud = cycles("locker", process.port, connections=WRITERS, warm_up=0.1, seconds=seconds)
            if glob.glob(store + "/*.snapshot"):
                raise Failure(f"the snapshot of {count_text(count)} locks was there before the "
                              "measurement had ended: give fewer --seconds, or more --locks")
            while not glob.glob(store + "/*.snapshot"):
                time.sleep(0.1)
                if time.monotonic() - began > 600:
                    raise Failure("there is no snapshot after 10 minutes")
            took.append(time.monotonic() - began)
            time.sleep(1)
            quiet = cycles("locker", process.port, connections=WRITERS, warm_up=0.1, seconds=seconds)
        during.append(loud)
        after.append(quiet)
        ratios.append(loud["p99_ms"] / quiet["p99_ms"])
    shutil.rmtree(os.path.join(directory, "copy.db"), ignore_errors=True)
    rows = []
    for what, rounds in (("during the snapshot", during), ("afterwards", after)):
        rows += [figure(f"pairs {what}", "a second", [one["per_second"] for one in rounds]),
                 figure(f"a request {what}, p99", "ms",
                        [one["p99_ms"] for one in rounds]),
                 figure(f"the slowest request {what}", "ms", [one["max_ms"] for one in rounds])]
    rows += [figure("p99: during, against afterwards", "times", ratios),
             figure("the snapshot took, with this load beside it for a part", "s", took),
             figure("the start, from the journal alone", "s", starts)]
    return figures("snapshot", f"While a snapshot of {count_text(count)} locks is written",
                   f"{WRITERS} connections acquire and release paths of their own.", rows)


def restart(options, stores, _directory, say):
    rows = []
    for count in options.locks:
        say(f"restart: {count_text(count)}")
        path, _ = stores.make(count, True)
        times = []
        for _ in range(options.rounds):
            process, took = start_lockerd(path)
            process.stop()
            times.append(took)
        _, facts = stores.make(count, False)
        journal = f"a journal of {count_text(count)} grants"
        rows += [figure(f"start with {count_text(count)} locks", "s", times),
                 figure(f"{journal}, replayed", "records a second",
                        [count / facts["replay_seconds"]]),
                 figure(f"{journal}, read and checked alone", "records a second",
                        [count / facts["read_seconds"]])]
    return figures("restart", "Restart", "From the start of the process to its first answer, with "
                   "a snapshot and a segment behind it; the store is read around the page cache. "
                   "`load_store` times the journals.", rows)


def memory(options, stores, directory, say):
    rows = []
    with SERVERS["locker"].start(directory) as empty:
        without = empty.resident_bytes()
    for count in options.locks:
        say(f"memory: {count_text(count)}")
        process, _ = start_lockerd(stores.make(count, True)[0])
        with process:
            rows.append(figure(f"Locker, {count_text(count)} locks at depth 4", "bytes a lock",
                               [(process.resident_bytes() - without) / count]))
    count = min(options.locks)
    server = SERVERS["redis-plain"]
    if server.missing():
        rows.append(figure("Redis", "", []) | {"failure": "not measured: " + server.missing()})
        return memory_figures(rows)
    with server.start(directory) as process:
        before = process.resident_bytes()
        say(f"memory: {count_text(count)} keys in Redis")
        fill_redis(process.port, count)
        rows.append(figure(f"Redis, {count_text(count)} keys of the same texts with PX",
                           "bytes a key", [(process.resident_bytes() - before) / count]))
    return memory_figures(rows)


def memory_figures(rows):
    return figures("memory", "Memory of held locks", "Resident memory after a restart, less than "
                   "that of an empty server, by the number of locks.", rows)


def fill_redis(port, count, batch=1000):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        replies = connection.makefile("rb")
        for first in range(1, count + 1, batch):
            commands = []
            for n in range(first, min(first + batch, count + 1)):
                path = f"a{n // 100_000:07}/b{n // 1_000:07}/c{n // 10:07}/d{n:07}"
                commands.append(f"SET {path} {n:036} PX 86400000\r\n")
            connection.sendall("".join(commands).encode())
            for _ in commands:
                replies.readline()


def idle(options, _stores, directory, say):
    rows = []
    for name, request in (("locker", b"GET /dohaz/a HTTP/1.1\r\nHost: a\r\n\r\n"),
                          ("nginx", b"GET /dohaz/a HTTP/1.1\r\nHost: a\r\n\r\n"),
                          ("redis-always", b"PING\r\n")):
        server = SERVERS[name]
        if name not in options.servers:
            continue
        say(f"idle: {name}")
        if server.missing():
            rows.append(figure(name, "", []) | {"failure": "not measured: " + server.missing()})
            continue
        own = os.path.join(directory, name)
        os.mkdir(own)
        values = []
        for _ in range(min(options.rounds, 3)):
            with server.start(own) as process, contextlib.ExitStack() as stack:
                before = process.resident_bytes()
                for _ in range(IDLE):
                    connection = socket.create_connection(("127.0.0.1", process.port), timeout=60)
                    stack.enter_context(connection)
                    connection.sendall(request)
                    if not connection.recv(4096):
                        raise Failure(f"{name} closes connections")
                values.append((process.resident_bytes() - before) / 1e6)
        rows.append(figure(f"{name}, {IDLE:,} connections", "MB", values))
    return figures("idle", "Memory of idle connections", "Resident memory that came with them, "
                   "after each had one answer.", rows)


COSTS = {cost.__name__: cost
         for cost in (client, alone, restart, memory, idle, beside, held, snapshot)}

