"""Runs the tests that need Node.js: `model` alone, or `browser` with Chromium and two npm packages.

They run in a copy in the build directory, where npm may write. Exit code 77: something that they
need cannot be had here.
"""

import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("LOCKER_BUILD", "build"))
SKIPPED = 77
MODEL = {"model", "mirror"}  # those that need no browser


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def need(*names, package):
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return skip(f"there is no {names[0]} here; install it with: apt-get install {package}")


def copy_to(directory):
    """The tests, and the page's modules beside them in `page`."""
    os.makedirs(directory + "/page", exist_ok=True)
    for stale in glob.glob(directory + "/*.js") + glob.glob(directory + "/page/*"):
        os.remove(stale)
    for file in glob.glob(HERE + "/*.js") + glob.glob(HERE + "/package*.json"):
        shutil.copy(file, directory)
    for file in glob.glob(SOURCE + "/server/ui/*.js"):
        shutil.copy(file, directory + "/page")


def install_packages(npm, directory):
    """Once for each package-lock.json."""
    with open(directory + "/package-lock.json", encoding="utf-8") as file:
        wanted = file.read()
    mark = directory + "/node_modules/.installed"
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    try:
        done = subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts",
                               "--fetch-retries=1"],
                              cwd=directory, capture_output=True, text=True, timeout=180,
                              check=False)
    except subprocess.TimeoutExpired:
        skip("npm's registry does not answer; playwright-core and axe-core come from there")
    if done.returncode != 0:
        skip("npm cannot install playwright-core and axe-core:\n" + done.stdout + done.stderr)
    with open(mark, "w", encoding="utf-8") as file:
        file.write(wanted)


def main():
    part = sys.argv[1]
    node = need("node", "nodejs", package="nodejs")
    directory = f"{BUILD}/tests/ui/{part}"
    environment = {**os.environ, "LOCKERD": BUILD + "/lockerd"}
    if part == "browser":
        environment["CHROMIUM"] = need("chromium", "chromium-browser", package="chromium")
        copy_to(directory)
        install_packages(need("npm", package="npm"), directory)
    else:
        copy_to(directory)

    def name_of(test):
        return os.path.basename(test).split(".")[0]
    names = sys.argv[2:]
    tests = [test for test in sorted(glob.glob(directory + "/*.test.js"))
             if (name_of(test) in MODEL) == (part == "model") and (not names or name_of(test) in names)]
    return subprocess.run([node, "--test", *tests], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
