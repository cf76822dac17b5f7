"""Puts one fault after the other into a copy of the source, builds it, and expects the named test to fail:
that it says which of its tests failed, or never ends. A lockerd that does not start proves nothing.

Usage: run.py WORK-DIRECTORY [--part K/N] [NAME…]   (all faults if none is named; of N parts the K-th,
which has its own tests: all takes hours)
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FAULTS  # pylint: disable=wrong-import-position

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

# By GoogleTest, unittest and the checker of histories.
FAILED = re.compile(r"^(?:\[  FAILED  \] ([\w/]+\.[\w/]+)|(?:FAIL|ERROR): (\w+)|([1-9]\d* faults)$)", re.M)
LONGEST = 1800  # seconds that a test may take without a fault
BEGUN = re.compile(r"^\[ RUN      \] (\S+)", re.M)
START = """
import sys, tempfile
sys.path.insert(0, sys.argv[1])
from lockerd import Lockerd
with tempfile.TemporaryDirectory() as directory, Lockerd(directory + "/store") as server:
    server.get("/healthz")
"""


def copy_source(to):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=SOURCE, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        source, target = os.path.join(SOURCE, name), os.path.join(to, name)
        if not os.path.isfile(source):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source, "rb") as file:
            text = file.read()
        if os.path.exists(target):
            with open(target, "rb") as file:
                if file.read() == text:
                    continue  # keeps its time, and so what was built of it
        shutil.copyfile(source, target)


def build(source, targets):
    # A fault may leave a variable unused.
    options = ["-DLOCKER_TESTS=ON", "-DLOCKER_WERROR=OFF"]
    subprocess.run(["cmake", "--preset", "release", *options], cwd=source, check=True,
                   stdout=subprocess.DEVNULL)
    done = subprocess.run(["cmake", "--build", "--preset", "release", "--target", *targets], cwd=source,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else done.stdout


def run(command, source, limit):
    """Exit code, None after `limit` seconds, and all that it said. What it leaves running is ended."""
    directory = os.path.join(source, "build")
    environment = {**os.environ, "LOCKER_BUILD": directory, "LOCKER_SEEDS": "4000"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(command, env=environment, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return code, said.read()


def starts(source):
    program_tests = os.path.join(source, "tests", "program")
    code, said = run([sys.executable, "-B", "-c", START, program_tests], source, 60)
    return code == 0, said


def failing(code, said):
    """What a test says of its failure: the names of those that fail; none: it passes, or has ended
    otherwise, which proves nothing."""
    if code == 0:
        return []
    names = [match[match.lastindex] for match in FAILED.finditer(said)]
    if code is None:
        names = names or ["it hangs"]
    elif code < 0 and not names:  # an assertion in the program, in the test that ran last
        names = BEGUN.findall(said)[-1:]
    return list(dict.fromkeys(names))


def run_test(source, test, limit):
    directory = os.path.join(source, "build")
    if is_script(test):
        script, *options = test.split()
        return run([sys.executable, "-B", os.path.join(source, "tests", script), *options], source,
                   limit)
    target, chosen = test.split()
    return run([os.path.join(directory, target), f"--gtest_filter={chosen}"], source, limit)


def outcome(source, test, limit):
    """A word, and what there is to say about it."""
    if is_script(test):
        is_up, said = starts(source)
        if not is_up:
            return "DOES NOT START", said
    code, said = run_test(source, test, limit)
    if code == 0:
        return "NOT SEEN", ""
    names = failing(code, said)
    return ("seen", ", ".join(names[:3])) if names else ("NO PROOF", f"exit code {code}\n{said}")


def is_script(test):
    return test.split()[0].endswith(".py")


def targets_of(test):
    if test.startswith("histories/"):
        return ["lockerd", "locker", "torture", "check_history"]
    return ["lockerd", "locker"] if is_script(test) else [test.split()[0]]


def part(text):
    number, of = map(int, text.split("/"))
    if not 1 <= number <= of:
        raise ValueError(text)
    return number, of


def part_of(faults, number, of):
    tests = sorted({fault.test for fault in faults})[number - 1::of]
    return [fault for fault in faults if fault.test in tests]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("--part", type=part, default="1/1", metavar="K/N")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_intermixed_args()
    chosen = [fault for fault in FAULTS if not asked.names or fault.name in asked.names]
    if len(chosen) < len(set(asked.names)):
        sys.exit("There is no fault of one of these names.")
    chosen = part_of(chosen, *asked.part)
    source = os.path.join(os.path.abspath(asked.work), "source")
    copy_source(source)
    unseen = []
    limits = {}  # of each test: far more than it takes without a fault, on this machine as busy as it is
    for test in sorted({fault.test for fault in chosen}):
        fault = build(source, targets_of(test))
        if fault is not None:
            sys.exit(fault)
        began = time.monotonic()
        result, said = outcome(source, test, LONGEST)
        limits[test] = 60 + 3 * (time.monotonic() - began)
        if result != "NOT SEEN":
            sys.exit(f"{said}\n{test} fails without any fault: it proves nothing.")
        print(f"without a fault: {test} ({time.monotonic() - began:.0f} s)", flush=True)
    for fault in chosen:
        began = time.monotonic()
        path = os.path.join(source, fault.file)
        with open(path, encoding="utf-8") as file:
            right = file.read()
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(right.replace(fault.old, fault.new))
            broken = build(source, targets_of(fault.test))
            if broken is not None:
                result, said = "DOES NOT BUILD", broken
            else:
                result, said = outcome(source, fault.test, limits[fault.test])
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(right)
        if result != "seen":
            unseen.append(fault.name)
            print(said[-2000:])
        by = f"{fault.test}: {said}" if result == "seen" else fault.test
        print(f"{fault.name:28} {result:8} by {by} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(chosen) - len(unseen)} of {len(chosen)} faults were seen")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
