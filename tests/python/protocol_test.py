"""The protocol of the Python client, with a simulated clock and network."""

import asyncio
import json
import unittest

import server_case  # noqa: F401, extends sys.path
from lockerclient import (Deadlock, LockerError, LockLost, NotAcquired, Unreachable, calls,
                          giving_back, protocol, renewing)
from lockerclient.acquisition import Acquisition
from lockerclient.aio import http
from lockerclient.deadline import Deadline
from lockerclient.errors import chain
from lockerclient.event_stream import EventStream
from lockerclient.exchange import Answer, NoAnswer, Send
from lockerclient.inventory import Leaving, Use
from lockerclient.records import Grant
from lockerclient.tenure import Tenure

GRANT = {"token": "t", "path": "/a", "owner": "o", "fence": 7, "ttl_ms": 30000, "waited_ms": 0}
LOCKED = {"error": "locked", "message": "No.", "blocked_by": [], "waited_ms": 0}
RENEWED = {"ttl_ms": 30000, "locks": 1, "waiters": 0}
EXPIRED = {"error": "lease_ended", "message": "Gone.", "reason": "expired", "detail": None}
FORCED = {**EXPIRED, "reason": "forced", "detail": "why"}
SUPERSEDED = {"error": "superseded", "message": "Taken."}
LEFT = (0, 200, {"released": 0})
REFUSED = NoAnswer("refused", was_sent=False)
SILENCE = (None, NoAnswer("timeout", True))


class World:
    """A simulated clock, and a network that follows a script.

    Its entries are (seconds, status, body) or (seconds, NoAnswer), with the seconds that the answer
    takes; None: as many as the request waits for.
    """

    def __init__(self, *script, patience=30.0):
        self.now = 1000.0
        self.script = list(script)
        self.requests = []
        self.settings = protocol.Settings(10.0, patience, lambda: self.now)

    def drive(self, steps):
        try:
            step = next(steps)
            while True:
                if not isinstance(step, Send):
                    self.now += step.seconds
                    step = steps.send(None)
                    continue
                self.requests.append((self.now, step))
                taken, what, *body = self.script.pop(0)
                sent, self.now = self.now, self.now + (step.timeout if taken is None else taken)
                if isinstance(what, NoAnswer):
                    step = steps.throw(what)
                else:
                    text = body[0] if isinstance(body[0], str) else json.dumps(body[0])
                    step = steps.send(Answer(what, text, sent))
        except StopIteration as stop:
            return stop.value

    def tokens(self):
        return [step.request.headers["Lock-Token"] for _, step in self.requests]

    def waits(self):
        return [step.request.body.get("wait") for _, step in self.requests if step.request.body]

    def calls(self):
        return [f"{step.request.method} {step.request.target}" for _, step in self.requests]


def held(*paths, fence=7):
    """Returns the locks of a lease as the server lists them."""
    return {"next": None, "locks": [{"path": path, "fence": fence, "mode": "exclusive",
                                     "state": "held"} for path in paths]}


def wanted(ttl=30.0):
    return calls.Wanted.of("/a", mode="exclusive", lock_parents=True, lock_children=True, ttl=ttl)


class Asking(unittest.TestCase):
    def test_again_and_again_while_there_is_no_answer(self):
        world = World((0, REFUSED), (0, 502, "<html>"), (0, 503, {"error": "busy", "message": "x"}),
                      (0, 200, {}))
        self.assertEqual(world.drive(protocol.ask(world.settings, calls.status())).status, 200)
        self.assertLess(world.now, 1001)

    def test_patience_ends(self):
        world = World(*[(0, REFUSED)] * 1000)
        with self.assertRaisesRegex(Unreachable, "GET /v1/status: .*refused"):
            world.drive(protocol.ask(world.settings, calls.status()))
        self.assertGreater(world.now, 1028)
        self.assertLessEqual(world.now, 1030)
        self.assertGreater(len(world.requests), 25)  # notices soon that the server is back

    def test_patience_is_counted_from_when_a_silent_server_was_asked(self):
        for patience, tries in ((3, 1), (30, 3)):
            world = World(*[SILENCE] * 10, patience=patience)
            with self.assertRaises(Unreachable):
                world.drive(protocol.ask(world.settings, calls.status()))
            self.assertEqual(len(world.requests), tries)

    def test_a_refusal_that_lasts_is_told_as_such(self):
        world = World(*[(0, 503, {"error": "too_many_leases", "message": "Full."})] * 1000)
        with self.assertRaises(LockerError) as caught:
            world.drive(protocol.ask(world.settings, calls.status()))
        self.assertEqual((caught.exception.code, caught.exception.status), ("too_many_leases", 503))

    def test_what_cannot_be_mended_is_told_at_once(self):
        world = World((0, NoAnswer("no such host", False, is_hopeless=True)))
        with self.assertRaises(Unreachable):
            world.drive(protocol.ask(world.settings, calls.status()))

    def test_what_may_have_been_done_is_not_done_again(self):
        request = calls.canhaz("/a", None, True, True)
        for first in ((0, NoAnswer("cut", True, True)), (0, 502, "<html>"),
                      (0, 504, {"error": "Gateway Timeout"})):
            world = World(first)
            with self.assertRaisesRegex(Unreachable, "may have been carried out"):
                world.drive(protocol.ask(world.settings, request))
        world = World((0, REFUSED), (0, 503, {"ok": False, "error": "Later."}), (0, 200, {}))
        self.assertEqual(world.drive(protocol.ask(world.settings, request)).status, 200)
        world = World(*[(0, REFUSED)] * 1000)
        with self.assertRaises(Unreachable) as caught:
            world.drive(protocol.ask(world.settings, request))
        self.assertNotIn("carried out", str(caught.exception))

    def test_a_force_that_the_server_stopped_on_its_way_is_not_sent_again(self):
        stopped = (0, 503, {"error": "busy", "message": "Stopping."})
        for fence, cooling, is_sent_again in ((None, False, False), (7, True, False),
                                              (7, False, True)):
            world = World(stopped, (0, 200, {"ended": 1}))
            request = calls.force("/a", fence, None, cooling, False)
            asked = protocol.ask(world.settings, request)
            if is_sent_again:
                self.assertEqual(world.drive(asked).status, 200)
                continue
            with self.assertRaises(LockerError) as caught:
                world.drive(asked)
            self.assertEqual((caught.exception.code, len(world.requests)), ("busy", 1))

    def test_what_only_looks_like_a_refusal_of_a_lock_server_is_an_error_of_the_client(self):
        for body in ({"error": "locked", "message": "x"}, {**LOCKED, "message": 5},
                     {**LOCKED, "blocked_by": [5]}, {"error": "lease_ended", "message": "x"},
                     {"error": "deadlock", "message": "x", "cycle": None}):
            world = World((0, 423, body))
            with self.assertRaisesRegex(LockerError, "not an answer of a lock server"):
                world.drive(protocol.call(world.settings, calls.status(), Grant.parse))

    def test_what_does_not_say_how_long_a_lease_lives_has_opened_none(self):
        for body in ({}, {"ttl_ms": "x"}):
            world = World((0, 200, body))
            with self.assertRaisesRegex(LockerError, "not an answer of a lock server"):
                world.drive(protocol.opened_lease(world.settings, "t", "o", 30))

    def test_a_proxy_that_cuts_long_waits_does_no_harm(self):
        cuts = [(12, 504, "<html>"), (12, NoAnswer("cut", True, True))] * 10
        world = World(*cuts, (1, 200, {}))
        world.drive(protocol.ask_waiting(world.settings, lambda _: (calls.status(), 20)))
        self.assertEqual(len(world.requests), 21)
        hangs = World(*[(30, NoAnswer("timeout", True))] * 5)
        with self.assertRaises(Unreachable):
            hangs.drive(protocol.ask_waiting(hangs.settings, lambda _: (calls.status(), 20)))


class Acquiring(unittest.TestCase):
    def acquire(self, world, wait=None, **options):
        return world.drive(
            Acquisition(world.settings, wanted(**options), wait).steps())

    def join(self, world, **options):
        return world.drive(
            Acquisition(world.settings, wanted(None), None, "mine", **options).steps())

    def test_one_token_until_it_is_answered(self):
        world = World((0, REFUSED), (5, NoAnswer("cut", True, True)), (20, 423, LOCKED),
                      (0, 502, "x"), (0, 201, GRANT))
        self.assertEqual(self.acquire(world).fence, 7)
        self.assertEqual(len(set(world.tokens())), 1)

    def test_long_waits_are_made_of_pieces(self):
        world = World((20, 423, LOCKED), (20, 423, LOCKED), (5, 423, LOCKED), LEFT)
        with self.assertRaises(NotAcquired):
            self.acquire(world, wait=45)
        self.assertEqual(world.waits(), ["20000ms", "20000ms", "5000ms"])
        self.assertEqual(world.calls()[-1], "DELETE /v1/leases")

    def test_a_place_that_a_late_copy_has_taken_is_taken_back(self):
        world = World(*[(0, 409, SUPERSEDED)] * 20, (0, 201, GRANT))
        self.assertEqual(self.acquire(world).fence, 7)
        self.assertEqual(len(set(world.tokens())), 1)
        pauses = [after - before for (before, _), (after, _) in
                  zip(world.requests, world.requests[1:])]
        self.assertLess(pauses[0], 0.1)
        self.assertGreaterEqual(min(pauses[8:]), 0.5)  # copies of every request cause no flood
        self.assertLessEqual(max(pauses), 1)

    def test_the_place_is_not_taken_back_for_longer_than_the_wait(self):
        world = World((4, 409, SUPERSEDED), (4, 409, SUPERSEDED), (0, 423, LOCKED), LEFT)
        with self.assertRaises(NotAcquired):
            self.acquire(world, wait=5)
        self.assertEqual(world.waits()[-1], None)
        self.assertEqual(world.calls()[-1], "DELETE /v1/leases")
        self.assertEqual(len(set(world.tokens())), 1)

    def test_the_wait_does_not_end_later_for_it(self):
        world = World(*[(0, 409, SUPERSEDED)] * 100)
        with self.assertRaises(IndexError):  # the script has ended
            self.acquire(world, wait=5)
        waits = world.waits()
        last, after = (world.requests[waits.index(None) + more][0] for more in (0, 1))
        self.assertAlmostEqual(last, 1005)
        self.assertGreater(after, 1005.2)  # even then the requests are paced

    def test_a_lease_of_ones_own_takes_the_place_back_while_it_lives(self):
        world = World((0, 409, SUPERSEDED), (0, 200, RENEWED), (0, 201, GRANT))
        self.assertEqual(self.join(world).fence, 7)
        world = World((0, 409, SUPERSEDED), (0, 410, EXPIRED))
        with self.assertRaises(LockLost):
            self.join(world)

    def test_who_has_a_token_of_others_leaves_them_the_place(self):
        world = World((0, 200, {**RENEWED, "locks": 0}), (0, 409, SUPERSEDED))
        with self.assertRaises(LockerError) as caught:
            self.join(world, is_alone=False)
        self.assertEqual(caught.exception.code, "superseded")

    def test_who_gives_up_does_not_try_for_longer_than_it_can_have_been_granted(self):
        world = World(*[(0, REFUSED)] * 1000)
        acquisition = Acquisition(world.settings, wanted(ttl=30.0), 0)
        world.drive(acquisition.go_on_giving_up())
        self.assertGreater(world.now, 1030)
        self.assertLess(world.now, 1032)

    def test_who_is_refused_leaves_nothing_in_line(self):
        refused = (0, 429, {"error": "too_many_waiters", "message": "x"})
        for script in ((refused, LEFT), (refused, (0, REFUSED))):
            world = World((20, 423, LOCKED), *script)
            with self.assertRaises(LockerError) as caught:
                self.acquire(world)
            self.assertEqual(caught.exception.code, "too_many_waiters")
            self.assertEqual(world.calls()[-1], "DELETE /v1/leases")

    def test_the_wait_is_over_when_the_server_was_away_for_as_long(self):
        world = World(*[(2, NoAnswer("timeout", True))] * 4, (0, 423, LOCKED), LEFT)
        with self.assertRaises(NotAcquired):
            self.acquire(world, wait=5)
        self.assertEqual(len(world.waits()), 5)  # once more, in case the first was granted
        self.assertEqual((world.waits()[0], world.waits()[-1]), ("5000ms", None))
        self.assertLess(int(world.waits()[1][:-2]), 3000)

    def check_patience(self, world, wait, seconds, token=None):
        with self.assertRaises(LockerError):
            world.drive(Acquisition(world.settings, wanted(), wait, token).steps())
        self.assertLessEqual(world.now, 1000 + seconds)
        self.assertGreater(world.now, 1000 + seconds - 2)

    def test_who_does_not_want_to_wait_does_not_wait_for_the_server_either(self):
        for wait, seconds in ((0, 5), (4, 5), (20, 20), (90, 30), (None, 30)):
            self.check_patience(World(*[(0, REFUSED)] * 1000), wait, seconds)
        full = (0, 503, {"error": "too_many_locks", "message": "Full."})
        self.check_patience(World(*[full] * 1000), 0, 5)
        self.check_patience(World(*[(0, REFUSED)] * 1000), 0, 5, token="t")

    def test_but_for_the_answer_to_what_may_have_been_granted(self):
        for first in (NoAnswer("cut", True, True), NoAnswer("timeout", True)):
            self.check_patience(World((0, first), *[(0, REFUSED)] * 1000), 0, 30)
        self.check_patience(World((0, 502, "<html>"), *[(0, REFUSED)] * 1000), 0, 30)
        in_line = World((20, 423, LOCKED), *[(0, REFUSED)] * 1000)
        self.check_patience(in_line, 25, 50)

    def test_who_waits_for_a_silent_server_is_told_when_patience_is_over(self):
        self.check_patience(World(*[SILENCE] * 10), None, 20 + 30)
        impatient = World(SILENCE, SILENCE, (1, 201, GRANT), patience=11)
        self.check_patience(impatient, None, 20 + 10 + 1 + 1 + 10)
        self.assertEqual(impatient.waits(), ["20000ms", "1000ms"])  # 0 would give up its place

    def test_advice_for_those_who_write_http_is_not_passed_on(self):
        for said, told in (("/a is held by x; y; try again later, or wait longer.",
                            "/a is held by x; y."), ("No.", "No.")):
            with self.assertRaises(NotAcquired) as caught:
                self.acquire(World((0, 423, {**LOCKED, "message": said})), wait=0)
            self.assertEqual(str(caught.exception), told)

    def test_no_waiting_is_asked_for_when_none_is_wanted(self):
        world = World((0, 423, LOCKED))
        with self.assertRaises(NotAcquired):
            self.acquire(world, wait=0)
        self.assertEqual(world.waits(), [None])

    def test_a_grant_that_may_be_old_is_renewed_before_it_is_trusted(self):
        world = World((19, 201, GRANT), (1, 200, RENEWED))
        grant = self.acquire(world)
        self.assertEqual(world.requests[1][1].request.target, "/v1/leases/renew")
        self.assertEqual(grant.sent, 1019)
        for answer in ((2.9, 201, GRANT), (50, 201, {**GRANT, "ttl_ms": None})):
            world = World(answer)
            self.assertEqual(self.acquire(world).sent, 1000)

    def test_a_grant_that_expired_on_its_way_is_asked_for_anew(self):
        world = World((19, 201, GRANT), (0, 410, EXPIRED), (0, 410, EXPIRED), (0, 201, GRANT))
        self.acquire(world)
        first, _, second, third = world.tokens()
        self.assertEqual(len({first, second, third}), 3)

    def test_nor_when_nobody_knows_it_any_more(self):
        forgotten = {"error": "no_such_lease", "message": "x"}
        world = World((19, 201, GRANT), (0, 404, forgotten), (0, 201, GRANT))
        self.acquire(world)
        self.assertNotEqual(*world.tokens()[1:])

    def test_a_lease_that_it_should_join_is_not_made_anew(self):
        world = World((0, 410, EXPIRED))
        with self.assertRaises(LockLost):
            world.drive(Acquisition(world.settings, wanted(None), None, "mine").steps())

    def test_nor_after_a_break_in_which_it_ended(self):
        for ended in ((410, {**EXPIRED, "reason": "released"}),
                      (404, {"error": "no_such_lease", "message": "x"})):
            world = World((5, NoAnswer("cut", True, True)), (0, REFUSED), (0, 200, RENEWED),
                          (20, 423, LOCKED), (5, 502, "<html>"), (0, *ended))
            with self.assertRaises(LockLost):
                world.drive(
                    Acquisition(world.settings, wanted(None), None, "mine").steps())
            self.assertEqual([step.request.target for _, step in world.requests],
                             ["/v1/locks/a", "/v1/leases/renew", "/v1/leases/renew", "/v1/locks/a",
                              "/v1/locks/a", "/v1/leases/renew"])

    def test_what_an_administrator_ended_is_not_asked_for_again(self):
        with self.assertRaises(LockLost):
            self.acquire(World((0, 410, FORCED)))

    def test_errors_as_they_are(self):
        deadlock = {"error": "deadlock", "message": "x",
                    "cycle": [{"owner": "o", "waits_for": "/a"}]}
        with self.assertRaises(Deadlock):
            self.acquire(World((0, 409, deadlock), LEFT))
        for status, body in ((400, {"error": "bad_request", "message": "x"}), (403, "<html>"),
                             (200, "[]"), (200, "{}"), (423, "{}"), (401, ""),
                             (201, {**GRANT, "ttl_ms": "x"})):
            with self.assertRaises(LockerError, msg=f"{status} {body}") as caught:
                self.acquire(World((0, status, body), LEFT))
            self.assertNotIsInstance(caught.exception, (NotAcquired, LockLost))

    def check_failure(self, world, is_open, token=None, ttl=None):
        """Checks a failed acquire; `is_open`: it may have been granted all the same."""
        acquisition = Acquisition(world.settings, wanted(ttl), 0, token)
        with self.assertRaises(LockerError) as caught:
            world.drive(acquisition.steps())
        self.assertTrue(acquisition.has_failed)
        self.assertEqual(acquisition.may_be_granted, is_open, world.calls())
        self.assertEqual(acquisition.may_stay_held(), is_open and token is None and ttl is None)
        return caught.exception

    def test_what_is_refused_while_the_server_is_at_a_limit_is_not_granted(self):
        full = (0, 503, {"error": "too_many_locks", "message": "Full."})
        for script in ([full] * 1000, [(0, REFUSED), *[full] * 1000]):
            self.assertEqual(self.check_failure(World(*script), False).code, "too_many_locks")
        again = [full, (0, 200, RENEWED)] * 1000
        self.assertEqual(self.check_failure(World(*again), False, "t").code, "too_many_locks")
        # The request before it may have been carried out.
        self.assertIsInstance(self.check_failure(World((0, 502, "<html>"), *[full] * 1000), True),
                              Unreachable)

    def test_what_was_granted_stays_so_when_its_renewal_is_refused(self):
        refused = (0, 403, {"error": "forbidden", "message": "x"})
        self.check_failure(World((19, 201, GRANT), refused), True, "t")
        self.check_failure(World((0, 502, "<html>"), refused), True, "t")
        for lost in ((0, 410, FORCED), (0, 404, {"error": "no_such_lease", "message": "x"})):
            self.check_failure(World((19, 201, GRANT), lost), False, "t")
        self.check_failure(World((19, 201, GRANT), (0, 410, EXPIRED), refused), False, ttl=30.0)

    def test_giving_up_takes_the_request_out_before_it_releases(self):
        for joins, last in ((None, "/v1/leases"), ("mine", "/v1/locks/a")):
            world = World((0, 200, GRANT), (0, 200, {}))
            acquisition = Acquisition(world.settings, wanted(), None, joins)
            world.drive(acquisition.give_up())
            self.assertEqual([step.request.target for _, step in world.requests],
                             ["/v1/locks/a", last])
            self.assertNotIn("wait", world.requests[0][1].request.body)
        for failing in ((0, REFUSED), (0, 423, LOCKED), (0, 200, "<html>")):
            world = World(failing, (0, REFUSED))
            self.assertFalse(
                world.drive(Acquisition(world.settings, wanted(), None).give_up()))

    def test_what_a_proxy_says_while_the_server_is_away_gives_nothing_back(self):
        for away in ((0, 502, "<html>"), (0, 503, {"error": "busy", "message": "x"})):
            for joins, script in ((None, (away, LEFT)), (None, ((0, 200, GRANT), away)),
                                  ("mine", (away,)), ("mine", ((0, 200, GRANT), away))):
                world = World(*script)
                acquisition = Acquisition(world.settings, wanted(), None, joins)
                self.assertFalse(world.drive(acquisition.give_up()), script)
                self.assertEqual(world.script, [])
            self.assertFalse(World(away).drive(giving_back.abandon("t")))
        self.assertTrue(World(LEFT).drive(giving_back.abandon("t")))
        world = World((0, 502, "<html>"), (0, 502, "<html>"), (0, 423, LOCKED), LEFT)
        world.drive(Acquisition(world.settings, wanted(None), None).go_on_giving_up())
        self.assertEqual(world.script, [])


class GivingBack(unittest.TestCase):
    FULL = (0, 507, {"error": "disk_full", "message": "Full."})

    def leave(self, world, *paths, weakens=False):
        """Ends a block with these paths, whose lease lives on."""
        tenure = Tenure("t", "/a", Deadline(None, world.now), world.settings.now, print)
        use = Use(wanted())
        leaving = Leaving(list(paths), [wanted()] if weakens else [])
        problem, goes_on = world.drive(giving_back.end_use(world.settings, tenure, use, leaving))
        return problem, goes_on, leaving

    def test_a_full_disk_is_waited_for(self):
        world = World(self.FULL, self.FULL, LEFT, self.FULL, LEFT, self.FULL, (0, 200, GRANT))
        problem, goes_on, _ = self.leave(world, "/a", "/b", weakens=True)
        self.assertEqual((problem, goes_on, world.script), (None, False, []))

    def test_and_tried_again_later_when_patience_is_over(self):
        world = World(*[self.FULL] * 1000, patience=3)
        problem, goes_on, leaving = self.leave(world, "/a", "/b")
        self.assertEqual((problem.code, goes_on, leaving.releases), ("disk_full", True, ["/a", "/b"]))
        self.assertLessEqual(world.now, 1003)
        tenure = Tenure("t", "/a", Deadline(None, world.now), world.settings.now, print)
        for quick in (giving_back.abandon("t"), giving_back.leave_quickly(
                world.settings, tenure, leaving)):
            self.assertFalse(world.drive(quick))
        problem, goes_on = world.drive(giving_back.end(world.settings, tenure))
        self.assertEqual((problem.code, goes_on), ("disk_full", True))
        world = World(self.FULL, self.FULL, LEFT)
        world.drive(giving_back.go_on_releasing(world.settings, tenure))
        self.assertEqual(world.script, [])

    def test_who_asks_for_a_lock_hears_of_a_full_disk_at_once(self):
        world = World(self.FULL, LEFT)
        with self.assertRaisesRegex(LockerError, "Full"):
            world.drive(Acquisition(world.settings, wanted(), None).steps())
        self.assertEqual(world.calls(), ["POST /v1/locks/a", "DELETE /v1/leases"])

    def test_what_is_given_up_waits_for_it(self):
        for joins, answers in ((None, (self.FULL,)), ("t", (LEFT, self.FULL))):
            grant = {**GRANT, "locks": [{"path": "/a"}, {"path": "/b"}]}
            del grant["path"]
            world = World((0, 200, grant), *answers)
            acquisition = Acquisition(world.settings, wanted(), None, joins)
            self.assertFalse(world.drive(acquisition.give_up()))
            self.assertEqual(world.script, [])

    def test_a_path_that_is_refused_keeps_no_other_one(self):
        refused = (0, 403, {"error": "forbidden", "message": "x"})
        world = World(refused, LEFT, (0, 410, FORCED), refused)
        problem, goes_on, _ = self.leave(world, "/a", "/b", "/c", weakens=True)
        self.assertEqual((problem.status, goes_on, world.script), (403, False, []))

    def test_of_a_lease_that_is_over_once_only(self):
        """The last attempt can have lasted longer than the lease."""
        world = World((10, NoAnswer("timeout", True)))
        tenure = Tenure("t", "/a", Deadline(6.0, world.now), lambda: world.now, [].append)
        self.assertEqual(world.drive(giving_back.end(world.settings, tenure)), (None, True))
        world.drive(giving_back.go_on_releasing(world.settings, tenure))
        self.assertEqual(world.script, [])


class Looking(unittest.TestCase):
    @staticmethod
    def page(path, after):
        lock = {"path": path, "owner": "o", "state": "held", "mode": "shared"}
        return {"owner": "o", "ttl_ms": 30000, "locks": [lock], "next": after}

    @staticmethod
    def joining(world):
        return Acquisition(world.settings, wanted(), None, "t", is_alone=False)

    def test_at_one_page_only_of_a_lease_that_is_joined(self):
        """Locks that were not read before are not released."""
        for next_page, *given_back in (("x",), (None, LEFT)):
            world = World((0, 200, RENEWED), (0, 200, self.page("/b", next_page)), (0, 200, GRANT),
                          (0, 200, GRANT), *given_back)
            acquisition = self.joining(world)
            world.drive(acquisition.steps())
            world.drive(acquisition.give_up())
            self.assertEqual(world.script, [])

    def test_who_has_not_looked_yet_has_nothing_to_give_up(self):
        """There may be no such lease, and a request would open one."""
        world = World()
        self.assertTrue(world.drive(self.joining(world).give_up()))

    def test_at_a_lease_of_several_pages(self):
        world = World((0, 200, self.page("/a", "x")), (0, 200, self.page("/b", None)))
        state = world.drive(protocol.lease_state(world.settings, "t"))
        self.assertEqual([lock.path for lock in state.locks], ["/a", "/b"])
        self.assertEqual(world.calls(), ["GET /v1/leases", "GET /v1/leases?after=x"])


class Keeping(unittest.TestCase):
    def keep(self, *script, ttl=30.0):
        return self.keep_on(World(*script), ttl)

    def keep_grant(self, world):
        """Keeps a lease with a lock at /a, with the fence 7."""
        def grant(tenure):
            tenure.granted(Use(wanted()), wanted(),
                           Grant("t", "o", 7, ("/a",), 30.0, 0.0, world.now))
        return self.keep_on(world, 30.0, grant)

    def keep_on(self, world, ttl, prepare=lambda tenure: None):
        losses = []
        tenure = Tenure("t", "/a", Deadline(ttl, world.now), world.settings.now, losses.append)
        prepare(tenure)
        world.tenure = tenure
        try:
            world.drive(renewing.keep(world.settings, tenure))
        except IndexError:
            pass  # the script has ended
        self.assertLessEqual(len(losses), 1)
        return world, losses

    def test_renewed_at_a_third_of_the_ttl_counted_from_when_it_was_sent(self):
        world, losses = self.keep((4, 200, RENEWED), (0, 200, RENEWED), (0, 200, RENEWED))
        self.assertEqual([when for when, _ in world.requests], [1010, 1020, 1030, 1040])
        self.assertEqual(losses, [])
        self.assertEqual(world.tenure.deadline.ends, 1030 + 29)

    def test_a_ttl_that_somebody_changed_is_kept(self):
        world, _ = self.keep((0, 200, {**RENEWED, "ttl_ms": 3000}), (0, 200, RENEWED))
        self.assertEqual([when for when, _ in world.requests], [1010, 1011, 1021])

    def test_failures_are_tried_again_until_the_deadline(self):
        world, (loss,) = self.keep(*[(0, REFUSED), (0, 503, {"error": "draining", "message": "x"}),
                                     (0, 502, "<html>"), (0, 200, "<html>")] * 50)
        self.assertEqual(loss.reason, "unrenewed")
        self.assertGreater(len(world.requests), 15)
        self.assertGreaterEqual(world.now, 1029)
        self.assertLess(world.now, 1030)  # before the server can grant it to others

    def test_no_request_lasts_beyond_the_deadline(self):
        for seconds in (9, 10, 11):
            world, (loss,) = self.keep(*[(seconds, NoAnswer("timeout", True))] * 9)
            for when, step in world.requests:
                self.assertLessEqual(when + step.timeout, 1029)
            self.assertIn("timeout", str(loss))

    def test_what_comes_after_the_deadline_changes_nothing(self):
        world, (loss,) = self.keep((20, 200, RENEWED))
        self.assertEqual(loss.reason, "unrenewed")
        with self.assertRaises(LockLost):
            world.tenure.check()

    def test_it_ends_when_the_server_says_so(self):
        _, (loss,) = self.keep((0, 410, FORCED))
        self.assertEqual((loss.reason, loss.detail), ("forced", "why"))
        _, (loss,) = self.keep((0, 404, {"error": "no_such_lease", "message": "x"}))
        self.assertEqual(loss.reason, "unknown")

    def test_an_older_server_says_only_how_many_locks_there_are(self):
        world = World((0, 200, {**RENEWED, "locks": 2}), (0, 200, held("/a", "/b")),
                      (0, 200, {**RENEWED, "locks": 2}), (0, 200, held("/a", "/b")),
                      (0, 200, RENEWED), (0, 200, held("/b")), (0, 410, FORCED))
        _, (loss,) = self.keep_grant(world)
        self.assertEqual(loss.reason, "forced")

    def test_locks_are_looked_at_when_others_are_there(self):
        for newest, there in ((7, []), (8, [held("/b")])):
            answer = {**RENEWED, "newest_fence": 7}
            world = World((0, 200, answer), (0, 200, held("/a")), (0, 200, answer),
                          (0, 200, {**answer, "newest_fence": newest}),
                          *[(0, 200, body) for body in there], (0, 410, FORCED))
            _, losses = self.keep_grant(world)
            self.assertEqual((len(losses), world.script), (1, []))

    def test_a_lease_is_renewed_while_its_many_locks_are_looked_at(self):
        others = [(8, 200, {**held(f"/b/{number}"), "next": f"/b/{number}"}) for number in range(6)]
        renewed = (0, 200, {**RENEWED, "locks": 7, "newest_fence": 9})
        world = World(renewed, *others[:2], renewed, *others[2:4], renewed, *others[4:],
                      renewed, (0, 200, held("/a")), renewed, (0, 410, FORCED))
        _, (loss,) = self.keep_grant(world)
        self.assertEqual((loss.reason, world.script), ("forced", []))

    def test_what_is_lost_while_they_are_looked_at(self):
        page = {**held("/b"), "next": "/b"}
        world = World((0, 200, {**RENEWED, "locks": 3}), (11, 200, page), (0, 410, FORCED))
        _, (loss,) = self.keep_grant(world)
        self.assertEqual((loss.reason, world.script), ("forced", []))

    def test_a_lock_of_before_from_a_backup_is_another_one(self):
        world = World((0, 200, {**RENEWED, "newest_fence": 6}), (0, 200, held("/a", fence=6)))
        _, (loss,) = self.keep_grant(world)
        self.assertRegex(str(loss), "^/a was lost")

    def test_without_a_ttl_it_never_ends_by_the_clock(self):
        world, (loss,) = self.keep(*[(0, REFUSED)] * 50, (0, 410, FORCED), ttl=None)
        self.assertEqual(loss.reason, "forced")

    def test_short_ttls(self):
        world, (loss,) = self.keep(*[(0, REFUSED)] * 100, ttl=0.3)
        self.assertGreater(len(world.requests), 4)
        self.assertLess(world.now, 1000.3)


class Tenures(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.losses = []
        self.tenure = Tenure("t", "/a", Deadline(30, 0), lambda: self.now, self.losses.append)

    def test_lost_by_the_clock_alone(self):
        self.now = 28.9
        self.tenure.check()
        self.now = 29
        for _ in range(2):
            with self.assertRaises(LockLost) as caught:
                self.tenure.check()
        self.assertEqual(len(self.losses), 1)
        self.assertRegex(str(caught.exception), "/a was last renewed 29.0 s ago")

    def test_once_lost_always_lost(self):
        self.now = 29
        self.tenure.renewed(Deadline(30, 28))
        with self.assertRaises(LockLost):
            self.tenure.check()

    def test_an_older_renewal_does_not_shorten_it(self):
        self.tenure.renewed(Deadline(30, 5))
        self.tenure.renewed(Deadline(30, 3))
        self.assertEqual(self.tenure.deadline.ends, 34)

    def test_what_was_released_is_not_lost_later(self):
        self.assertIsNone(self.tenure.finish())
        self.now = 100
        self.tenure.lose(LockLost("x"))
        self.assertEqual(self.losses, [])
        self.assertIsNone(self.tenure.look_at_the_clock())

    def test_what_was_released_is_not_held(self):
        self.tenure.finish()
        for check in (self.tenure.check, lambda: self.tenure.check_use(Use(wanted()))):
            with self.assertRaisesRegex(LockLost, "released") as caught:
                check()
            self.assertEqual(caught.exception.reason, "released")

    def test_margins(self):
        for ttl, margin in ((3600, 1), (30, 1), (10, 1), (1, 0.1), (0.1, 0.01)):
            self.assertAlmostEqual(Deadline(ttl, 5).ends, 5 + ttl - margin)


class Chaining(unittest.TestCase):
    def test_the_loss_is_what_happened_first(self):
        loss, error = LockLost("x"), ValueError()
        chain(error, loss)
        self.assertIs(error.__context__, loss)
        chain(error, LockLost("y"))
        self.assertIs(error.__context__, loss)

    def test_circles_do_not_hang(self):
        one, two = ValueError(), KeyError()
        one.__context__, two.__context__ = two, one
        chain(one, LockLost("x"))


class Streams(unittest.TestCase):
    def setUp(self):
        self.stream = EventStream(World().settings, "/e", None)

    def feed(self, text):
        return [event for event in map(self.stream.feed, text.split("\n")) if event is not None]

    def test_events(self):
        self.assertIsNone(self.stream.connected())
        data = json.dumps({"path": "/a", "owner": "x", "mode": "shared", "fence": 1, "index": 5})
        events = self.feed(f"retry: 2000\n\n: calm\n\nid: 5.0\nevent: granted\ndata: {data}\n\n"
                           f"id: 5.1\nevent: left\nda")
        self.assertEqual([(event.kind, event.id, event.path) for event in events],
                         [("granted", "5.0", "/a")])
        self.assertEqual(self.stream.last_event_id, "5.0")
        self.assertEqual(self.stream.request().headers["Last-Event-ID"], "5.0")
        self.assertEqual(self.stream.request().target, "/v1/events?prefix=%2Fe")
        self.assertEqual(self.stream.interrupted("x"), 2)
        self.assertIsNone(self.stream.connected())
        self.assertEqual(self.feed("\n\n"), [])  # a partial event is discarded

    def test_what_an_event_tells(self):
        body = {"path": "/a", "owner": "x", "mode": "shared", "fence": 1, "index": 5}
        for kind, more, told in (("granted", {"lock_parents": True}, (True, False, None)),
                                 ("forced", {"cooling_ms": 1500}, (False, False, 1.5)),
                                 ("cooled", {}, (False, False, None))):
            event, = self.feed(f"event: {kind}\ndata: {json.dumps({**body, **more})}\n\n")
            self.assertEqual((event.kind, event.path, event.owner, event.mode, event.fence,
                              event.index), (kind, "/a", "x", "shared", 1, 5))
            self.assertEqual((event.lock_parents, event.lock_children, event.cools_for), told)

    def test_going_on_from_nowhere_is_a_gap(self):
        self.stream.connected()
        self.stream.interrupted("x")
        self.assertEqual(self.stream.connected().kind, "reset")
        self.assertEqual(self.feed("event: reset\ndata: {}\n\n")[0].kind, "reset")

    def test_it_goes_on_from_where_it_began(self):
        self.stream.connected()
        self.assertEqual(self.feed("retry: 1000\nid: 4.9\n\n"), [])
        self.assertEqual(self.stream.request().headers["Last-Event-ID"], "4.9")
        self.stream.interrupted("x")
        self.assertIsNone(self.stream.connected())  # no gap: it resumes from an id
        self.assertEqual(self.feed("id: 7.2\nevent: reset\ndata: {}\n\n")[0].kind, "reset")
        self.assertEqual(self.stream.last_event_id, "7.2")

    def test_a_comment_can_name_a_later_place(self):
        self.stream.connected()
        self.assertEqual(self.feed("retry: 1000\nid: 4.9\n\n: \nid: 4.12\n\n: \nid: 4.1"), [])
        self.assertEqual(self.stream.request().headers["Last-Event-ID"], "4.12")
        self.stream.interrupted("x")
        self.assertIsNone(self.stream.connected())
        self.assertEqual(self.stream.request().headers["Last-Event-ID"], "4.12")

    def test_nonsense_is_told(self):
        for data in ("<html>", "[]", "{}"):
            with self.assertRaisesRegex(LockerError, "not an event of a lock server"):
                self.feed(f"event: granted\ndata: {data}\n\n")


class Http(unittest.TestCase):
    """The HTTP of the asyncio client."""

    def read(self, *pieces):
        async def read():
            reader = asyncio.StreamReader(limit=http.HEAD_MAX)
            for piece in pieces:
                reader.feed_data(piece)
            reader.feed_eof()
            head = await http.read_head(reader)
            return head, await http.read_body(reader, head)
        return asyncio.run(read())

    def test_lengths_chunks_and_ends(self):
        for reply in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                      b"HTTP/1.1 100 Continue\r\n\r\n"
                      b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello",
                      b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"
                      b"3;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"):
            head, body = self.read(reply)
            self.assertEqual((head.status, body, head.keeps_open), (200, b"hello", True))
        for reply in (b"HTTP/1.1 200 OK\r\n\r\nhello",
                      b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                      b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello"):
            head, body = self.read(reply)
            self.assertEqual((body, head.keeps_open), (b"hello", False))
        self.assertEqual(self.read(b"HTTP/1.1 204 No Content\r\n\r\n")[1], b"")

    def test_what_is_no_http(self):
        for reply in (b"", b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n",
                      b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
                      b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
                      b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                      b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
                      b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2 * http.HEAD_MAX):
            with self.assertRaises(http.BadReply, msg=reply[:80]):
                self.read(reply)

    def test_lines(self):
        async def read():
            reader = asyncio.StreamReader()
            reader.feed_data(b"a\r\nb\n\nc")
            reader.feed_eof()
            return [line async for line in http.read_lines(reader, http.Head(200, {}, True))]
        self.assertEqual(asyncio.run(read()), [b"a", b"b", b""])

    def test_requests(self):
        self.assertEqual(http.render("POST", "/x", {"Host": "h"}, None),
                         b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(http.render("GET", "/x", {"Host": "h"}, None),
                         b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        with self.assertRaises(ValueError):
            http.render("GET", "/x", {"Lock-Token": "a\r\nX: y"}, None)


if __name__ == "__main__":
    unittest.main()
