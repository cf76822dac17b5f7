"""The recipes for cron, GitHub Actions, GitLab CI, Jenkins and Kubernetes: their shell parts, in the
order and by the shells that those systems run them with."""

import os
import re
import textwrap
import unittest

from recipe_case import LONG, RecipeCase, recipe, wait_until
from lossy_proxy import LossyProxy

try:
    import yaml
except ImportError:
    yaml = None

DEPLOY = """#!/bin/sh
echo "$1" >fence
curl -s "$LOCKER_URL/v1/locks/deploy/production" >state
exit ${DEPLOY_CODE:-0}
"""


class Job(RecipeCase):
    """Steps with a working directory in common; a step that fails ends the job but for its last."""

    def setUp(self):
        super().setUp()
        self.write("deploy", DEPLOY)

    def step(self, shell, text, **environment):
        script = self.write("step", text)
        return self.start(*shell, script, **environment)

    def run_job(self, steps, code=0):
        """`steps` yields the Run of each step. Returns the holder, and what the first one said."""
        with self.client.lock("/deploy/production", ttl=LONG, owner="somebody") as before:
            taking = next(steps)
            self.wait_in_line("/deploy/production")
            self.assertIsNone(taking.process.poll())
        self.assertEqual(taking.wait(), 0, taking.said())
        (holder,) = self.client.state("/deploy/production").holders
        self.assertGreater(holder.fence, before.fence)
        self.assertEqual(holder.ttl, 35 * 60)
        for number, run in enumerate(steps):
            self.assertEqual(run.wait(), code if number == 0 else 0, run.said())
        self.assertEqual(self.text_of("fence"), f"{holder.fence}\n")
        self.assertIn(f'"fence": {holder.fence}', self.text_of("state"))
        self.assertTrue(self.is_free("/deploy/production"))
        return holder, taking.said()

    def refuse(self, steps):
        """The lock cannot be had at all: the first step fails, and says why."""
        url = self.environment["LOCKER_URL"]
        with LossyProxy(self.server.port) as proxy:
            proxy.answers = {b"POST /": b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome"}
            for wrong, said in (url + "/nothing-here", "not_found"), (proxy.url, "Welcome"):
                self.environment["LOCKER_URL"] = wrong
                taking = next(steps())
                self.assertEqual(taking.wait(), 1)
                self.assertIn(said, taking.said())

    def take_back(self, steps):
        """The place in the line, which a late copy of its own request has taken."""
        with LossyProxy(self.server.port) as proxy:
            self.environment["LOCKER_URL"] = proxy.url
            proxy.duplicate(1, b"POST /v1/locks/")
            with self.client.lock("/deploy/production", ttl=LONG):
                taking = next(steps())
                wait_until(lambda: "superseded" in taking.said(), "it is not sent twice")
            self.assertEqual(taking.wait(), 0, taking.said())

    def tell(self, steps):
        """Why it waits, or that what it asks is no URL at all."""
        for wrong, said in ("http://one two", "(3) "), ("", "(3) "):
            self.environment["LOCKER_URL"] = wrong
            taking = next(steps())
            self.assertEqual(taking.wait(), 1)
            self.assertIn(f"curl: {said}", taking.said())
        self.environment["LOCKER_URL"] = "http://127.0.0.1:1"
        taking = next(steps())
        wait_until(lambda: "waiting: 000" in taking.said())
        self.assertIn("curl: (7) ", taking.said())
        self.assertIsNone(taking.process.poll())


def blocks(text, key):
    """The literal blocks of a key in YAML, without a parser."""
    found = re.findall(rf"^( *)(?:- )?{key}:(?: \||\n +- \|) *\n((?:\1 .*\n|\n)+)", text,
                       re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


class GitHub(Job):
    shell = ["bash", "-e"]

    def steps(self, **environment):
        text = recipe("github")
        take, give_back = blocks(text, "run")
        (deploy,) = re.findall(r"run: (\./deploy.*)", text)
        if yaml is not None:
            job = yaml.safe_load(text)["jobs"]["deploy"]
            runs = [step["run"] for step in job["steps"] if "run" in step]
            self.assertEqual([run.strip() for run in runs],
                             [part.strip() for part in (take, deploy, give_back)])
            self.assertLess(job["timeout-minutes"], 35)
            self.assertEqual(job["steps"][-1]["if"], "always()")
        exported = self.write("github_env", "")
        environment = {"GITHUB_ENV": exported, "GITHUB_REPOSITORY": "me/shop",
                       "GITHUB_RUN_ID": "42", **environment}
        for part in (take, deploy, give_back):
            yield self.step(self.shell, part, **environment)
            environment.update(line.split("=", 1) for line in
                               self.text_of("github_env").splitlines())

    def test_a_job(self):
        holder, said = self.run_job(self.steps())
        self.assertEqual(holder.owner, "me/shop run 42")
        self.assertRegex(said, r"^::add-mask::[0-9a-f-]{36}\n")

    def test_a_deployment_that_fails(self):
        self.run_job(self.steps(DEPLOY_CODE="3"), 3)

    def test_no_lock_server(self):
        self.refuse(self.steps)

    def test_a_late_copy_of_its_request(self):
        self.take_back(self.steps)

    def test_why_it_waits(self):
        self.tell(self.steps)


class GitLab(Job):
    shell = ["sh", "-e"]

    def steps(self, **environment):
        text = recipe("gitlab")
        (take,) = blocks(text, "before_script")
        (give_back,) = blocks(text, "after_script") or blocks(
            re.sub("after_script:.*", "after_script:", text), "after_script")
        (deploy,) = re.findall(r"- (\./deploy.*)", text)
        if yaml is not None:
            job = yaml.safe_load(text)["deploy"]
            self.assertEqual([job[key][0].strip() for key in ("before_script", "script",
                                                              "after_script")],
                             [part.strip() for part in (take, deploy, give_back)])
        environment = {"CI_JOB_URL": "http://gitlab/jobs/42", **environment}
        # GitLab runs before_script and script in one shell. Here it pauses between them.
        both = f"{take}\ntouch taken\nwhile ! [ -e go-on ]; do sleep 0.05; done\n{deploy}"
        run = self.step(self.shell, both, **environment)
        yield TakingPart(run, lambda: "taken" in os.listdir(self.directory))
        self.write("go-on", "")
        yield run
        yield self.step(self.shell, give_back, **environment)

    def test_a_job(self):
        holder, _ = self.run_job(self.steps())
        self.assertEqual(holder.owner, "http://gitlab/jobs/42")
        self.assertNotIn("locker-token", os.listdir(self.directory))

    def test_a_deployment_that_fails(self):
        self.run_job(self.steps(DEPLOY_CODE="3"), 3)

    def test_no_lock_server(self):
        self.refuse(self.steps)

    def test_a_late_copy_of_its_request(self):
        self.take_back(self.steps)

    def test_why_it_waits(self):
        self.tell(self.steps)


class TakingPart:
    """The first part of a run: it is over when a condition holds."""

    def __init__(self, run, is_over):
        self._run = run
        self._is_over = is_over
        self.process = run.process
        self.said = run.said

    def wait(self):
        wait_until(lambda: self._is_over() or self.process.poll() is not None)
        return self.process.poll() or 0


class Jenkins(Job):
    shell = ["sh", "-xe"]

    def steps(self, **environment):
        text = recipe("jenkins")
        scripts = re.findall(r"sh '''(.*?)'''|sh '([^']*)'", text, re.DOTALL)
        self.assertEqual(len(scripts), 3)
        environment = {"BUILD_URL": "http://jenkins/42", **environment}
        for long, short in scripts:
            yield self.step(self.shell, (long or short).replace("\\\\", "\\"), **environment)

    def test_a_job(self):
        holder, said = self.run_job(self.steps())
        self.assertEqual(holder.owner, "http://jenkins/42")
        self.assertNotRegex(said.replace("\n", " "), r"Lock-Token: [0-9a-f]")
        self.assertEqual({name for name in os.listdir(self.directory) if name.startswith("locker")},
                         set())

    def test_a_deployment_that_fails(self):
        self.run_job(self.steps(DEPLOY_CODE="3"), 3)

    def test_no_lock_server(self):
        self.refuse(self.steps)

    def test_a_late_copy_of_its_request(self):
        self.take_back(self.steps)

    def test_why_it_waits(self):
        self.tell(self.steps)


class Cron(RecipeCase):
    def crontab(self, name):
        """The environment of the lines, and the command of the last one."""
        *settings, line = recipe(name).strip().split("\n")
        self.assertNotIn("%", line)
        minute, command = re.fullmatch(r"(\S+) \* \* \* \* (.+)", line).groups()
        self.assertEqual(minute, "*/10")
        for setting in settings:
            self.assertRegex(setting, r"^LOCKER_URL=http\S+$")
        for program in ("with-lock", "report"):
            command = command.replace("/usr/local/bin/" + program, f"{self.directory}/{program}")
        return command

    def setUp(self):
        super().setUp()
        self.write("with-lock", recipe("with-lock"))
        self.write("report", "#!/bin/sh\necho ran >>ran\nwhile [ -e slow ]; do sleep 0.05; done\n")

    def test_one_at_a_time(self):
        command = self.crontab("cron-exclusive")
        self.write("slow", "")
        first = self.start("sh", "-c", command)
        wait_until(lambda: self.text_of("ran"))
        self.assertEqual(self.start("sh", "-c", command).wait(), 75)
        os.unlink(os.path.join(self.directory, "slow"))
        self.assertEqual(first.wait(), 0, first.said())
        self.assertEqual(self.start("sh", "-c", command).wait(), 0)
        self.assertEqual(self.text_of("ran"), "ran\n" * 2)

    def test_once_for_each_tick(self):
        command = self.crontab("cron-once")
        runs = [self.start("sh", "-c", command) for _ in range(5)]
        codes = sorted(run.wait() for run in runs)
        self.assertEqual(codes[0], 0)
        self.assertTrue(all(codes[1:]), codes)
        self.assertEqual(self.text_of("ran"), "ran\n")
        self.assertEqual(self.client.state("/cron/report-tick").holders[0].ttl, 9 * 60)
        self.assertEqual([run.said() for run in runs], [""] * 5)  # else cron would mail it
        self.client.force("/cron/report-tick")  # as if nine minutes were over
        self.assertEqual(self.start("sh", "-c", command).wait(), 0)


    def test_a_tick_without_an_answer_is_told(self):
        command = self.crontab("cron-once")
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome"
        with LossyProxy(self.server.port) as proxy:
            proxy.answers = {b"POST /": page}
            for url, said in (("http://127.0.0.1:1", r"curl: \(7\) .*\nNo report: \n"),
                              (proxy.url, "No report: Welcome\n"),
                              (self.server.url + "/nothing-here", "No report: .*not_found.*\n")):
                run = self.start("sh", "-c", command, LOCKER_URL=url)
                self.assertEqual(run.wait(), 69)
                self.assertRegex(run.said(), f"^{said}$")
        self.assertEqual(self.text_of("ran"), "")


class Kubernetes(RecipeCase):
    def test_the_command_of_the_container(self):
        text = recipe("kubernetes")
        command = re.search(r"command: \[(.+)\]", text).group(1).split(", ")
        if yaml is not None:
            (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
            self.assertEqual(container["command"], command)
            self.environment.update({entry["name"]: entry["value"] for entry in container["env"]
                                     if entry["name"] != "LOCKER_URL"})
            self.assertEqual(self.environment["LOCKER_WAIT"], "3600")
        self.write("with-lock", recipe("with-lock"), executable=False)
        self.write("migrate", "#!/bin/sh\necho $LOCKER_PATH\n")
        command[command.index("/locker/with-lock")] = os.path.join(self.directory, "with-lock")
        run = self.start(*command)
        self.assertEqual(run.wait(), 0)
        self.assertEqual(run.said(), "/database/orders\n")


del Job


if __name__ == "__main__":
    unittest.main()
