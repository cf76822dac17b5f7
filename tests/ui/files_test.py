"""The files of the page at /ui, as the server gives them: without a browser."""

import glob
import http.client
import os
import re
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
UI = os.path.join(HERE, "..", "..", "server", "ui")
sys.path.insert(0, os.path.join(HERE, "..", "program"))

from lockerd import Lockerd  # noqa: E402

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def sources():
    """The names of the page's files, with what is in them."""
    found = {}
    for path in glob.glob(UI + "/*"):
        name = os.path.basename(path)
        if os.path.splitext(name)[1] in TYPES:
            with open(path, encoding="utf-8") as file:
                found[name] = file.read()
    return found


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.server = Lockerd(cls.directory.name + "/locks.db")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.directory.cleanup()

    def ask(self, target, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, headers=fields)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        return reply, body

    def test_every_file_is_served_as_it_is_in_the_source(self):
        files = sources()
        self.assertGreater(len(files), 10)
        for name, text in files.items():
            reply, body = self.ask("/ui/" + name)
            self.assertEqual(reply.status, 200, name)
            self.assertEqual(body.decode(), text, name)
            self.assertEqual(reply.headers["Content-Type"], TYPES[os.path.splitext(name)[1]])

    def test_the_page_has_its_address_and_two_ways_to_it(self):
        reply, body = self.ask("/ui/")
        self.assertEqual((reply.status, body.decode()), (200, sources()["index.html"]))
        self.assertEqual(self.ask("/ui/?below=%2Fa&show=held")[0].status, 200)
        reply, _ = self.ask("/ui")
        self.assertEqual((reply.status, reply.headers["Location"]), (302, "ui/"))
        reply, _ = self.ask("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        self.assertEqual((reply.status, reply.headers["Location"]), (302, "ui/"))
        self.assertIn("Accept", reply.headers["Vary"])

    def test_a_program_that_asks_for_the_root_is_told_of_the_api_as_before(self):
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"},
                        {"Accept": "application/json, text/html;q=0"},
                        {"Accept": "application/json, text/html;q=0.5, text/htmlx"}):
            reply, body = self.ask("/", **headers)
            self.assertEqual(reply.status, 404)
            self.assertIn(b"/v1/openapi.json", body)
        self.assertEqual(self.ask("/", "POST", Accept="text/html")[0].status, 404)

    def test_nothing_from_elsewhere_may_be_in_the_page_and_nobody_may_frame_it(self):
        for target in ("/ui/", "/ui/page.js", "/ui/style.css", "/ui/icon.svg"):
            headers = self.ask(target)[0].headers
            policy = dict(part.strip().split(" ", 1)
                          for part in headers["Content-Security-Policy"].split(";"))
            self.assertEqual(policy.pop("default-src"), "'none'")
            self.assertEqual(policy.pop("frame-ancestors"), "'none'")
            self.assertEqual(policy.pop("base-uri"), "'none'")
            self.assertEqual(policy.pop("form-action"), "'none'")
            self.assertEqual(policy.pop("require-trusted-types-for"), "'script'")
            self.assertEqual(policy.pop("trusted-types"), "'none'")
            self.assertEqual(policy, {f"{kind}-src": "'self'"
                                      for kind in ("script", "style", "img", "connect")})
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertEqual(headers["X-Frame-Options"], "DENY")
            self.assertEqual(len(headers.get_all("Content-Type")), 1)
            self.assertEqual(headers.get_all("Cache-Control"), ["no-cache"])

    def test_what_the_browser_has_already_is_not_sent_again(self):
        etags = set()
        for name in sources():
            reply, _ = self.ask("/ui/" + name)
            etag = reply.headers["ETag"]
            self.assertRegex(etag, r'^"[0-9a-f]{32}"$')
            etags.add(etag)
            for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                again, body = self.ask("/ui/" + name, If_None_Match=known)
                self.assertEqual((again.status, body), (304, b""), known)
                self.assertEqual(again.headers["ETag"], etag)
                self.assertIsNone(again.headers["Content-Length"])
                self.assertIn("frame-ancestors 'none'", again.headers["Content-Security-Policy"])
            self.assertEqual(self.ask("/ui/" + name, If_None_Match='"other"')[0].status, 200)
        self.assertEqual(len(etags), len(sources()))

    def test_the_connection_goes_on_after_a_304(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        for _ in range(3):
            connection.request("GET", "/ui/page.js", headers={"If-None-Match": "*"})
            reply = connection.getresponse()
            reply.read()
            self.assertEqual(reply.status, 304)
            connection.request("GET", "/healthz")
            self.assertEqual(connection.getresponse().read(), b'{"status": "ok"}')
        connection.close()

    def test_head_tells_the_length_and_sends_nothing(self):
        for target in ("/ui/", "/ui/page.js"):
            whole, body = self.ask(target)
            head, nothing = self.ask(target, "HEAD")
            self.assertEqual((head.status, nothing), (200, b""))
            for field in ("Content-Length", "Content-Type", "ETag", "Content-Security-Policy"):
                self.assertEqual(head.headers[field], whole.headers[field])
            self.assertEqual(int(head.headers["Content-Length"]), len(body))

    def test_what_is_not_there_is_404_and_what_is_not_asked_for_rightly_405(self):
        for target in ("/ui/nothing.js", "/ui/../api.js", "/ui//index.html", "/ui/index.html/",
                       "/ui/README.md", "/ui/embed.cmake", "/uix", "/ui/%69ndex.html"):
            reply, body = self.ask(target)
            self.assertEqual(reply.status, 404, target)
            self.assertIn(b'"error": "not_found"', body)
        for method in ("POST", "DELETE", "PUT"):
            reply, _ = self.ask("/ui/", method)
            self.assertEqual((reply.status, reply.headers["Allow"]), (405, "GET, HEAD"))

    def test_all_that_is_referred_to_is_there(self):
        files = sources()
        references = {(name, match) for name, text in files.items() for match in re.findall(
            r'(?:src|href)="([^"#]+)"|\bfrom "\./([^"]+)"|^import "\./([^"]+)"', text, re.M)}
        self.assertGreater(len(references), 30)
        named = set()
        for name, match in references:
            target = next(filter(None, match))
            self.assertIn(target, files, f"{name} refers to {target}")
            named.add(target)
        self.assertEqual(set(files) - named, {"index.html"}, "files that nothing refers to")

    def test_no_file_names_another_site_or_has_code_in_markup(self):
        for name, text in sources().items():
            text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
            self.assertNotRegex(text, r"https?://|\burl\(|@import|[\"']//", name)
            self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b"
                                      r"|DOMParser|new Function", name)
            if name.endswith(".html"):
                self.assertNotRegex(text, r"\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)|<style", name)

    def test_the_elements_that_the_page_uses_are_in_its_markup(self):
        files = sources()
        ids = set(re.findall(r'\bid="([^"]+)"', files["index.html"]))
        for name in set(re.findall(r'\bat\("([^"]+)"\)', files["page.js"])):
            self.assertIn(name, ids)
        for name in re.findall(r'(?:for|aria-labelledby)="([^"]+)"', files["index.html"]):
            self.assertIn(name, ids)


if __name__ == "__main__":
    unittest.main()
