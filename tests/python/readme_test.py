"""Runs all Python code of client/python/README.md, from top to bottom, against a server."""

import contextlib
import io
import os
import re
import unittest

from server_case import PACKAGE, ServerCase


class Readme(ServerCase):
    def test_its_code_runs(self):
        with open(os.path.join(PACKAGE, "README.md"), encoding="utf-8") as file:
            pieces = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
        self.assertGreater(len(pieces), 7)
        names = {}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for piece in pieces:
                exec(piece.replace("http://127.0.0.1:8765", self.server.url), names)
        names["locker"].close()
        self.assertEqual(list(self.client.locks()), [])
        for expected in ("deploying with fence 1", "step 2", "got /pool/1", "/batch/7 ",
                         "released /batch/8", "{'ok': False, 'lockedBy': 'timmy'}", "{'ok': True}"):
            self.assertIn(expected, printed.getvalue())
        self.assertNotIn("lost:", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
