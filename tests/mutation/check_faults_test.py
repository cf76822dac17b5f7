"""Every fault still fits the source: its piece of text occurs exactly once in its file, and the
script that has to see it is there, with the methods that are named."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FAULTS  # pylint: disable=wrong-import-position

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def missing_of(test):
    """What a script that is named does not have."""
    script, *chosen = test.split()
    if not script.endswith(".py"):
        return []
    path = os.path.join(SOURCE, "tests", script)
    if not os.path.exists(path):
        return [f"there is no tests/{script}"]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if "unittest.main()" not in text:
        return []  # these are options
    if not chosen:
        return [f"it names no method of tests/{script}"]
    return [f"there is no {name} in tests/{script}" for name in chosen
            if any(f"{kind} {word}(" not in text
                   for kind, word in zip(("class", "    def"), name.split(".")))]


def main():
    wrong = []
    for fault in FAULTS:
        with open(os.path.join(SOURCE, fault.file), encoding="utf-8") as file:
            count = file.read().count(fault.old)
        if count != 1:
            wrong.append(f"{fault.name}: its text occurs {count} times in {fault.file}")
        wrong += [f"{fault.name}: {each}" for each in missing_of(fault.test)]
    names = [fault.name for fault in FAULTS]
    wrong += [f"{name}: named twice" for name in set(names) if names.count(name) > 1]
    print("\n".join(wrong) or f"{len(FAULTS)} faults fit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
