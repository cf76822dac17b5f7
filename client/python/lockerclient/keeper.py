"""The threads that keep a lease alive, and detect when that failed."""

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
    """Run steps to their end; return their result."""
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
    """Wait until something is put into the queue, for at most `seconds`."""
    try:
        woken.get(timeout=seconds)
    except queue.Empty:
        pass


def start_thread(name: str, work: Callable[[], None]) -> None:
    """Start a daemon thread; raise RuntimeError if none can be started."""
    handled = sys.exc_info()[1]  # by the caller: becomes the context of what is raised here
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        if error.__context__ is None or error.__context__ is handled:
            raise
        raise error.__context__  # a signal handler's, which broke threading's own locks


def in_background(name: str, work: Callable[[], None]) -> bool:
    """Start a thread; return False if none can be started, or the interpreter is exiting."""
    try:
        start_thread("lockerclient-" + name, work)
    except RuntimeError:
        return False
    return True


class _Stopped(Exception):
    pass


class Keeper:
    """Renews a lease in its own thread, so that one that hangs delays no other.

    A queue wakes it: Event and Condition are Python code, and if a signal handler raises while they
    run, they stay locked for ever.
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
        """Start the thread, which calls `give_back` once it is forsaken."""
        start_thread("locker-keeper", functools.partial(self._run, give_back))

    def stop(self) -> None:
        self._is_stopped = True
        self._woken.put(None)

    def forsake(self) -> None:
        """Stop renewing and make the thread release the lease, whose holder is gone.

        May be called by any thread, at any point of its execution.
        """
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
    """Detects leases whose deadline has passed, even while their keepers hang in the network.

    One thread per client; it ends with the last lease.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()  # a signal handler may re-enter in the same thread
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
        except BaseException:  # no thread can be started, or Ctrl-C
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
