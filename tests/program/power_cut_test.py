"""Power cuts: the state of the disk when the machine stops at a random moment, on a real ext4.

The store is on a file system in a file, mounted so that nothing is written back by itself. At a
random moment under load, the server is stopped and the file copied: it contains only synced data.
The copy is mounted, and a server started on it must know everything that was acknowledged or shown.

Usage: power_cut_test.py [--cuts N]
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from crash_client import Promises, Worker, fault_of
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
    """Reads the paths of the other threads' current requests: what it was shown must last, too."""

    def __init__(self, port, workers, promises):
        super().__init__()
        self.client = Client(port, timeout=20)
        self.workers = workers
        self.promises = promises
        self.index = 0
        self.ends = False
        self.start()

    def run(self):
        path = None
        try:
            while not self.ends:
                for worker in self.workers:
                    path = worker.asks_about
                    if path is not None:
                        self.look_at(path)
                        self.look_at_list(path)
        except Exception as error:  # nothing else reports a thread's exception
            if fault := fault_of(error):
                self.promises.problems.append(f"{path} was looked at: {fault}")
        finally:
            self.client.close()

    def ask(self, path, **parameters):
        answer = self.client.call("GET", path, **parameters)
        if answer.status != 200:
            raise AssertionError(f"unexpected answer: {answer}")
        self.index = max(self.index, answer.index)
        return answer

    def look_at(self, path):
        was_held = self.was_held(path)
        self.shown(path, self.ask("/v1/locks" + path)["holders"], was_held)

    def look_at_list(self, path):
        was_held = self.was_held(path)
        self.shown(path, self.ask("/v1/locks", prefix=path)["locks"], was_held)

    def was_held(self, path):
        return path in self.promises.seen_held or path in self.promises.releasing

    def shown(self, path, locks, was_held):
        for lock in locks:
            self.promises.seen_held[lock["path"]] = lock["fence"]
        if was_held and not locks:
            self.promises.seen_free.add(path)


def index_of(store_port):
    client = Client(store_port)
    try:
        return client.ask("GET", "/v1/status").index
    finally:
        client.close()


def await_grant(promises):
    """Waits until a lock was granted, and one shown: a power cut before would prove nothing."""
    until = time.monotonic() + 60
    while not promises.held or not promises.seen_held:
        if promises.problems or time.monotonic() > until:
            raise RuntimeError(f"nothing is granted, or shown: {promises.problems}")
        time.sleep(0.01)


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
    threads = []
    try:
        with Lockerd(os.path.join(here, "locks.db")) as server:
            workers = [Worker(server.port, str(n), promises, 100_000, "m" * 3000) for n in range(4)]
            threads += workers
            observer = Observer(server.port, workers, promises)
            threads.append(observer)
            await_grant(promises)
            time.sleep(random_moment)
            server.stand_still()
            time.sleep(0.02)  # the clients read what it had sent
            # Copied when it has stopped: a worker may be in the middle of a request.
            acknowledged = promises.copy()
            shown = observer.index
            shutil.copyfile(image, copy)
            observer.ends = True
    finally:
        for thread in threads:  # they end since their server is gone
            thread.join(60)
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
            in_doubt = set(acknowledged.seen_held) - set(acknowledged.held) - acknowledged.released
            print(f"cut {number}: {len(acknowledged.held)} held, "
                  f"{len(acknowledged.released)} released, index {found}; shown {shown}, "
                  f"{len(acknowledged.seen_held)} held, {len(acknowledged.seen_free)} released, "
                  f"{len(in_doubt)} that only the observer knew of", flush=True)
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
