"""/metrics: the exact format, counters that rise by what was done, and no names that grow with the
locks. The dashboard and the alerts name only metrics that exist."""

import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.request

import prometheus
from certificates import Authority
from keys import bearer, new_key
from lockerd import Lockerd
from v1_client import Background, Client, fresh_token

MONITORING = os.path.join(os.path.dirname(__file__), "..", "..", "docker", "monitoring")


class MetricsTest(unittest.TestCase):
    options = ()

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.server = Lockerd(os.path.join(self.directory, "store"), *self.options)
        self.addCleanup(lambda: self.server.__exit__())
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def read(self):
        answer = self.client.ask("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        self.text = answer.text
        samples = {}
        for family in prometheus.parse(answer.text).values():
            for (name, labels), value in family.samples.items():
                samples[name + "".join(f"|{key}={text}" for key, text in labels)] = value
        return samples

    def read_until(self, is_so):
        """Reads until it is so, or for a minute; returns what was read last."""
        until = time.monotonic() + 60
        while not is_so(seen := self.read()) and time.monotonic() < until:
            time.sleep(0.01)
        return seen

    def rise(self, work):
        """Returns what `work` changed, except times and what the system counts."""
        before = self.read()
        work()
        after = self.read()
        return {name: after[name] - value for name, value in before.items()
                if after[name] != value and not re.search("process|seconds|buffered|call=operations|bytes", name)}

    def test_counts_what_was_done(self):
        def work():
            token = self.client.acquire("/a/b", owner="timmy")["token"]
            self.client.acquire("/a", owner="other")
            self.client.release("/a/b", token)
            self.client.ask("GET", "/canhaz/c?id=seed")
            self.client.ask("GET", "/dohaz/c")
            self.client.ask("DELETE", "/v1/locks?prefix=/c&force=true")
            self.client.acquire("/d", owner="other")
            self.client.ask("DELETE", "/v1/locks/d?force=true")
            self.client.ask("DELETE", "/v1/locks/d?force=true")
            self.client.ask("GET", "/nothing")
        risen = self.rise(work)
        self.assertEqual(risen, {
            "locker_acquires_total|outcome=granted": 3,
            "locker_acquires_total|outcome=blocked": 1,
            "locker_locks_granted_total": 3,
            "locker_locks_ended_total|reason=released": 1,
            "locker_locks_ended_total|reason=forced": 2,
            "locker_journal_index": 6,
            "locker_journal_records_total": 6,
            "locker_journal_batch_records_sum": 6,
            "locker_journal_batch_records_count": 6,
            **{f"locker_journal_batch_records_bucket|le={bound}": 6
               for bound in (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, "+Inf")},
            "locker_http_requests_total|call=acquire|code=2xx": 2,
            "locker_http_requests_total|call=acquire|code=4xx": 1,
            "locker_http_requests_total|call=release|code=2xx": 1,
            "locker_http_requests_total|call=canhaz|code=2xx": 1,
            "locker_http_requests_total|call=dohaz|code=2xx": 1,
            "locker_http_requests_total|call=force|code=2xx": 2,
            "locker_http_requests_total|call=force|code=4xx": 1,
            "locker_http_requests_total|call=other|code=4xx": 1,
        })

    def test_every_answer_has_a_duration(self):
        before = self.read()
        for _ in range(5):
            self.client.ask("GET", "/dohaz/x")
        after = self.read()
        name = "locker_http_request_duration_seconds{}|call=dohaz"
        self.assertEqual(after[name.format("_count")] - before[name.format("_count")], 5)
        self.assertGreater(after[name.format("_sum")], before[name.format("_sum")])

    def test_waiting_is_seen(self):
        token = self.client.acquire("/w", ttl="300s")["token"]
        waiter = Background(self.server.port, lambda c: c.acquire("/w", wait="60s"))
        self.addCleanup(waiter.client.close)
        ages = "locker_oldest_waiter_age_seconds", "locker_oldest_lock_age_seconds"
        seen = self.read_until(lambda seen: all(seen[age] > 0.3 for age in ages))
        for age in ages:
            self.assertGreater(seen[age], 0.3)
        self.assertEqual((seen["locker_locks_held"], seen["locker_leases"]), (1, 1))
        self.assertEqual(seen["locker_waits_total"], 1)
        self.client.release("/w", token)
        self.assertEqual(waiter.answer().status, 201)
        count = "locker_http_request_duration_seconds_count|call=waited"
        after = self.read_until(lambda after: after[count] == 1)  # counted behind the answer
        self.assertEqual(after[count], 1)
        self.assertEqual(after["locker_oldest_waiter_age_seconds"], 0)
        self.assertEqual(after["locker_http_requests_total|call=waited|code=2xx"], 1)
        self.assertGreater(after["locker_http_request_duration_seconds_sum|call=waited"], 0.3)

    def test_an_expiry_and_a_deadlock_are_counted(self):
        self.client.acquire("/gone", ttl="100ms")
        first, second = fresh_token(), fresh_token()
        self.client.acquire("/x", token=first)
        self.client.acquire("/y", token=second)
        waiter = Background(self.server.port, lambda c: c.acquire("/y", token=first, wait="60s"))
        self.addCleanup(waiter.client.close)
        self.read_until(lambda seen: seen["locker_waiters"] == 1)
        self.assertEqual(self.client.acquire("/x", token=second, wait="60s").status, 409)
        seen = self.read_until(lambda seen: seen["locker_locks_ended_total|reason=expired"] == 1)
        self.assertEqual(seen["locker_locks_ended_total|reason=expired"], 1)
        self.assertEqual(seen["locker_acquires_total|outcome=deadlock"], 1)

    def test_no_path_and_no_owner_is_in_it(self):
        lines = len(self.read())
        for i in range(50):
            self.client.acquire(f"/secretpath{i}", owner=f"secretowner{i}", meta="secretmeta")
            self.client.ask("GET", f"/secretverb{i}/x")
        self.assertEqual(len(self.read()), lines)
        self.assertNotIn("secret", self.text)

    def test_who_is_turned_away_is_counted(self):
        with Lockerd(os.path.join(self.directory, "two"), "--connections-max", "1",
                     "--threads", "1") as server:
            inside, outside = Client(server.port), Client(server.port)
            inside.ask("GET", "/healthz")
            for _ in range(3):
                self.assertEqual(outside.ask("GET", "/v1/locks").status, 503)
                probe = Client(server.port)
                self.assertEqual(probe.ask("GET", "/healthz").status, 200)
                self.assertEqual(probe.ask("GET", "/readyz").status, 200)
                probe.close()
            self.assertEqual(server.text().count("connections are turned away"), 1, server.text())
            families = prometheus.parse(inside.ask("GET", "/metrics").text)
            inside.close()
            only = {name: next(iter(family.samples.values())) for name, family in families.items()}
            self.assertEqual(only["locker_http_connections_turned_away_total"], 3)
            self.assertEqual(only["locker_http_connections_accepted_total"], 10)
            self.assertEqual(only["locker_http_connections"], 1)

    def test_only_reading_is_allowed(self):
        self.assertEqual(self.client.ask("POST", "/metrics").status, 405)
        self.assertEqual(self.client.ask("HEAD", "/metrics").text, "")

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not there (package prometheus)")
    def test_promtool_finds_nothing(self):
        self.client.acquire("/a")
        self.read()
        done = subprocess.run(["promtool", "check", "metrics"], input=self.text, text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


class Monitoring(MetricsTest):
    def names(self):
        """Returns the metrics of a server with everything enabled."""
        ca = Authority(self.directory)
        certificate, key = ca.issue("server", "IP:127.0.0.1")
        keys = os.path.join(self.directory, "keys")
        root = new_key("root", "admin /", file=keys)[0]
        with Lockerd(os.path.join(self.directory, "tls"), "--tls-certificate", certificate,
                     "--tls-key", key, "--keys", keys, "--memory-max", "64", "--audit-log",
                     os.path.join(self.directory, "audit.log")) as server:
            url = server.url.replace("http:", "https:") + "/metrics"
            trust = ssl.create_default_context(cafile=ca.file)
            asked = urllib.request.Request(url, headers=bearer(root))
            with urllib.request.urlopen(asked, context=trust, timeout=60) as answer:
                families = prometheus.parse(answer.read().decode())
        return {name + end for name, family in families.items()
                for end in prometheus.SUFFIXES.get(family.type, ("",))}

    def expect_known(self, expressions):
        self.assertGreater(len(expressions), 5)
        known = self.names()
        for expression in expressions:
            used = set(re.findall(r"\b(?:locker|process)_[a-z_]+", expression))
            self.assertTrue(used, expression)
            self.assertEqual(used - known, set(), expression)

    def test_the_dashboard_names_what_is_there(self):
        with open(os.path.join(MONITORING, "grafana-dashboard.json"), encoding="utf-8") as file:
            dashboard = json.load(file)
        places = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(places & cells, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            places |= cells
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(set(ids)), len(ids))
        self.expect_known([target["expr"] for panel in dashboard["panels"]
                           for target in panel.get("targets", ())])

    def test_the_alerts_name_what_is_there(self):
        with open(os.path.join(MONITORING, "alerts.yaml"), encoding="utf-8") as file:
            self.expect_known(re.findall(r"(?m)^ +expr: (.*locker_.*)$", file.read()))

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not there (package prometheus)")
    def test_the_alerts_are_rules(self):
        done = subprocess.run(
            ["promtool", "check", "rules", os.path.join(MONITORING, "alerts.yaml")],
            text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class TheReaderItself(unittest.TestCase):
    def test_refuses_what_is_no_metrics_text(self):
        good = '# HELP a_total Help.\n# TYPE a_total counter\na_total{b="c\\"d"} 1\n'
        prometheus.parse(good)
        for bad in (good[:-1], good.replace("counter", "thing"), good.replace("HELP", "HELLO"),
                    good.replace(' 1', ''), good.replace('\\"', '"'), good.replace("_total", ""),
                    good + good, good + 'a_total{b="c\\"d"} 2\n', good + "other 1\n"):
            with self.assertRaises((ValueError, AttributeError), msg=bad):
                prometheus.parse(bad)
        buckets = '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'
        prometheus.parse(buckets + "h_sum 3\nh_count 2\n")
        for bad in ("h_sum 3\nh_count 3\n", "h_count 2\n"):
            with self.assertRaises(ValueError, msg=bad):
                prometheus.parse(buckets + bad)


if __name__ == "__main__":
    unittest.main()
