"""Clients that remember what they were told, for tests in which the server goes down."""

import threading

from v1_client import Client, fresh_token


class Promises:
    """What the server has answered. A request without an answer may have been carried out."""

    def __init__(self):
        self.held = {}  # path -> (token, fence)
        self.released = set()
        self.refusals = {}  # status -> how often
        self.seen = {}  # path -> the highest fence that was shown to an observer

    def check(self, client):
        """Sentences about what was promised and is not so."""
        broken = []
        for path, (token, fence) in sorted(self.held.items()):
            state = client.call("GET", "/v1/locks" + path)
            holders = [holder["fence"] for holder in state["holders"]]
            if holders != [fence]:
                broken.append(f"{path}: fence {fence} was granted; its holders are {holders}")
            elif client.renew(token).status != 200:
                broken.append(f"{path}: its token is not known any more")
        for path in sorted(self.released):
            if client.call("GET", "/v1/locks" + path)["holders"]:
                broken.append(f"{path} was released and is held")
        for path, fence in sorted(self.seen.items()):
            # Shown as held: its grant is on the disk. It may have been released since.
            if path not in self.held and path not in self.released:
                continue
            state = client.call("GET", "/v1/locks" + path)
            if any(holder["fence"] < fence for holder in state["holders"]):
                broken.append(f"{path}: fence {fence} was shown, and an older one holds it")
        return broken


class Worker(threading.Thread):
    """Takes locks and gives some of them back until the server is gone or `count` is reached."""

    def __init__(self, port, name, promises, count, meta=""):
        super().__init__()
        self.client = Client(port, timeout=20)
        self.name = name
        self.promises = promises
        self.count = count
        self.meta = meta
        self.start()

    def run(self):
        try:
            for number in range(self.count):
                self.take(f"/crash/{self.name}/{number}", number)
        except (OSError, EOFError, ValueError) as error:
            self.gone = error
        except Exception as error:  # http.client has errors of many classes
            self.gone = error
        finally:
            self.client.close()

    def take(self, path, number):
        token = fresh_token()
        answer = self.client.acquire(path, token=token, ttl="1h", meta=self.meta)
        if answer.status != 201:
            self.refused(answer)
            return
        self.promises.held[path] = (token, answer["fence"])
        if number % 3 != 0:
            return
        victim = f"/crash/{self.name}/{number // 2}"
        if victim not in self.promises.held:
            return
        token, _ = self.promises.held.pop(victim)  # from here on nobody knows
        answer = self.client.release(victim, token)
        if answer.status == 200:
            self.promises.released.add(victim)
        else:
            self.refused(answer)

    def refused(self, answer):
        if answer.status not in (503, 507):
            raise AssertionError(f"unexpected answer: {answer}")
        counts = self.promises.refusals
        counts[answer.status] = counts.get(answer.status, 0) + 1
