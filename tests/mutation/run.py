"""Puts one fault after the other into a copy of the source, builds it, and expects the named test to fail.

Usage: run.py WORK-DIRECTORY [NAME…]   (all faults if none is named)
"""

import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FAULTS  # pylint: disable=wrong-import-position

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


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
    directory = os.path.join(source, "build")
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        subprocess.run(["cmake", "-S", source, "-B", directory, "-G", "Ninja", "-DLOCKER_TESTS=ON",
                        "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"],
                       check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["cmake", "--build", directory, "--target", *targets], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else done.stdout


def passes(source, test):
    directory = os.path.join(source, "build")
    environment = {**os.environ, "LOCKER_BUILD": directory, "LOCKER_SEEDS": "4000"}
    if is_script(test):
        script, *options = test.split()
        command = [sys.executable, "-B", os.path.join(source, "tests", script), *options]
    else:
        target, chosen = test.split()
        command = [os.path.join(directory, target), f"--gtest_filter={chosen}"]
    try:
        done = subprocess.run(command, env=environment, check=False, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        return False  # to hang is to fail
    return done.returncode == 0


def is_script(test):
    return test.split()[0].endswith(".py")


def targets_of(test):
    if test.startswith("histories/"):
        return ["lockerd", "locker", "torture", "check_history"]
    return ["lockerd", "locker"] if is_script(test) else [test.split()[0]]


def main():
    work = os.path.abspath(sys.argv[1])
    chosen = [fault for fault in FAULTS if not sys.argv[2:] or fault.name in sys.argv[2:]]
    source = os.path.join(work, "source")
    copy_source(source)
    unseen = []
    for test in sorted({fault.test for fault in chosen}):
        fault = build(source, targets_of(test))
        if fault is not None:
            sys.exit(fault)
        if not passes(source, test):
            sys.exit(f"{test} fails without any fault: it proves nothing.")
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
                result = "DOES NOT BUILD"
                print(broken[-2000:])
            else:
                result = "NOT SEEN" if passes(source, fault.test) else "seen"
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(right)
        if result != "seen":
            unseen.append(fault.name)
        print(f"{fault.name:28} {result:8} by {fault.test} ({time.monotonic() - began:.0f} s)",
              flush=True)
    print(f"{len(chosen) - len(unseen)} of {len(chosen)} faults were seen")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
