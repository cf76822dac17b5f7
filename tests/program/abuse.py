"""Hostile clients, and checks that the server withstands them.

LOCKER_ABUSE: the number of connections of the large crowds; `./dev abuse` uses 9,000.
"""

import errno
import os
import re
import resource
import select
import socket
import struct
import threading
import time

from lockerd import BUILD
from v1_client import Client

PATIENCE = 120  # seconds; for what must happen, on a busy machine


def crowd_size():
    """Returns the connections requested, limited to what this process and the server may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(60, min(int(os.environ.get("LOCKER_ABUSE", "1500")), 9_500, hard * 3 // 4 - 600))


def is_sanitized():
    """Returns whether a sanitizer is built in: its own memory hides the server's."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search(r"^LOCKER_SANITIZE:\w+=.", cache.read(), re.MULTILINE) is not None


def eventually(condition, what, pause=0.02):
    late = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < late, f"not within {PATIENCE} s: {what}"
        time.sleep(pause)


class Watch:
    """Measures the server's memory, file descriptors and CPU time; records the peak memory."""

    def __init__(self, server):
        self.server = server
        self.pid = server.process.pid
        server.get("/healthz")
        time.sleep(0.3)  # the next segment is being prepared
        self.descriptors_before = self.descriptors()
        self.memory_before = self.memory_peak = self.memory()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _sample(self):
        while not self.stop.wait(0.05):
            try:
                self.memory_peak = max(self.memory_peak, self.memory())
            except (OSError, StopIteration):
                return

    def memory(self):
        """Returns the resident memory in MiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check_recovered(self, memory_max):
        """Checks that all connections are gone, that the server is idle, that its memory stayed
        below `memory_max` MiB, and that it then shuts down properly."""
        # The journal has one or two more or fewer while it switches segments.
        eventually(lambda: self.descriptors() <= self.descriptors_before + 2, "descriptors")
        self.check_idle()
        self.stop.set()
        self.thread.join()
        if not is_sanitized():
            assert self.memory_peak < memory_max, f"{self.memory_peak} of {memory_max} MiB"
        assert self.server.stop() == 0, self.server.text()

    def check_idle(self):
        """Checks the server's own CPU time, which does not depend on the load of the machine."""
        def used_in_a_second():
            before = self.cpu()
            time.sleep(1)
            return self.cpu() - before
        eventually(lambda: used_in_a_second() < 0.25, "no CPU is used")


class GoodClients:
    """Well-behaved clients that must get the right answers throughout."""

    def __init__(self, port, count=3):
        self.stop = threading.Event()
        self.faults = []
        self.cycles = 0
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self._run, args=(port, number), daemon=True)
                        for number in range(count)]
        self.begun = threading.Barrier(count + 1)
        for thread in self.threads:
            thread.start()
        self.begun.wait(PATIENCE)

    def _run(self, port, number):
        client, other = Client(port, PATIENCE), Client(port, PATIENCE)
        try:
            self._cycle(client, other, number)
            self.begun.wait(PATIENCE)
            while not self.stop.is_set():
                self._cycle(client, other, number)
        except Exception as error:  # any exception is a failure
            self.faults.append(error)
        client.close()
        other.close()

    def _ask(self, expected, call):
        while True:
            began = time.monotonic()
            answer = call()
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status == 503 and answer["error"] == "busy":
                time.sleep(0.005)  # the journal prepares a segment
                continue
            assert answer.status == expected, answer
            return answer

    def _cycle(self, client, other, number):
        path = f"/good/{number}"
        token = self._ask(201, lambda: client.acquire(path, owner="good", ttl="10m"))["token"]
        refused = self._ask(423, lambda: other.acquire(path + "/below"))
        assert refused["blocked_by"][0]["owner"] == "good", refused
        assert self._ask(200, lambda: other.ask("GET", f"/dohaz{path}"))["lockedBy"] == "good"
        assert self._ask(200, lambda: client.renew(token))["locks"] == 1
        assert self._ask(200, lambda: client.release(path, token))["released"]
        self.cycles += 1
        time.sleep(0.002)

    def check(self):
        if self.stop.is_set():
            return
        self.stop.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not self.faults, self.faults
        assert self.cycles > len(self.threads), "they did not get round once"
        print(f"good clients: {self.cycles} rounds, slowest answer {self.slowest:.2f} s")


class Hostile:
    """A non-blocking connection that keeps the beginning of what it read."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)
        self.received = b""
        self.is_open = True
        self.rest = b""  # not sent yet
        if self.socket.connect_ex(("127.0.0.1", port)) not in (0, errno.EINPROGRESS):
            self.is_open = False

    def send(self, data=b""):
        """Queues data, and sends as much as the socket accepts now."""
        self.rest += data
        while self.rest and self.is_open:
            try:
                self.rest = self.rest[self.socket.send(self.rest):]
            except BlockingIOError:
                return
            except OSError:
                self.is_open = False

    def receive(self):
        """Reads everything available."""
        while self.is_open:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.is_open = False
            if len(self.received) < 4096:
                self.received += data

    def is_gone(self):
        """Returns whether the server has closed the connection, without reading anything."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return not self.is_open or bool(poll.poll(0))

    def status(self):
        """Returns the status of the first answer; 0 if there was none."""
        found = re.match(rb"HTTP/1.1 (\d+)", self.received)
        return int(found.group(1)) if found else 0

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.is_open = False

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.is_open = False
        self.socket.close()


class Crowd(list):
    """Many connections of one kind."""

    def __init__(self, port, count, **options):
        super().__init__(Hostile(port, **options) for _ in range(count))

    def send(self, data=b""):
        for each in self:
            each.send(data)

    def receive(self):
        for each in self:
            each.receive()

    def open_count(self):
        return sum(each.is_open for each in self)

    def statuses(self):
        return {each.status() for each in self}

    def close(self):
        for each in self:
            each.close()


def request(target, method="GET", headers=b"", body=b""):
    if body or method == "POST":
        headers += b"Content-Length: %d\r\n" % len(body)
    return b"%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s" % (method.encode(), target.encode(), headers, body)
