"""A power cut: what the disk has when the machine stops at some moment, on a real ext4.

The store is on a file system in a file, mounted so that nothing is written back by itself. At a
random moment under load the server is stopped and the file copied: only what was synced is in it.
The copy is mounted, and a server started on it must know all that was acknowledged or shown.

Usage: power_cut_test.py [--cuts N]
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from crash_client import Promises, Worker
from lockerd import Lockerd
from v1_client import Client

SKIPPED = 77


def mount(image, directory):
    os.makedirs(directory, exist_ok=True)
    return subprocess.run(["mount", "-o", "loop,commit=600", image, directory], check=False,
                          capture_output=True, text=True)


def unmount(directory):
    subprocess.run(["umount", "-l", directory], check=False, capture_output=True)


class Observer(threading.Thread):
    """Looks at locks of others: what it is shown must last as well."""

    def __init__(self, port, promises):
        super().__init__()
        self.client = Client(port, timeout=20)
        self.promises = promises
        self.index = 0
        self.ends = False
        self.start()

    def run(self):
        try:
            while not self.ends:
                answer = self.client.call("GET", "/v1/locks", prefix="/crash", limit=20)
                self.index = max(self.index, answer.index)
        except Exception:  # the server is gone
            pass
        finally:
            self.client.close()


def index_of(store_port):
    client = Client(store_port)
    try:
        return client.ask("GET", "/v1/status").index
    finally:
        client.close()


def cut(directory, number, random_moment):
    image = os.path.join(directory, f"{number}.img")
    copy = os.path.join(directory, f"{number}.copy.img")
    here, there = os.path.join(directory, f"{number}"), os.path.join(directory, f"{number}.copy")
    subprocess.run(["truncate", "-s", "96M", image], check=True)
    subprocess.run(["mkfs.ext4", "-qF", image], check=True, capture_output=True)
    mounted = mount(image, here)
    if mounted.returncode != 0:
        print(f"skipped: no loop mount here: {mounted.stderr.strip()}")
        return None
    promises = Promises()
    try:
        server = Lockerd(os.path.join(here, "locks.db"))
        workers = [Worker(server.port, str(n), promises, 100_000, "m" * 3000) for n in range(4)]
        observer = Observer(server.port, promises)
        time.sleep(random_moment)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.02)  # what it had sent is read
        acknowledged = Promises()
        # Only what was known when it stopped: a worker may be in the middle of a request.
        acknowledged.held = dict(promises.held)
        acknowledged.released = set(promises.released)
        shown = observer.index
        shutil.copyfile(image, copy)
        observer.ends = True
        server.process.kill()
        server.process.wait()
        for thread in [*workers, observer]:
            thread.join(20)
    finally:
        unmount(here)
    try:
        if mount(copy, there).returncode != 0:
            return ["the copy cannot be mounted"]
        with Lockerd(os.path.join(there, "locks.db")) as again:
            found = index_of(again.port)
            client = Client(again.port)
            problems = acknowledged.check(client)
            client.close()
            if found < shown:
                problems.append(f"index {shown} was shown, and {found} is what is left")
            if not acknowledged.held:
                problems.append("nothing was acknowledged before the cut: this proves nothing")
            print(f"cut {number}: {len(acknowledged.held)} held, "
                  f"{len(acknowledged.released)} released, index {found}, shown {shown}", flush=True)
            return problems
    except RuntimeError as error:
        return [f"it does not start: {error}"]
    finally:
        unmount(there)
        os.unlink(image)
        os.unlink(copy)


def main():
    if os.geteuid() != 0:
        print("skipped: mounting needs root")
        return SKIPPED
    cuts = int(sys.argv[sys.argv.index("--cuts") + 1]) if "--cuts" in sys.argv else 4
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for number in range(cuts):
            problems = cut(directory, number, random.uniform(0.3, 2.0))
            if problems is None:
                return SKIPPED
            if problems:
                failed += 1
                print(f"cut {number}: " + "; ".join(problems[:5]))
    print(f"{cuts} power cuts, {failed} with losses")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
