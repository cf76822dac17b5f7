"""The manual pages name every option that the programs have, and no other; their markup is right."""

import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "program"))
from lockerd import LOCKER, LOCKERD, run  # pylint: disable=wrong-import-position

COMMAND = os.path.join(ROOT, "client", "manual", "locker.1")
DAEMON = os.path.join(ROOT, "server", "manual", "lockerd.8")


def options_of_help(text):
    return set(re.findall(r"^  (?:-\w \[ )?--([a-z-]+)", text, re.MULTILINE))


def items_of_page(path):
    """Options that have a paragraph of their own."""
    with open(path, encoding="ascii") as file:
        lines = re.findall(r"^\.It (Fl .*)$", file.read(), re.MULTILINE)
    return {name for line in lines for name in re.findall(r"(?:^Fl|,) -([a-z-]+)", line)}


class ManualTest(unittest.TestCase):
    def test_lockerd(self):
        self.assertEqual(items_of_page(DAEMON), options_of_help(run(LOCKERD, "--help")[1]))

    def test_locker(self):
        commands = re.findall(r"^  ([a-z]+) +[a-z]", run(LOCKER, "help")[1], re.MULTILINE)
        commands.remove("locker")
        self.assertGreater(len(commands), 10)
        with open(COMMAND, encoding="ascii") as file:
            page = file.read()
        options = set()
        for command in commands:
            self.assertRegex(page, rf"(?m)^\.It Cm {command}\b")
            options |= options_of_help(run(LOCKER, command, "--help")[1])
        self.assertEqual(items_of_page(COMMAND), options)

    def test_markup(self):
        tools = {"groff": ["groff", "-mdoc", "-Tutf8", "-ww", "-z"],
                 "mandoc": ["mandoc", "-T", "lint", "-W", "warning"]}
        there = [command for name, command in tools.items() if shutil.which(name)]
        if not there:
            self.skipTest("neither groff nor mandoc is installed")
        for command in there:
            done = subprocess.run([*command, COMMAND, DAEMON], capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
