"""Runs a load generator against a server; a measurement is a dict of its output."""

import json
import os
import re
import resource
import subprocess
import time

from processes import BUILD, ROOT, Failure

QUERY = ROOT + "/bench/wrk/query.lua"
PATH = "/dohaz/bench/a/path/of/some/depth"
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def output_of(command, timeout=180):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        raise Failure(f"{command[0]} has no end after {timeout} s") from expired
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Failure(words[-1][:200] if words else f"{command[0]} ended with {done.returncode}")
    return done.stdout


def cycles_command(protocol, port, **options):
    command = [os.path.join(BUILD, "cycles"), protocol, str(port), "--json"]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return command


def cycles(protocol, port, timeout=180, **options):
    return json.loads(output_of(cycles_command(protocol, port, **options), timeout))


def milliseconds(text, pattern):
    number, unit = re.search(pattern, text).groups()
    return float(number) * MILLISECONDS[unit]


def wrk(port, connections, seconds, pipelined=1, threads=2):
    command = ["wrk", f"-t{min(threads, connections)}", f"-c{connections}", f"-d{seconds}s",
               "--latency"]
    if pipelined > 1:
        command += ["-s", QUERY, f"http://127.0.0.1:{port}", "--", str(pipelined)]
    else:
        command += [f"http://127.0.0.1:{port}{PATH}"]
    cpu, began = client_cpu(), time.monotonic()
    text = output_of(command)
    took = time.monotonic() - began
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failure("wrk saw " + re.search(r"(Non-2xx.*|Socket errors.*)", text).group(1))
    result = {"per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
              "client_cpu": (client_cpu() - cpu) / took}
    if pipelined == 1:  # wrk counts from the write of all sixteen: too long for one
        result["p50_ms"] = milliseconds(text, r"50%\s+([\d.]+)(us|ms|s|m)")
        result["p99_ms"] = milliseconds(text, r"99%\s+([\d.]+)(us|ms|s|m)")
        result["max_ms"] = milliseconds(
            text, r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)")
    return result


def client_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Beside:
    """Runs `cycles` while something else is measured; its own measurement comes at the end."""

    def __init__(self, protocol, port, **options):
        self.process = subprocess.Popen(cycles_command(protocol, port, **options),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def is_running(self):
        return self.process.poll() is None

    def result(self):
        output, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise Failure(errors.strip())
        return json.loads(output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_running():
            self.process.kill()
        self.process.wait()
