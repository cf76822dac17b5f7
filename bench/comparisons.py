"""Runs the same work against Locker and its peers in turn, for several rounds."""

import contextlib
import dataclasses
import os
import typing

from clients import cycles, wrk
from processes import Failure
from servers import SERVERS

COUNTS = (1, 16, 64, 256, 1000)


@dataclasses.dataclass(frozen=True)
class Line:
    """One setting under which all servers are measured."""
    text: str
    needs: str  # one of the works that a server supports
    measure: typing.Callable  # (server, process, seconds) -> measurement
    connections: int
    pipelined: int = 1
    plotted: bool = True


@dataclasses.dataclass(frozen=True)
class Comparison:
    name: str
    title: str
    explanation: str
    lines: tuple

    def takes(self, server):
        return any(fits(line, server) for line in self.lines)


def fits(line, server):
    return (line.needs in server.works and line.connections <= server.connections_max and
            (line.pipelined == 1 or server.can_pipeline))


def setting(connections, pipelined):
    text = f"{connections:,} connections" if connections > 1 else "1 connection"
    return text + (f", {pipelined} deep" if pipelined > 1 else "")


def http_line(connections, pipelined=1, threads=2):
    text = setting(connections, pipelined)
    text += ", wrk with one thread" if threads == 1 else ""
    return Line(text, "http",
                lambda _, process, seconds: wrk(process.port, connections, seconds, pipelined,
                                                threads),
                connections, pipelined, plotted=pipelined == 1 and threads == 2)


def cycles_line(work, connections, pipelined=1, needs=None, plotted=True, **options):
    text = setting(connections, pipelined)
    if "depth" in options:
        text += f", paths of {options['depth']} segments"
    return Line(text, needs or ("pipelined" if pipelined > 1 else work),
                lambda server, process, seconds: cycles(
                    server.protocol, process.port, work=work, connections=connections,
                    pipelined=pipelined, seconds=seconds, **options),
                connections, pipelined, plotted and pipelined == 1)


COMPARISONS = {comparison.name: comparison for comparison in (
    Comparison(
        "http", "Queries, against servers that answer a constant",
        "`wrk` with two threads; `dohaz` of a free path. One of 16 deep is not timed alone.",
        (*(http_line(count) for count in COUNTS), http_line(64, 16), http_line(64, 1, 1),
         http_line(64, 16, 1))),
    Comparison(
        "pairs", "Acquire and release of distinct paths",
        "`cycles`; a pair is two requests, the times are of one request.",
        (*(cycles_line("pairs", count) for count in COUNTS), cycles_line("pairs", 1, 16),
         cycles_line("pairs", 64, 16))),
    Comparison(
        "contended", "All want one path, and ask again when it is refused",
        "`cycles --work contended`; pairs are counted. A refusal waits for the disk in Locker.",
        (cycles_line("contended", 16), cycles_line("contended", 64))),
    Comparison(
        "hand-over", "All want one path, and wait for it",
        "`cycles --work hand-over`; the times are from the receipt of a grant, which is when the "
        "release is sent, to the receipt of the next one's grant. Redis: BLPOP, where a holder "
        "that dies takes the lock with it.",
        tuple(cycles_line("hand-over", count) for count in (2, *COUNTS[1:]))),
    Comparison(
        "query", "Queries of lock servers", "`cycles --work query`, for a path of one's own.",
        (cycles_line("query", 1), cycles_line("query", 64),
         cycles_line("query", 64, 16, needs="query"))),
    Comparison(
        "renewal", "Renewals", "`cycles --work renewal`: a lease with one lock. ZooKeeper: a ping.",
        (cycles_line("renewal", 1), cycles_line("renewal", 64))),
    Comparison(
        "refusal", "Refusals", "`cycles --work refusal`: all ask for what another one holds.",
        (cycles_line("refusal", 1), cycles_line("refusal", 64))),
    Comparison(
        "deep", "Deep paths", "Pairs, on paths of 2 and of 16 segments.",
        tuple(cycles_line("pairs", 64, depth=depth, needs="deep", plotted=False)
              for depth in (2, 16))),
)}


def start_all(chosen, directory, stack):
    """Returns (processes by name, reasons why the others are missing by name)."""
    processes, failures = {}, {}
    for server in chosen:
        failures[server.name] = server.missing()
        if failures[server.name]:
            continue
        own = os.path.join(directory, server.name)
        os.mkdir(own)
        try:
            processes[server.name] = stack.enter_context(server.start(own))
            del failures[server.name]
        except (Failure, OSError, KeyError) as failure:
            failures[server.name] = str(failure)
    return processes, failures


def compare(comparison, names, directory, options, say):
    """Runs one comparison. Returns the input of report.py and plot.py."""
    chosen = [SERVERS[name] for name in names if comparison.takes(SERVERS[name])]
    result = {"kind": "comparison", "name": comparison.name, "title": comparison.title,
              "explanation": comparison.explanation, "lines": []}
    with contextlib.ExitStack() as stack:
        processes, failures = start_all(chosen, directory, stack)
        result["servers"] = {
            server.name: {"what": server.what, "loses": server.loses, "like": server.like,
                          "failure": failures.get(server.name)} for server in chosen}
        for line in comparison.lines:
            if options.connections and line.connections not in options.connections:
                continue
            say(f"{comparison.name}: {line.text}")
            sides = [server for server in chosen
                     if server.name in processes and fits(line, server)]
            result["lines"].append(measure(line, sides, processes, options))
    return result


def measure(line, sides, processes, options):
    measured = {server.name: [] for server in sides}
    failures = {}
    for round_number in range(options.rounds):
        turn = round_number % len(sides) if sides else 0
        for server in sides[turn:] + sides[:turn]:
            if server.name in failures:
                continue
            try:
                measured[server.name].append(
                    line.measure(server, processes[server.name], options.seconds))
            except Failure as failure:
                failures[server.name] = str(failure)
    return {"text": line.text, "connections": line.connections, "plotted": line.plotted,
            "measured": measured, "failures": failures}
