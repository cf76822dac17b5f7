"""Every fault still fits the source: its piece of text occurs exactly once in its file, and the
script that has to see it is there."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import FAULTS  # pylint: disable=wrong-import-position

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def main():
    wrong = []
    for fault in FAULTS:
        with open(os.path.join(SOURCE, fault.file), encoding="utf-8") as file:
            count = file.read().count(fault.old)
        if count != 1:
            wrong.append(f"{fault.name}: its text occurs {count} times in {fault.file}")
        script = fault.test.split()[0]
        if script.endswith(".py") and not os.path.exists(os.path.join(SOURCE, "tests", script)):
            wrong.append(f"{fault.name}: there is no tests/{script}")
    names = [fault.name for fault in FAULTS]
    wrong += [f"{name}: named twice" for name in set(names) if names.count(name) > 1]
    print("\n".join(wrong) or f"{len(FAULTS)} faults fit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
