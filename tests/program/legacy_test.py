"""Locker 1.0b's own examples, verbatim, against the running program."""

import http.client
import tempfile
import unittest

import requests

from lockerd import Lockerd

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class LegacyExamples(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.server = Lockerd(self.directory.name + "/locks.db")

    def tearDown(self):
        self.server.kill()
        self.directory.cleanup()

    def get(self, target, **parameters):
        reply = requests.get(self.server.url + target, params=parameters, timeout=10)
        self.assertEqual(reply.status_code, 200, reply.text)
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        return reply.json()

    def lock(self, target):
        granted = self.get(target)
        self.assertEqual(set(granted), {"ok", "token"})
        self.assertIs(granted["ok"], True)
        self.assertRegex(granted["token"], UUID)
        return granted["token"]

    def test_lock_refuse_query_unlock(self):
        token = self.lock("/canhaz/my/resource")
        self.assertEqual(self.get("/canhaz/my/resource"), {"ok": False, "lockedBy": "?"})
        self.assertEqual(self.get("/canhaz/my"), {"ok": False, "lockedBy": "?"})
        self.assertEqual(self.get("/canhaz/my/resource/x"), {"ok": False, "lockedBy": "?"})
        self.assertEqual(self.get("/dohaz/my/resource"), {"lockedBy": "?"})
        self.assertEqual(self.get("/dohaz/some/resource"), {"lockedBy": None})
        self.assertEqual(self.get("/nowant/my/resource?token=invalid-token"), {"ok": False})
        self.assertEqual(self.get("/nowant/my?token=" + token), {"ok": False})
        self.assertEqual(self.get("/nowant/my/resource?token=" + token), {"ok": True})
        self.assertEqual(self.get("/nowant/my/resource?token=" + token), {"ok": False})
        self.assertEqual(self.get("/dohaz/my/resource"), {"lockedBy": None})

    def test_siblings_are_free(self):
        self.lock("/canhaz/foo/bar")
        self.lock("/canhaz/foo/zip")

    def test_caller_identification(self):
        self.lock("/canhaz/this?id=timmy")
        self.assertEqual(self.get("/dohaz/this"), {"lockedBy": "timmy"})
        self.assertEqual(self.get("/canhaz/this?id=lassie"), {"ok": False, "lockedBy": "timmy"})

    def test_locking_without_parents(self):
        self.lock("/canhaz/foo/bar?lockParents=False")
        self.lock("/canhaz/foo")

    def test_locking_without_children(self):
        self.lock("/canhaz/bar?lockChildren=False")
        self.lock("/canhaz/bar/foo")

    def test_flags_together_and_in_every_spelling(self):
        self.lock("/canhaz/a/b?lockParents=0&lockChildren=false")
        self.lock("/canhaz/a/b/c?lockParents=false")
        self.lock("/canhaz/a?lockChildren=True&lockParents=true&id=z")
        self.assertEqual(self.get("/dohaz/a/x"), {"lockedBy": "z"})

    def test_ids_as_clients_encode_them(self):
        self.get("/canhaz/spaces", id="Tim & Lassie \u00e9 \"quoted\" \\ +")
        self.assertEqual(self.get("/dohaz/spaces"),
                         {"lockedBy": "Tim & Lassie \u00e9 \"quoted\" \\ +"})

    def test_post_works_like_get(self):
        url = self.server.url
        by_form = requests.post(url + "/canhaz/form", data={"id": "me"}, timeout=10).json()
        self.assertTrue(by_form["ok"])
        self.assertEqual(self.get("/dohaz/form"), {"lockedBy": "me"})
        by_json = requests.post(url + "/nowant/form", json={"token": by_form["token"]}, timeout=10)
        self.assertEqual(by_json.json(), {"ok": True})
        self.assertTrue(requests.post(url + "/canhaz/query?id=q", timeout=10).json()["ok"])

    def test_the_root_and_odd_spellings(self):
        token = self.lock("/canhaz/?id=root")
        self.assertEqual(self.get("/dohaz/any/thing"), {"lockedBy": "root"})
        self.assertEqual(self.get("/nowant?token=" + token), {"ok": True})
        token = self.lock("/canhaz//odd///path/")
        self.assertEqual(self.get("/nowant/odd/path?token=" + token), {"ok": True})
        self.lock("/canhaz/a%2Fb")
        self.assertEqual(self.get("/dohaz/a/b"), {"lockedBy": None})

    def test_bad_input_gets_a_sentence_and_changes_nothing(self):
        for target in ("/canhaz/x?lockparents=False", "/canhaz/x?lockParents=no",
                       "/canhaz/x?id=a&id=b", "/canhaz/x?lockParents=",
                       "/canhaz/a%00", "/canhaz/%ff", "/canhaz/a/%2e%2e/b", "/canhaz/x?id=%01",
                       "/canhaz/x?token=1", "/dohaz/x?id=a", "/nowant/x",
                       "/canhaz/" + "s" * 256, "/canhaz" + "/s" * 65):
            reply = requests.get(self.server.url + target, timeout=10)
            self.assertEqual(reply.status_code, 400, target)
            self.assertEqual(set(reply.json()), {"ok", "error"}, target)
            self.assertIs(reply.json()["ok"], False)
            self.assertGreater(len(reply.json()["error"]), 15)
        # The requests library would correct this target before sending it.
        raw = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        raw.request("GET", "/canhaz/%zz")
        self.assertEqual(raw.getresponse().status, 400)
        raw.close()
        self.assertEqual(self.get("/dohaz/"), {"lockedBy": None})

    def test_an_empty_id_is_no_id(self):
        self.lock("/canhaz/empty?id=")
        self.assertEqual(self.get("/canhaz/empty?id="), {"ok": False, "lockedBy": "?"})

    def test_browsers_cannot_be_tricked_into_locking(self):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Purpose": "prefetch"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Referer": "http://evil.example/page"}):
            reply = requests.get(self.server.url + "/canhaz/x", headers=headers, timeout=10)
            self.assertEqual(reply.status_code, 403)
        self.assertEqual(requests.head(self.server.url + "/canhaz/x", timeout=10).status_code, 405)
        self.assertEqual(self.get("/dohaz/x"), {"lockedBy": None})
        own = {"Referer": self.server.url + "/ui"}
        self.assertFalse(requests.get(self.server.url + "/nowant/x?token=x", headers=own,
                                      timeout=10).json()["ok"])
        same = requests.get(self.server.url + "/canhaz/x", headers={"Sec-Fetch-Site": "none"},
                            timeout=10)
        self.assertEqual(same.headers["Cache-Control"], "no-store")
        self.assertTrue(same.json()["ok"])


if __name__ == "__main__":
    unittest.main()
