"""The client as installed: by copying one folder, or by pip."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from importlib import metadata

from server_case import PACKAGE


def can_build():
    """Returns whether pip can build here; setuptools before 70.1 needs the package wheel."""
    if not (importlib.util.find_spec("pip") and importlib.util.find_spec("setuptools")):
        return False
    version = tuple(map(int, metadata.version("setuptools").split(".")[:2]))
    return version >= (70, 1) or (version >= (61, 0) and importlib.util.find_spec("wheel"))


class Package(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def run_alone(self, folder, program):
        """Runs a program in an isolated interpreter, without any installed package."""
        done = subprocess.run(
            [sys.executable, "-B", "-I", "-S", "-W", "error", "-c",
             f"import sys; sys.path.insert(0, {folder!r})\n" + program],
            cwd=self.directory, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_copied_folder_works_and_needs_the_standard_library_only(self):
        shutil.copytree(os.path.join(PACKAGE, "lockerclient"),
                        os.path.join(self.directory, "lockerclient"))
        loaded = self.run_alone(self.directory, """
import lockerclient, lockerclient.aio
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names - set(sys.builtin_module_names) - {"__main__", "lockerclient"}))
files = [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]
assert not [file for file in files if "site-packages" in file or "dist-packages" in file]
""")
        if hasattr(sys, "stdlib_module_names"):
            self.assertLessEqual(set(eval(loaded)), set(sys.stdlib_module_names))

    def test_the_blocking_client_does_without_asyncio(self):
        self.run_alone(PACKAGE, "import lockerclient; assert 'asyncio' not in sys.modules")

    def test_it_does_not_clash_with_locker_1_0b(self):
        self.assertEqual([name for name in os.listdir(PACKAGE) if name.lower() == "locker"], [])

    @unittest.skipUnless(can_build(), "needs pip, setuptools and wheel")
    def test_pip_installs_it(self):
        source = os.path.join(self.directory, "source")
        target = os.path.join(self.directory, "target")
        shutil.copytree(PACKAGE, source)  # the build writes into its source
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
             "--no-build-isolation", "--target", target, source], capture_output=True, text=True,
            check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        version = self.run_alone(target, "import lockerclient.aio; print(lockerclient.__version__)")
        self.assertEqual(version, "2.0.0\n")
        self.assertTrue(os.path.exists(os.path.join(target, "lockerclient", "py.typed")))


if __name__ == "__main__":
    unittest.main()
