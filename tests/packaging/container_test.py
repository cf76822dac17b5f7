"""What docker/ says of lockerd is true of lockerd: its options, calls and files."""

import os
import re
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "program"))
from certificates import Authority  # pylint: disable=wrong-import-position
from lockerd import LOCKERD, Lockerd, run  # pylint: disable=wrong-import-position


def read(name):
    with open(os.path.join(ROOT, "docker", name), encoding="utf-8") as file:
        return file.read()


class ContainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.options = set(re.findall(r"^  (?:-\w \[ )?--([a-z-]+)", run(LOCKERD, "--help")[1],
                                     re.MULTILINE))
        service, stateful_set = yaml.safe_load_all(read("kubernetes.yaml"))
        cls.service = service["spec"]
        cls.spec = stateful_set["spec"]
        cls.pod = cls.spec["template"]["spec"]
        (cls.container,) = cls.pod["containers"]

    def option(self, variable):
        return variable.removeprefix("LOCKER_").lower().replace("_", "-")

    def test_every_variable_is_an_option(self):
        kubernetes = [each["name"] for each in self.container["env"]]
        image = re.findall(r"(LOCKER_[A-Z_]+)=", read("Dockerfile"))
        self.assertGreater(len(image), 2)
        for variable in kubernetes + image:
            self.assertIn(self.option(variable), self.options)

    def test_kubernetes_fits_together(self):
        self.assertEqual(self.spec["replicas"], 1)
        labels = self.spec["template"]["metadata"]["labels"]
        self.assertEqual(labels, self.spec["selector"]["matchLabels"])
        self.assertEqual(labels, self.service["selector"])
        (port,) = self.container["ports"]
        self.assertEqual(port["name"], self.service["ports"][0]["targetPort"])
        mounted = {each["name"]: each["mountPath"] for each in self.container["volumeMounts"]}
        there = {each["name"] for each in self.pod["volumes"]}
        there |= {each["metadata"]["name"] for each in self.spec["volumeClaimTemplates"]}
        self.assertEqual(set(mounted), there)
        for each in self.container["env"]:
            if each["value"].startswith("/"):
                self.assertIn(os.path.dirname(each["value"]), mounted.values())

    def test_lockerd_runs_with_it(self):
        with tempfile.TemporaryDirectory() as directory:
            environment = {each["name"]: each["value"] for each in self.container["env"]}
            environment["LOCKER_KEYS"] = os.path.join(directory, "keys")
            environment["LOCKER_IP"] = "127.0.0.1"
            run(os.path.join(os.path.dirname(LOCKERD), "locker"), "token", "new", "ops", "--allow",
                "admin /", "--file", environment["LOCKER_KEYS"])
            with Lockerd(os.path.join(directory, "store"), environment=environment) as server:
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    path = self.container[probe]["httpGet"]["path"]
                    with urllib.request.urlopen(server.url + path, timeout=60) as answer:
                        self.assertEqual(answer.status, 200)
                with self.assertRaises(urllib.error.HTTPError):  # the keys are in use
                    urllib.request.urlopen(server.url + "/dohaz/a", timeout=60)
                self.assertEqual(server.stop(), 0)

    def test_the_health_check_passes_with_and_without_tls(self):
        (command,) = re.findall(r"HEALTHCHECK [^\n]*\\\n  CMD ([^\n]+)", read("Dockerfile"))
        def is_healthy(port):
            return run("sh", "-c", command, environment={"LOCKER_PORT": str(port)})[0] == 0
        with tempfile.TemporaryDirectory() as directory:
            ca = Authority(directory)
            certificate, key = ca.issue("server", "DNS:localhost")
            tls = ("--tls-certificate", certificate, "--tls-key", key)
            for number, options in enumerate(((), tls, (*tls, "--tls-client-ca", ca.file))):
                store = os.path.join(directory, f"store{number}")
                with Lockerd(store, *options) as server:
                    self.assertTrue(is_healthy(server.port), options)
                    server.stop()
                    self.assertFalse(is_healthy(server.port), options)

    def test_compose_is_a_file_of_compose(self):
        compose = yaml.safe_load(read("compose.yaml"))
        service = compose["services"]["locker"]
        for volume in service["volumes"]:
            self.assertIn(volume.split(":")[0], compose["volumes"])
        self.assertTrue(os.path.exists(os.path.join(ROOT, service["build"]["dockerfile"])))


if __name__ == "__main__":
    unittest.main()
