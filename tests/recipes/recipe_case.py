"""Takes the code out of the documents, and runs it beside a real server."""

import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "python")]

from server_case import LONG, PATIENCE, ServerCase, wait_until  # noqa: E402, F401, for others

RECIPES = os.path.join(ROOT, "client", "RECIPES.md")


def recipe(name):
    """The fenced block behind `<!-- recipe: name -->`."""
    with open(RECIPES, encoding="utf-8") as file:
        found = re.findall(rf"<!-- recipe: {name} -->\n```\w*\n(.*?)```", file.read(), re.DOTALL)
    assert len(found) == 1, f"{len(found)} recipes are named {name}"
    return found[0]


class Run:
    """A process that a test watches, in a session of its own. What it says is in files, so that
    nothing that it leaves behind holds a pipe."""

    count = 0

    def __init__(self, arguments, directory, environment):
        Run.count += 1
        self._output = os.path.join(directory, f"output-{Run.count}")
        with open(self._output, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                arguments, cwd=directory, env={**os.environ, **environment}, stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def said(self):
        with open(self._output, encoding="utf-8") as file:
            return file.read()

    def wait(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("it does not end: " + self.said()) from None

    def end(self):
        self.process.poll()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class RecipeCase(ServerCase):
    def setUp(self):
        super().setUp()
        self.environment = {"LOCKER_URL": self.server.url}

    def write(self, name, text, executable=True):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if executable:
            os.chmod(path, 0o755)
        return path

    def text_of(self, name):
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def start(self, *arguments, **environment):
        run = Run(arguments, self.directory, {**self.environment, **environment})
        self.addCleanup(run.end)
        return run

    def is_alive(self, pid):
        """Zombies aside: in a container nobody may fetch them."""
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    def pid_in(self, name):
        wait_until(lambda: self.text_of(name).endswith("\n"), "it does not start")
        pid = int(self.text_of(name))
        self.addCleanup(self.kill, pid)
        return pid

    def kill(self, pid):
        if self.is_alive(pid):
            os.kill(pid, signal.SIGKILL)
