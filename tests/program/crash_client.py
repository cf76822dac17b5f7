"""Clients that record the answers they got, for tests in which the server goes down."""

import copy
import http.client
import threading

from v1_client import Client, fresh_token

# The errors of a client whose server goes down. A timeout is an OSError, too, but does not count: a
# silent server is not gone.
GONE = (OSError, EOFError, http.client.HTTPException)


def fault_of(error):
    """Returns what is wrong with an error; None if it only says that the server is gone."""
    if isinstance(error, TimeoutError):
        return f"a request hangs: {error!r}"
    return None if isinstance(error, GONE) else f"{error!r}"


class Promises:
    """What the server has promised. A request without an answer may have been carried out."""

    def __init__(self):
        self.held = {}  # path -> (token, fence)
        self.releasing = set()  # a release was sent, and may have been carried out
        self.released = set()
        self.refusals = {}  # status -> how often
        self.problems = []  # sentences about answers that no fault of the disk excuses
        self.seen_held = {}  # path -> the fence shown to an observer
        self.seen_free = set()  # paths shown to an observer as free after they were held

    def copy(self):
        """Returns a snapshot. Copying a dictionary is atomic."""
        now = copy.copy(self)
        for name, value in vars(self).items():
            setattr(now, name, value.copy())
        return now

    def check(self, client):
        """Returns sentences about broken promises. No path is acquired twice."""
        broken = list(self.problems)

        def holders_of(path):
            return [holder["fence"] for holder in client.call("GET", "/v1/locks" + path)["holders"]]

        for path, (token, fence) in sorted(self.held.items()):
            holders = holders_of(path)
            if holders != [fence]:
                broken.append(f"{path}: fence {fence} was granted; its holders are {holders}")
            elif client.renew(token).status != 200:
                broken.append(f"{path}: its token is not known any more")
        for path in sorted(self.released):
            if holders_of(path):
                broken.append(f"{path} was released and is held")
        for path, fence in sorted(self.seen_held.items()):
            if path in self.seen_free or path in self.released:
                continue
            holders = holders_of(path)
            if holders != [fence] and (holders or path not in self.releasing):
                broken.append(f"{path}: fence {fence} was shown; its holders are {holders}")
        for path in sorted(self.seen_free):
            if holders_of(path):
                broken.append(f"{path} was shown as released and is held")
        return broken


class Worker(threading.Thread):
    """Acquires locks and releases some, until the server is gone or `count` is reached."""

    def __init__(self, port, name, promises, count, meta=""):
        super().__init__()
        self.client = Client(port, timeout=20)
        self.name = name
        self.promises = promises
        self.count = count
        self.meta = meta
        self.asks_about = None  # the path of its current request
        self.start()

    def run(self):
        try:
            for number in range(self.count):
                self.take(f"/crash/{self.name}/{number}", number)
        except Exception as error:  # nothing else reports a thread's exception
            if fault := fault_of(error):
                self.promises.problems.append(f"{self.asks_about}: {fault}")
        finally:
            self.client.close()

    def take(self, path, number):
        token = fresh_token()
        self.asks_about = path
        answer = self.client.acquire(path, token=token, ttl="1h", meta=self.meta)
        if answer.status in (503, 507):  # the disk fails, or the journal prepares a segment
            self.promises.refusals[answer.status] = self.promises.refusals.get(answer.status, 0) + 1
            return
        if answer.status != 201:
            self.promises.problems.append(f"{path} was asked for: {answer}")
            return
        self.promises.held[path] = (token, answer["fence"])
        if number % 3 != 0:
            return
        victim = f"/crash/{self.name}/{number // 2}"
        if victim in self.promises.held:
            self.release(victim)

    def release(self, path):
        self.promises.releasing.add(path)
        token, _ = self.promises.held.pop(path)  # unknown from here on
        self.asks_about = path
        answer = self.client.release(path, token)
        if answer.status == 200:
            self.promises.released.add(path)
        else:  # a full disk, too, has room to release so few locks
            self.promises.problems.append(f"{path} was held, and its release answered {answer}")
