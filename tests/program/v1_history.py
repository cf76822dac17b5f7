"""Many threads use /v1 at random while the server is killed now and then; then their history is
checked: exclusion, fences, the order of indexes, refusals that somebody can be the reason of.

    v1_history.py [--seconds N] [--seed N]        run and check
    v1_history.py --selftest                      the checker finds what is wrong on purpose

A check can only use what the clients know. A lock MUST be held from the reply of its acquire until
its release was sent or its TTL has passed since it was last known to be renewed; it MAY be held from
when the acquire was sent until the reply of its release, or for ever if that is not known.
"""

import argparse
import http.client
import os
import random
import sys
import tempfile
import threading
import time

from lockerd import Lockerd
from v1_client import Client, fresh_token

PATHS = ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f", "/e/g"]
FOREVER = float("inf")


def reaches(lock, path):
    mine = lock["path"].rstrip("/")
    other = path.rstrip("/")
    return (mine == other or (lock["children"] and other.startswith(mine + "/")) or
            (lock["parents"] and mine.startswith(other + "/")))


def clash(a, b):
    if a["lease"] == b["lease"] or (a["mode"] == "shared" and b["mode"] == "shared"):
        return False
    return reaches(a, b["path"]) or reaches(b, a["path"])


def check(locks, answers, refusals):
    """Returns what is wrong, in sentences."""
    wrong = []
    held = [lock for lock in locks if lock["must"][1] > lock["must"][0]]
    held.sort(key=lambda lock: lock["must"][0])
    open_ones = []
    for lock in held:
        open_ones = [other for other in open_ones if other["must"][1] > lock["must"][0]]
        wrong += [f"{lock['path']} (fence {lock['fence']}) overlaps {other['path']} (fence "
                  f"{other['fence']})" for other in open_ones if clash(lock, other)]
        open_ones.append(lock)
    fences = [(lock["must"][0], 1, lock["fence"]) for lock in held]
    fences += [(lock["may"][0], 0, lock["fence"]) for lock in held]
    wrong += order_faults("fence", fences, strict=True)
    indexes = [(answer["got"], 1, answer["index"]) for answer in answers]
    indexes += [(answer["sent"], 0, answer["index"]) for answer in answers]
    wrong += order_faults("index", indexes, strict=False)
    for refused in refusals:
        possible = any(lock["may"][0] <= refused["got"] and lock["may"][1] >= refused["sent"] and
                       clash(lock, refused) for lock in locks)
        if not possible:
            wrong.append(f"the refusal of {refused['path']} has no possible reason")
    return wrong


def order_faults(what, events, strict):
    """Each value known before another was asked for must be less (or at most equal)."""
    highest, wrong = -1, []
    for _, is_known, value in sorted(events):
        if is_known:
            highest = max(highest, value)
        elif value < highest or (strict and value == highest):
            wrong.append(f"{what} {value} although {highest} was known before")
    return wrong


class Worker(threading.Thread):
    def __init__(self, port, seed, stop):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.client = Client(port, timeout=3)
        self.stop = stop
        self.locks, self.answers, self.refusals = [], [], []
        self.faults = []

    def run(self):
        while not self.stop.is_set():
            try:
                self.live_one_lease()
            except AssertionError as fault:
                self.faults.append(str(fault))

    def ask(self, call):
        """The answer with its times; None when it is not known what became of the request."""
        sent = time.monotonic()
        try:
            answer = call()
        except (OSError, http.client.HTTPException):
            self.client.close()
            time.sleep(0.02)
            return sent, time.monotonic(), None
        got = time.monotonic()
        if answer.status < 500:
            self.answers.append({"sent": sent, "got": got, "index": answer.index})
        return sent, got, answer

    def live_one_lease(self):
        token = fresh_token()
        ttl = self.random.choice([0.3, 1, None])
        mine = []
        for _ in range(self.random.choice([1, 1, 2])):
            self.acquire(token, ttl, mine)
        time.sleep(self.random.random() * 0.02)
        if mine and ttl and self.random.random() < 0.3:
            sent, _, answer = self.ask(lambda: self.client.renew(token))
            if answer is not None and answer.status == 200:
                for lock in mine:
                    lock["must"][1] = max(lock["must"][1], sent + ttl)
        self.end(token, ttl, mine)

    def acquire(self, token, ttl, mine):
        path = self.random.choice(PATHS)
        if any(lock["path"] == path for lock in mine):
            return
        lock = {"lease": token, "path": path, "mode": self.random.choice(["exclusive", "shared"]),
                "parents": self.random.random() < 0.8, "children": self.random.random() < 0.8}
        parameters = {"token": token, "mode": lock["mode"], "owner": self.name,
                      "lock_parents": lock["parents"], "lock_children": lock["children"]}
        if ttl:
            parameters["ttl"] = ttl
        if self.random.random() < 0.6:
            parameters["wait"] = self.random.choice([0.02, 0.2, 1])
        first = None
        for _ in range(40):  # a reply that got lost is asked for again
            sent, got, answer = self.ask(lambda: self.client.acquire(path, **parameters))
            first = sent if first is None else first
            if answer is not None and answer.status not in (503, 507):
                break
        lock["may"] = [first, FOREVER]
        if answer is None or answer.status in (503, 507):
            lock.update(must=[0, 0], fence=0)  # perhaps it has it
            self.locks.append(lock)
            mine.append(lock)
            return
        if answer.status in (200, 201):
            lock["fence"] = answer["fence"]
            # The TTL counts from the grant, which is not earlier than when the request was sent.
            lock["must"] = [got, sent + ttl if ttl else FOREVER]
            self.locks.append(lock)
            mine.append(lock)
            return
        assert answer.status in (409, 410, 423), answer
        if answer.status == 423 and not any(b["state"] == "waiting" for b in answer["blocked_by"]):
            self.refusals.append({**lock, "sent": sent, "got": got})

    def end(self, token, ttl, mine):
        if not mine:
            return
        if ttl and self.random.random() < 0.2:
            return time.sleep(ttl)  # let it expire
        sent = time.monotonic()
        for lock in mine:
            lock["must"][1] = min(lock["must"][1], sent)
        for _ in range(40):
            _, got, answer = self.ask(lambda: self.client.call("DELETE", "/v1/leases", token=token))
            if answer is not None and answer.status < 500:
                assert answer.status in (200, 404, 410), answer
                for lock in mine:
                    lock["may"][1] = got
                return


def run(seconds, seed):
    chance = random.Random(seed)
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as directory:
        store = os.path.join(directory, "locks.db")
        server = Lockerd(store)
        workers = [Worker(server.port, chance.random(), stop) for _ in range(24)]
        for worker in workers:
            worker.start()
        until = time.monotonic() + seconds
        kills = 0
        while time.monotonic() < until:
            time.sleep(0.5 + chance.random() * 2)
            server.kill()
            kills += 1
            server = Lockerd(store, port=server.port)
        stop.set()
        for worker in workers:
            worker.join(timeout=120)
        server.kill()
    locks = [lock for worker in workers for lock in worker.locks]
    answers = [answer for worker in workers for answer in worker.answers]
    refusals = [refusal for worker in workers for refusal in worker.refusals]
    wrong = [fault for worker in workers for fault in worker.faults]
    wrong += check(locks, answers, refusals)
    print(f"seed {seed}: {len(answers)} answers, {len(locks)} locks, {len(refusals)} refusals, "
          f"{kills} kills: {len(wrong)} faults")
    return wrong


def history(count=200):
    """A right one, by one thread that holds one lock at a time."""
    locks, answers = [], []
    for n in range(count):
        at = float(n)
        locks.append({"lease": n, "path": PATHS[n % len(PATHS)], "mode": "exclusive", "fence": n + 1,
                      "parents": True, "children": True, "may": [at, at + 0.8],
                      "must": [at + 0.1, at + 0.6]})
        answers.append({"sent": at, "got": at + 0.1, "index": 2 * n + 1})
    return locks, answers, []


def selftest():
    locks, answers, refusals = history()
    assert check(locks, answers, refusals) == []
    locks[50]["must"][1] += 2
    assert any("overlaps" in fault for fault in check(locks, answers, refusals))
    locks, answers, refusals = history()
    locks[50]["fence"] = 3
    assert any("fence" in fault for fault in check(locks, answers, refusals))
    locks, answers, refusals = history()
    answers[50]["index"] -= 9
    assert any("index" in fault for fault in check(locks, answers, refusals))
    locks, answers, refusals = history()
    refused = {**locks[0], "lease": "x", "sent": 5.9, "got": 5.95}
    assert any("reason" in fault for fault in check(locks, answers, [refused]))
    assert check(locks, answers, [{**refused, "sent": 5.2, "got": 5.3}]) == []


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments.add_argument("--selftest", action="store_true")
    given = arguments.parse_args()
    selftest()
    if given.selftest:
        return
    wrong = run(given.seconds, given.seed)
    for fault in wrong[:20]:
        print(fault)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
