"""The threads that keep a lease alive, and notice when that failed."""

from __future__ import annotations

import functools
import queue
import sys
import threading
from typing import Callable, TypeVar, cast

from . import deadline, protocol, renewing
from .exchange import LONGEST_PAUSE, Answer, NoAnswer, Pause, Send, Steps
from .tenure import Tenure

Result = TypeVar("Result")


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


def wait_for(woken: queue.SimpleQueue[None], seconds: float) -> None:
    """Until something is put in, but no longer than that."""
    try:
        woken.get(timeout=seconds)
    except queue.Empty:
        pass


def start_thread(name: str, work: Callable[[], None]) -> None:
    """Raises RuntimeError if no thread is to be had."""
    handled = sys.exc_info()[1]  # by the caller: the context of whatever is raised here
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        if error.__context__ is None or error.__context__ is handled:
            raise
        raise error.__context__  # of a signal handler, by which the library's own locks were torn


def in_background(name: str, work: Callable[[], None]) -> bool:
    """False if no thread is to be had, or the interpreter ends."""
    try:
        start_thread("lockerclient-" + name, work)
    except RuntimeError:
        return False
    return True


class _Stopped(Exception):
    pass


class Keeper:
    """Renews a lease in a thread of its own: one that hangs delays no other.

    It is woken by a queue: what Event and Condition do is Python code, amid which a signal handler
    can raise, and then they stay locked for ever.
    """

    def __init__(self, settings: protocol.Settings, tenure: Tenure,
                 send: Callable[[Send], Answer]):
        self._settings = settings
        self._tenure = tenure
        self._send = send
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_stopped = False
        self._is_forsaken = False

    def start(self, give_back: Callable[[], None]) -> None:
        """`give_back` is for when it is forsaken."""
        start_thread("locker-keeper", functools.partial(self._run, give_back))

    def stop(self) -> None:
        self._is_stopped = True
        self._woken.put(None)

    def forsake(self) -> None:
        """Nobody has the lease any more, and nobody has stopped this: it gives the lease back. Of
        any thread, amid whatever that does."""
        self._is_forsaken = True
        self.stop()

    def _run(self, give_back: Callable[[], None]) -> None:
        try:
            drive(renewing.keep(self._settings, self._tenure), self._send_unless_stopped,
                  self._pause)
        except _Stopped:
            pass
        if self._is_forsaken:
            give_back()

    def _send_unless_stopped(self, step: Send) -> Answer:
        if self._is_stopped:
            raise _Stopped
        return self._send(step)

    def _pause(self, seconds: float) -> None:
        wait_for(self._woken, seconds)
        if self._is_stopped:
            raise _Stopped


class DeadlineWatch:
    """Notices leases whose time is over, even while their keepers hang in the network.

    One thread for all of a client's; it ends with the last of them.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()  # a signal handler may ask while its thread is in here
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._tenures: set[Tenure] = set()
        self._is_running = False

    def add(self, tenure: Tenure) -> None:
        with self._mutex:
            self._tenures.add(tenure)
            if self._is_running:
                self._woken.put(None)
                return
            self._woken = queue.SimpleQueue()
            self._is_running = True
        try:
            start_thread("locker-deadlines", self._run)
        except BaseException:  # there cannot be another thread, or Ctrl-C
            self._is_running = False
            raise

    def remove(self, tenure: Tenure) -> None:
        with self._mutex:
            self._tenures.discard(tenure)
            self._woken.put(None)

    def _run(self) -> None:
        while True:
            with self._mutex:
                if not self._tenures:
                    self._is_running = False
                    return
                watched = list(self._tenures)
            for tenure in watched:
                if tenure.has_ended():
                    self.remove(tenure)
            left = min(tenure.deadline.ends for tenure in watched) - deadline.now()
            wait_for(self._woken, max(0.0, min(left, LONGEST_PAUSE)))
