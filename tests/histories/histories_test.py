"""Hundreds of clients torture a lockerd that is killed, started again and stopped for a while, again
and again; then everything that they were answered is compared with the server's journal.

    histories_test.py [--seconds N] [--seed N]

A long run is made of rounds of a minute at most, each with a store of its own and the next seed.
When something is wrong, history, journal and store are kept, and it is said where.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "program"))
from lockerd import BUILD, LOCKER, Lockerd  # pylint: disable=wrong-import-position

ROUND_SECONDS = 60
QUIET_PART = 0.4  # of a round, at its end: nothing happens to the server, so leases must end
CANHAZ_TTL_MS = 2000
TORTURE = os.path.abspath(os.path.join(BUILD, "torture"))
CHECK = os.path.abspath(os.path.join(BUILD, "check_history"))


class KeptSegments:
    """Links every segment of a store into a store of their own before compaction removes it: with
    all of them and no snapshot, that one is the whole journal."""

    def __init__(self, store, kept):
        self.store, self.kept = store, kept
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.is_over.wait(0.02):
            self.link_all()

    def link_all(self):
        for name in os.listdir(self.store) if os.path.isdir(self.store) else ():
            linked = os.path.join(self.kept, name)
            if name.endswith(".segment") and not os.path.exists(linked):
                try:
                    os.link(os.path.join(self.store, name), linked)
                except FileNotFoundError:
                    pass  # the checker would say that the journal is not whole

    def finish(self):
        self.is_over.set()
        self.thread.join()
        self.link_all()
        shutil.copy(os.path.join(self.store, "STORE"), self.kept)
        open(os.path.join(self.kept, "LOCK"), "w", encoding="ascii").close()


class Torment:
    """Kills, starts and stops the server at random, and writes down when."""

    def __init__(self, store, events, chance):
        self.store, self.chance = store, chance
        # A crash of the server alone loses nothing, whatever the durability.
        self.options = ["--canhaz-ttl", f"{CANHAZ_TTL_MS}ms",
                        "--durability", chance.choice(["always", "always", "interval", "none"]),
                        "--threads", chance.choice(["1", "2", "4"])]
        self.events = open(events, "w", encoding="ascii")
        self.kills = self.stops = 0
        self.start(0)

    def write(self, event, **more):
        line = {"event": event, "at_ns": time.monotonic_ns(), **more}
        self.events.write(json.dumps(line) + "\n")
        self.events.flush()

    def start(self, port):
        self.server = Lockerd(self.store, *self.options, port=port)
        index = self.server.get("/v1/status")["index"]
        self.write("started", index=index if port else 0)

    def expect_alive(self):
        if self.server.process.poll() is not None:
            raise RuntimeError(f"lockerd ended with {self.server.process.returncode}: "
                               f"{self.server.text()}")

    def kill(self):
        self.expect_alive()
        self.write("killed")
        self.server.kill()

    def until(self, end):
        """Goes on until then."""
        while time.monotonic() < end:
            time.sleep(1 + 2 * self.chance.random())
            if self.chance.random() < 0.25:
                self.stop_for_a_while()
            else:
                self.kill()
                self.start(self.server.port)
                self.kills += 1

    def stop_for_a_while(self):
        self.expect_alive()
        self.write("stopped")
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5 + self.chance.random())
        self.server.process.send_signal(signal.SIGCONT)
        self.write("continued")
        self.stops += 1

    def close(self):
        self.events.close()
        if self.server.process.poll() is None:
            self.server.kill()


def dump(store, to):
    with open(to, "w", encoding="utf-8") as file:
        subprocess.run([LOCKER, "store", "dump", store], stdout=file, check=True)


def run_round(directory, seconds, seed):
    """Whether all was right."""
    chance = random.Random(seed)
    at = lambda name: os.path.join(directory, name)
    os.mkdir(at("journal"))
    torment = Torment(at("store"), at("events.jsonl"), chance)
    kept = KeptSegments(at("store"), at("journal"))
    torture = subprocess.Popen(
        [TORTURE, "--port", str(torment.server.port), "--seconds", str(seconds), "--seed", str(seed),
         "--canhaz-ttl-ms", str(CANHAZ_TTL_MS), "--history", at("history.jsonl")])
    try:
        torment.until(time.monotonic() + seconds * (1 - QUIET_PART))
        is_right = torture.wait(timeout=seconds + 300) == 0
        torment.expect_alive()
    finally:
        torture.kill()
        torture.wait()
        torment.close()
        kept.finish()
    dump(at("journal"), at("journal.jsonl"))
    dump(at("store"), at("store.jsonl"))
    print(f"lockerd {' '.join(torment.options)}: {torment.kills} kills, {torment.stops} stops",
          flush=True)
    checked = subprocess.run([CHECK, at("history.jsonl"), at("journal.jsonl"), at("events.jsonl"),
                              at("store.jsonl")], check=False)
    return is_right and checked.returncode == 0


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=40)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = arguments.parse_args()
    seed, left = given.seed, given.seconds
    while left > 0:
        directory = tempfile.mkdtemp(prefix="locker-histories-")
        is_right = False
        try:
            is_right = run_round(directory, min(left, ROUND_SECONDS), seed)
        finally:
            if not is_right:
                print(f"Kept in {directory}: the history, the store, its whole journal. Check again "
                      f"there by: {CHECK} history.jsonl journal.jsonl events.jsonl store.jsonl\n"
                      f"Do the same again by: ./dev torture {min(left, ROUND_SECONDS):g} {seed}",
                      flush=True)
        if not is_right:
            sys.exit(1)
        shutil.rmtree(directory)
        left -= ROUND_SECONDS
        seed += 1


if __name__ == "__main__":
    main()
