"""The real lockerd with a system call that fails (the n-th, or all from it on) or kills it.

In every case the server answers, refuses, or exits with a message and a documented exit code; and a
start without the fault finds everything that was acknowledged.

Usage: syscall_faults_test.py [--all]   (otherwise a sample, chosen by LOCKER_SEED)
"""

import concurrent.futures
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from crash_client import Promises, Worker
from lockerd import Lockerd
from v1_client import Client

CALLS = ["fdatasync", "fsync", "pwrite64", "pread64", "openat", "renameat", "unlinkat", "mkdirat",
         "fallocate", "getdents64", "fstatfs", "fadvise64"]
ERRORS = ["EIO", "ENOSPC", "EINTR"]
SKIPPED = 77
DISK = 74
LOADER = 127  # the exit code if the fault came before lockerd started


def cases(everything):
    for call in CALLS:
        for error in ERRORS:
            for when in list(range(1, 41)) + [f"{n}+" for n in (1, 2, 4, 8, 16, 32)]:
                yield call, f"error={error}", when
    for when in range(1, 41 if everything else 21):
        yield "fdatasync", "signal=SIGKILL", when
        yield "pwrite64", "signal=SIGKILL", when
        yield "renameat", "signal=SIGKILL", when
    yield "fdatasync", "delay_enter=1500000", 5


def make_template(directory):
    """Makes a store with a snapshot, several segments, and known locks."""
    store = os.path.join(directory, "template")
    promises = Promises()
    with Lockerd(store) as server:
        worker = Worker(server.port, "before", promises, 120, "m" * 4000)
        worker.join()
        assert server.stop() == 0
    assert not promises.problems, promises.problems
    assert len(promises.held) > 50, "the template is empty"
    return store, promises


def stop(server):
    """Stops the traced server; returns its exit code, None if it had to be killed."""
    if server.process.poll() is None:
        try:
            os.kill(server.child(), signal.SIGTERM)
        except (OSError, IndexError):
            pass
        try:
            server.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.kill(server.child(), signal.SIGKILL)
            server.process.wait()
            return None
    return server.process.returncode


def faults_of_end(code, text, store, is_up):
    """Returns what is wrong with the exit code or the output; `is_up`: it had started."""
    if code not in ((0, DISK) if is_up else (DISK, LOADER)):
        return [f"exit code {code} " + ("under load" if is_up else "at the start")]
    # The "listening on" line names the store, too, and can come later.
    said = [line for line in text.splitlines() if "listening on" not in line]
    if code == DISK and not any(store in line for line in said):
        return ["its message does not name the store"]
    return []


def run_case(template, call, action, when):
    store_before, before = template
    with tempfile.TemporaryDirectory() as directory:
        store = os.path.join(directory, "locks.db")
        shutil.copytree(store_before, store)
        log = os.path.join(directory, "strace")
        wrapper = ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", f"trace={call}",
                   "-e", f"inject={call}:{action}:when={when}"]
        promises = Promises()
        promises.held.update(before.held)
        promises.released |= before.released
        problems, text, code, is_up = [], "", None, False
        try:
            server = Lockerd(store, wrapper=wrapper)
        except RuntimeError as error:
            text = str(error)
            ended = re.match(r"lockerd ended with (-?\d+):", text)
            if ended is None:
                problems.append("it neither starts nor ends")
            else:
                code = int(ended.group(1))
        else:
            is_up = True
            workers = [Worker(server.port, str(n), promises, 60, "m" * 4000) for n in range(2)]
            for worker in workers:
                worker.join(60)
                if worker.is_alive():
                    problems.append("a request hangs")
            code = stop(server)
            text = server.text()
            if code is None:
                problems.append("SIGTERM does not end it")
        with open(log, encoding="utf-8", errors="replace") as file:
            traced = file.read()
        was_hit = "INJECTED" in traced or "+++ killed by SIGKILL +++" in traced
        by_signal = action.startswith("signal") and was_hit
        if code is not None and not by_signal:
            problems += faults_of_end(code, text, store, is_up)
        is_failed_sync = call in ("fdatasync", "fsync") and "error=EIO" in action and was_hit
        if is_failed_sync and code == 0:
            problems.append("it goes on after a failed sync")
        try:
            with Lockerd(store) as again, contextlib.closing(Client(again.port)) as client:
                problems += promises.check(client)
        except RuntimeError as error:
            problems.append(f"it does not start without the fault: {error}")
        return was_hit, problems, text


def main():
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False,
                      capture_output=True).returncode != 0:
        print("skipped: strace is missing or may not trace")
        return SKIPPED
    everything = "--all" in sys.argv
    chosen = list(cases(everything))
    if not everything:
        seed = int(os.environ.get("LOCKER_SEED", "0")) or random.randrange(1, 1_000_000)
        print(f"LOCKER_SEED={seed}")
        # Only the first few calls of each kind are certain to happen.
        chosen = random.Random(seed).sample([c for c in chosen if str(c[2]).rstrip("+") in
                                             ("1", "2", "3", "4", "5", "8", "12")], 100)
    began = time.monotonic()
    hit = 0
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        template = make_template(directory)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs = {pool.submit(run_case, template, *case): case for case in chosen}
            for done in concurrent.futures.as_completed(runs):
                was_hit, problems, text = done.result()
                hit += was_hit
                if problems:
                    failed += 1
                    call, action, when = runs[done]
                    print(f"inject={call}:{action}:when={when}: " + "; ".join(problems[:5]))
                    print("    " + text.strip().replace("\n", "\n    ")[-1500:], flush=True)
    print(f"{len(chosen)} cases, {hit} hit, {failed} failed ({time.monotonic() - began:.0f} s)")
    if hit < len(chosen) / 10:
        print("hardly any fault was hit: this proves nothing")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
