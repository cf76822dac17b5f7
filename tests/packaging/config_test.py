"""The config file of the package names every option, with its default."""

import os
import re
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "program"))
from certificates import Authority  # pylint: disable=wrong-import-position
from lockerd import LOCKERD, Lockerd, run  # pylint: disable=wrong-import-position

CONFIG = os.path.join(HERE, "..", "..", "cmake", "packaging", "lockerd.conf")
# Not for a file; another name; a default that the machine has.
NOT_IN_IT = {"help", "version", "config", "data", "threads"}


class ConfigTest(unittest.TestCase):
    def setUp(self):
        with open(CONFIG, encoding="ascii") as file:
            self.lines = re.findall(r"^(?:# )?([a-z-]+) = (\S+)$", file.read(), re.MULTILINE)
        self.help = run(LOCKERD, "--help")[1]

    def test_every_option_is_named_with_its_default(self):
        options = dict(re.findall(r"^  (?:-\w \[ )?--([a-z-]+)(?: \])?(?: arg)?(?: \(=([^)]*)\))?",
                                  self.help, re.MULTILINE))
        self.assertEqual({name for name, _ in self.lines}, set(options) - NOT_IN_IT)
        for name, value in self.lines:
            if options[name] and name != "file":
                self.assertEqual(value, options[name], name)

    def test_lockerd_takes_it_whole(self):
        with tempfile.TemporaryDirectory() as directory:
            config = os.path.join(directory, "lockerd.conf")
            with open(os.path.join(directory, "keys"), "w", encoding="ascii") as keys:
                keys.write("# nobody yet\n")
            authority = Authority(directory)
            certificate, key = authority.issue("server", "DNS:localhost")
            files = {"keys": os.path.join(directory, "keys"),
                     "audit-log": os.path.join(directory, "audit"),
                     "tls-certificate": certificate, "tls-key": key,
                     "tls-client-ca": authority.file}
            with open(config, "w", encoding="ascii") as file:
                for name, value in self.lines:
                    if name in ("file", "port", "segment-size"):  # the test's own
                        continue
                    file.write(f"{name} = {files.get(name, value)}\n")
            with Lockerd(os.path.join(directory, "store"), "--config", config) as server:
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
