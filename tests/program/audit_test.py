"""The audit log: records who did what, and never a secret."""

import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import unittest
import uuid

from keys import bearer, new_key
from lockerd import LOCKERD, Lockerd, run
from v1_client import Background, Client

PATIENCE = 60


class AuditCase(unittest.TestCase):
    with_keys = True

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.file = os.path.join(self.directory, "audit.log")
        self.keys = os.path.join(self.directory, "keys")
        options = ["--audit-log", self.file]
        if self.with_keys:
            self.ci = new_key("ci", "lock /ci", file=self.keys)[0]
            self.root = new_key("root", "admin /", file=self.keys)[0]
            options += ["--keys", self.keys]
        self.server = Lockerd(os.path.join(self.directory, "store"), *options)
        self.addCleanup(self.server.__exit__)
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)
        self.secrets = []

    def ask(self, key, method, target, body=None):
        return self.client.ask(method, target, body, bearer(key) if key else {})

    def acquire(self, key, path, **body):
        token = str(uuid.uuid4())
        self.secrets.append(token)
        answer = self.ask(key, "POST", "/v1/locks" + path, {"token": token, **body})
        self.assertEqual(answer.status, 201, answer)
        return answer

    def lines(self, count, file=None):
        """Waits for `count` lines and returns them; there must not be more."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with open(file or self.file, encoding="utf-8") as log:
                    text = log.read()
            except FileNotFoundError:
                text = ""
            if text.count("\n") >= count or time.monotonic() > until:
                break
            time.sleep(0.02)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(len(lines), count, text)
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        for secret in self.secrets + ([self.ci, self.root] if self.with_keys else []):
            self.assertNotIn(secret, text)
            self.assertNotIn(secret, self.server.text())
        return lines

    def expect(self, line, **members):
        self.assertEqual({name: line.get(name) for name in members}, members, line)


class WhatIsSaid(AuditCase):
    def test_grants_releases_and_forced_ends(self):
        first = self.acquire(self.ci, "/ci/a", owner="job \"7\"")
        self.ask(self.ci, "DELETE", f"/v1/locks/ci/a?token={first['token']}")
        second = self.acquire(self.ci, "/ci/b", owner="job 8")
        self.ask(self.root, "DELETE", f"/v1/locks/ci/b?force=true&fence={second['fence']}"
                                      "&reason=stuck%20job")
        self.ask(self.root, "DELETE", "/v1/locks?force=true&prefix=/ci&owner=nobody")
        several = self.client.ask("POST", "/v1/locks", {"locks": [{"path": "/ci/1"},
                                                                  {"path": "/ci/2%2F"}]},
                                  bearer(self.ci))
        self.secrets.append(several["token"])
        self.ask(self.ci, "DELETE", f"/v1/leases?token={several['token']}")
        # Calls that change nothing, and repeated ones, are not recorded.
        self.ask(self.ci, "POST", f"/v1/leases/renew?token={several['token']}")
        self.ask(self.ci, "DELETE", f"/v1/locks/ci/a?token={first['token']}")
        self.ask(self.ci, "GET", "/v1/locks/ci")
        lines = self.lines(7)
        self.expect(lines[0], key="ci", action="acquire", paths=["/ci/a"], owner='job "7"',
                    fence=first["fence"], outcome="granted")
        self.assertRegex(lines[0]["peer"], r"^127\.0\.0\.1:\d+$")
        self.expect(lines[1], key="ci", action="release", paths=["/ci/a"], fence=first["fence"],
                    outcome="released")
        self.expect(lines[3], key="root", action="force", paths=["/ci/b"], fence=second["fence"],
                    outcome="forced", count=1, reason="stuck job")
        self.expect(lines[4], action="force", paths=["/ci"], owner="nobody", outcome="not_held",
                    count=0)
        self.expect(lines[5], action="acquire", paths=["/ci/1", "/ci/2%2F"], outcome="granted")
        self.expect(lines[3], locks=[{"path": "/ci/b", "owner": "job 8", "fence": second["fence"]}])
        self.expect(lines[6], action="release", outcome="released", count=2,
                    paths=["/ci/1", "/ci/2%2F"],
                    locks=[{"path": path, "owner": "?", "fence": several["fence"]}
                           for path in ("/ci/1", "/ci/2%2F")])

    def test_the_forced_end_of_what_cools(self):
        held = self.acquire(self.ci, "/ci/c", owner="slow", lock_delay="1h")
        for cooling in ("false", "true"):
            self.ask(self.root, "DELETE", f"/v1/locks/ci/c?force=true&cooling={cooling}")
        for line in self.lines(3)[1:]:
            self.expect(line, action="force", paths=["/ci/c"], outcome="forced", count=1,
                        locks=[{"path": "/ci/c", "owner": "slow", "fence": held["fence"]}])

    def test_a_forced_end_of_who_waits(self):
        self.acquire(self.ci, "/ci/w", owner="holder")
        asked = {"wait": "20s", "owner": "waiter"}
        waiting = Background(self.server.port, lambda c: c.ask("POST", "/v1/locks/ci/w", asked,
                                                               bearer(self.ci)))
        self.addCleanup(waiting.client.close)
        while not self.ask(self.root, "GET", "/v1/locks/ci/w")["waiters"]:
            time.sleep(0.005)
        ended = self.ask(self.root, "DELETE", "/v1/locks?force=true&waiting=true&prefix=/ci"
                                              "&owner=waiter&reason=hangs")
        self.assertEqual(ended["ended"], 1)
        self.assertEqual(waiting.answer().status, 410)
        line = self.lines(2)[1]
        self.expect(line, key="root", action="force", paths=["/ci"], owner="waiter", count=1,
                    outcome="forced", reason="hangs",
                    locks=[{"path": "/ci/w", "owner": "waiter", "fence": 0}])

    def test_a_forced_end_that_takes_long(self):
        for group in range(30):
            locks = [{"path": f"/ci/{group}/{n}"} for n in range(256)]
            while (taken := self.ask(self.root, "POST", "/v1/locks", {"locks": locks})).status == 503:
                time.sleep(0.01)
            self.secrets.append(taken["token"])
        target = "/v1/locks?force=true&prefix=/ci&reason=all"
        count = 31
        while (ended := self.ask(self.root, "DELETE", target)).status == 503:
            count += 1
            time.sleep(0.01)
        self.assertEqual(ended["ended"], 30 * 256)
        line = self.lines(count)[-1]
        self.expect(line, key="root", paths=["/ci"], count=30 * 256, outcome="forced", reason="all")
        self.assertEqual(len(line["locks"]), 100)

    def test_refused_access(self):
        self.ask(None, "GET", "/v1/locks/secret?token=hush")
        self.ask("wrong", "POST", "/v1/nothing?x=hush")
        self.ask(self.ci, "POST", "/v1/locks/prod?meta=hush")
        held = self.acquire(self.ci, "/ci/held")
        self.ask(self.ci, "DELETE", f"/v1/locks/ci/held?token={uuid.uuid4()}")
        self.client.ask("POST", "/v1/locks/ci/x", None,
                        {**bearer(self.ci), "Sec-Fetch-Site": "cross-site"})
        self.secrets.append(held["token"])
        lines = self.lines(6)
        self.expect(lines[4], key="ci", action="release", paths=["/ci/held"], outcome="refused_403")
        self.expect(lines[5], key="ci", action="acquire", paths=["/ci/x"], outcome="refused_403")
        metrics = self.client.ask("GET", "/metrics", None, bearer(self.root)).text
        for line in ('locker_access_refused_total{code="401"} 2',
                     'locker_access_refused_total{code="403"} 3', "locker_keys 2",
                     "locker_key_reloads_failed_total 0", "locker_audit_lines_lost_total 0"):
            self.assertIn(line + "\n", metrics)
        self.expect(lines[0], key=None, action="look", paths=["/secret"], outcome="refused_401")
        self.expect(lines[1], key=None, paths=[], target="/v1/nothing", outcome="refused_401")
        self.expect(lines[2], key="ci", action="acquire", paths=["/prod"], outcome="refused_403")
        self.assertNotIn("hush", json.dumps(lines))

    def test_what_was_refused_does_not_hide_behind_what_is_permitted(self):
        paths = [f"/ci/{number}" for number in range(4)] + ["/prod/db", "/ci/5", "/prod/cache"]
        answer = self.ask(self.ci, "POST", "/v1/locks", {"locks": [{"path": each} for each in paths]})
        self.assertEqual(answer.status, 403, answer)
        self.expect(self.lines(1)[0], action="acquire", outcome="refused_403", count=7,
                    paths=["/prod/db", "/prod/cache", "/ci/0", "/ci/1"])

    @staticmethod
    def more_than_logged_in(seconds):
        """20 refusals are logged in each second that has begun, and of those asked later one."""
        return 20 * (seconds + 2.5)

    def test_strangers_do_not_fill_the_disk(self):
        began = time.monotonic()
        asked = took = 0
        while took < 1.5 or asked <= max(100, self.more_than_logged_in(took)):
            self.assertEqual(self.ask(None, "GET", "/v1/locks/x").status, 401)
            asked += 1
            took = time.monotonic() - began
        time.sleep(1)
        self.ask(None, "GET", "/v1/locks/last")
        self.assertEqual(self.server.stop(), 0)
        with open(self.file, encoding="utf-8") as log:
            lines = [json.loads(line) for line in log]
        self.expect(lines[-1], paths=["/last"], outcome="refused_401")
        self.assertLess(len(lines), self.more_than_logged_in(took))
        self.assertEqual(len(lines) + sum(line.get("left_out", 0) for line in lines), asked + 1)

    def test_strangers_do_not_fill_the_disk_with_long_lines_either(self):
        long = "/" + "/".join(["é" * 120] * 8)  # three times as long in the log
        body = json.dumps({"locks": [{"path": long + str(number)} for number in range(256)]},
                          ensure_ascii=False).encode()
        for key in (None, self.ci):
            answer = self.client.ask("POST", "/v1/locks", body, {
                **(bearer(key) if key else {}), "Content-Type": "application/json"})
            self.assertEqual(answer.status, 403 if key else 401, answer)
        self.ask(None, "GET", "/v1/nothing" + "/%C3%A9" * 1000)
        lines = self.lines(3)
        # The server does not wait for the body of a request without a key.
        self.expect(lines[0], action="acquire", outcome="refused_401", paths=[], target="/v1/locks")
        self.expect(lines[1], action="acquire", outcome="refused_403", count=256)
        self.assertEqual(len(lines[1]["paths"]), 4)
        for path in lines[1]["paths"]:
            self.assertRegex(path, "^/(%C3%A9)+(%C3)?…$")
            self.assertGreater(len(path), 250)
        self.assertRegex(lines[2]["target"], "^/v1/nothing(/%C3%A9)+.{0,7}…$")
        for line in lines:
            self.assertLess(len(json.dumps(line)), 2048)

    def test_a_grant_that_was_waited_for(self):
        first = self.acquire(self.root, "/ci/w")
        waiting = Client(self.server.port)
        self.addCleanup(waiting.close)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(waiting.ask(
            "POST", "/v1/locks/ci/w?wait=60s&owner=late", None, bearer(self.ci))))
        thread.start()
        while self.ask(self.root, "GET", "/v1/status")["waiters"] != 1:
            time.sleep(0.01)
        self.ask(self.root, "DELETE", f"/v1/locks/ci/w?token={first['token']}")
        thread.join(PATIENCE)
        self.secrets.append(answers[0]["token"])
        lines = sorted(self.lines(3), key=lambda line: line["fence"])
        self.expect(lines[2], key="ci", action="acquire", paths=["/ci/w"], owner="late",
                    fence=answers[0]["fence"], outcome="granted")

    def test_a_wait_that_was_given_up_is_no_grant(self):
        first = self.acquire(self.root, "/ci/w")
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as gone:
            gone.sendall(f"POST /v1/locks/ci/w?wait=60s HTTP/1.1\r\nHost: x\r\nAuthorization: "
                         f"Bearer {self.ci}\r\n\r\n".encode())
            while self.ask(self.root, "GET", "/v1/status")["waiters"] != 1:
                time.sleep(0.01)
        while self.ask(self.root, "GET", "/v1/status")["waiters"] != 0:
            time.sleep(0.01)
        self.ask(self.root, "DELETE", f"/v1/locks/ci/w?token={first['token']}")
        self.lines(2)

    def test_the_legacy_calls_and_terraform(self):
        token = self.ask(self.ci, "GET", "/canhaz/ci/s?id=me")["token"]
        self.secrets.append(token)
        self.ask(self.ci, "GET", f"/nowant/ci/s?token={token}")
        info = json.dumps({"ID": str(uuid.uuid4()), "Who": "tf@host"})
        self.secrets.append(json.loads(info)["ID"])
        headers = {**bearer(self.root), "Content-Type": "application/json"}
        self.client.ask("LOCK", "/terraform/ci/t", info, headers)
        for _ in range(2):
            self.client.ask("UNLOCK", "/terraform/ci/t", None, headers)
        lines = self.lines(5)
        self.expect(lines[0], action="acquire", paths=["/ci/s"], owner="me", outcome="granted")
        self.expect(lines[1], action="release", paths=["/ci/s"], fence=lines[0]["fence"])
        self.expect(lines[2], key="root", action="acquire", paths=["/ci/t"], owner="tf@host")
        fence = lines[2]["fence"]
        self.expect(lines[3], action="force", paths=["/ci/t"], fence=fence, count=1,
                    reason="terraform force-unlock", outcome="forced",
                    locks=[{"path": "/ci/t", "owner": "tf@host", "fence": fence}])
        self.expect(lines[4], action="force", paths=["/ci/t"], count=0, outcome="not_held",
                    reason="terraform force-unlock")


class TheFile(AuditCase):
    def test_is_for_its_owner_and_is_opened_again(self):
        self.assertEqual(os.stat(self.file).st_mode & 0o007, 0)
        self.acquire(self.ci, "/ci/1")
        self.lines(1)
        os.rename(self.file, self.file + ".1")
        self.acquire(self.ci, "/ci/2")
        self.lines(2, self.file + ".1")
        self.server.process.send_signal(signal.SIGHUP)
        self.expect(self.lines(3, self.file + ".1")[2], action="reload", outcome="reloaded", keys=2)
        until = time.monotonic() + PATIENCE
        while not os.path.exists(self.file) and time.monotonic() < until:
            time.sleep(0.02)
        self.acquire(self.ci, "/ci/3")
        self.expect(self.lines(1)[0], paths=["/ci/3"])

        def keys_are_current():
            metrics = self.client.ask("GET", "/metrics", None, bearer(self.root)).text
            return "locker_keys_are_current 1\n" in metrics

        self.assertTrue(keys_are_current())
        with open(self.keys, "a", encoding="utf-8") as keys:
            keys.write("mistake\n")
        self.server.process.send_signal(signal.SIGHUP)
        line = self.lines(2)[1]
        self.expect(line, action="reload", outcome="kept", keys=2)
        self.assertIn(":3:", line["reason"])
        self.assertFalse(keys_are_current())
        with open(self.keys, "r+", encoding="utf-8") as keys:
            keys.truncate(keys.read().index("mistake"))
        self.server.process.send_signal(signal.SIGHUP)
        self.expect(self.lines(3)[2], action="reload", outcome="reloaded", keys=2)
        self.assertTrue(keys_are_current())
        self.lines(3, self.file + ".1")

    def test_a_key_file_whose_name_is_not_utf8_is_told_in_good_json(self):
        keys = os.fsdecode(os.fsencode(self.keys) + b"\xff")
        shutil.copy(self.keys, keys)
        file = os.path.join(self.directory, "other.log")
        with Lockerd(os.path.join(self.directory, "other"), "--keys", keys,
                     "--audit-log", file) as server:
            os.truncate(keys, 0)
            server.process.send_signal(signal.SIGHUP)
            self.expect(self.lines(1, file)[0], outcome="kept", reason="(not UTF-8)")

    def test_nothing_is_missing_when_the_server_stops(self):
        for number in range(200):
            self.acquire(self.ci, f"/ci/{number}")
        self.assertEqual(self.server.stop(), 0)
        self.lines(200)

    def test_that_cannot_be_opened_is_a_reason_not_to_start(self):
        code, text = run(LOCKERD, "--port", "0", "--file", os.path.join(self.directory, "other"),
                         "--audit-log", os.path.join(self.directory, "no", "audit.log"))
        self.assertEqual(code, 78, text)
        self.assertIn("cannot be opened: No such file or directory", text)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_on_a_full_disk_loses_lines_and_not_locks(self):
        store = os.path.join(self.directory, "full")
        link = os.path.join(self.directory, "link")
        os.symlink("/dev/full", link)
        with Lockerd(store, "--audit-log", link) as server:
            client = Client(server.port)
            self.addCleanup(client.close)
            for number in range(3):
                self.assertEqual(client.acquire(f"/f/{number}").status, 201)
            until = time.monotonic() + PATIENCE
            while "cannot be written" not in server.text() and time.monotonic() < until:
                time.sleep(0.02)
            self.assertEqual(server.text().count("cannot be written"), 1)
            os.unlink(link)
            server.process.send_signal(signal.SIGHUP)
            while not os.path.exists(link):
                time.sleep(0.02)
            self.assertEqual(client.acquire("/f/last").status, 201)
            lines = self.lines(2, link)
            self.expect(lines[0], action="lost", lines=3)
            self.expect(lines[1], paths=["/f/last"], outcome="granted", key=None)

    def test_what_would_go_into_a_deleted_file_is_lost_and_counted(self):
        away = os.path.join(self.directory, "away")
        file = os.path.join(away, "audit.log")
        os.mkdir(away)
        with Lockerd(os.path.join(self.directory, "other"), "--audit-log", file) as server:
            client = Client(server.port)
            self.addCleanup(client.close)

            def wait_for(what, said):
                until = time.monotonic() + PATIENCE
                while what not in said() and time.monotonic() < until:
                    time.sleep(0.02)
                self.assertIn(what, said())

            self.assertEqual(client.acquire("/g/1").status, 201)
            self.lines(1, file)
            shutil.rmtree(away)
            server.process.send_signal(signal.SIGHUP)
            wait_for("cannot be opened again", server.text)
            for number in (2, 3):
                self.assertEqual(client.acquire(f"/g/{number}").status, 201)
            wait_for("locker_audit_lines_lost_total 2\n", lambda: client.ask("GET", "/metrics").text)
            self.assertEqual(server.text().count("was deleted and cannot be recreated"), 1)
            os.mkdir(away)
            self.assertEqual(client.acquire("/g/4").status, 201)
            lines = self.lines(2, file)
            self.expect(lines[0], action="lost", lines=2)
            self.expect(lines[1], paths=["/g/4"], outcome="granted", key=None)
            os.unlink(file)
            self.assertEqual(client.acquire("/g/5").status, 201)
            self.expect(self.lines(1, file)[0], paths=["/g/5"])


class WithoutKeys(AuditCase):
    with_keys = False

    def test_all_is_said_but_who(self):
        self.acquire(None, "/x", owner="o")
        self.ask(None, "DELETE", "/v1/locks/x?force=true&reason=because")
        lines = self.lines(2)
        self.expect(lines[0], key=None, action="acquire", paths=["/x"], owner="o")
        self.expect(lines[1], key=None, action="force", paths=["/x"], reason="because")


if __name__ == "__main__":
    unittest.main()
