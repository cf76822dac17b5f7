"""The threads that keep a lease alive, and notice when that failed."""

from __future__ import annotations

import threading
from typing import Callable, TypeVar, cast

from . import deadline, protocol
from .exchange import Answer, NoAnswer, Pause, Send, Steps
from .tenure import Tenure

Result = TypeVar("Result")
# A thread's timers stand still while the machine is suspended: look at the clock after so long.
LONGEST_SLEEP = 2.0


def drive(steps: Steps[Result], send: Callable[[Send], Answer],
          pause: Callable[[float], None]) -> Result:
    """Does what the steps ask for."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                pause(step.seconds)
                step = steps.send(None)
                continue
            try:
                answer = send(step)
            except NoAnswer as failure:
                step = steps.throw(failure)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return cast(Result, stop.value)


class _Stopped(Exception):
    pass


class Keeper:
    """Renews a lease in a thread of its own: one that hangs delays no other."""

    def __init__(self, settings: protocol.Settings, tenure: Tenure, send: Callable[[Send], Answer]):
        self._settings = settings
        self._tenure = tenure
        self._send = send
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="locker-keeper", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        try:
            drive(protocol.keep(self._settings, self._tenure), self._send_unless_stopped,
                  self._pause)
        except _Stopped:
            pass

    def _send_unless_stopped(self, step: Send) -> Answer:
        if self._stop.is_set():
            raise _Stopped
        return self._send(step)

    def _pause(self, seconds: float) -> None:
        until = deadline.now() + seconds
        while True:
            left = until - deadline.now()
            if self._stop.wait(max(0.0, min(left, LONGEST_SLEEP))):
                raise _Stopped
            if left <= LONGEST_SLEEP:
                return


class DeadlineWatch:
    """Notices leases whose time is over, even while their keepers hang in the network.

    One thread for all of a client's; it ends with the last of them.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._tenures: set[Tenure] = set()
        self._is_running = False

    def add(self, tenure: Tenure) -> None:
        with self._condition:
            self._tenures.add(tenure)
            self._condition.notify()
            if self._is_running:
                return
            self._is_running = True
        try:
            threading.Thread(target=self._run, name="locker-deadlines", daemon=True).start()
        except BaseException:  # there cannot be another thread, or Ctrl-C
            with self._condition:
                self._is_running = False
            raise

    def remove(self, tenure: Tenure) -> None:
        with self._condition:
            self._tenures.discard(tenure)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._tenures:
                    self._is_running = False
                    return
                soonest = min(tenure.deadline.ends for tenure in self._tenures)
                left = soonest - deadline.now()
                if left > 0:
                    self._condition.wait(min(left, LONGEST_SLEEP))
                    continue
                watched = list(self._tenures)
            for tenure in watched:
                if tenure.has_ended():
                    self.remove(tenure)
