"""Every test that GUARANTEES.md and TRACK_RECORD.md name exists, under exactly that name.

The names are those that `ctest -N` lists, found in the sources, so that no build is needed:
  Suite.Test, Suite.*     a test in C++, a suite; with the prefix that ctest shows, if any
  folder.script           a test in another language
  folder.script:method    one method of it, also as Class.method; or all of a Class
  ui.model:title          a test in JavaScript

check_guarantees_test.py --list prints all of them.
"""

import ast
import functools
import os
import re
import sys
import unittest

TESTS = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = ["GUARANTEES.md", "TRACK_RECORD.md"]


def read(*names):
    with open(os.path.join(TESTS, *names), encoding="utf-8") as file:
        return file.read()


def compiled_tests(folder, cmake):
    """The names of the C++ tests of all files that the folder's CMakeLists.txt has."""
    prefix = "".join(re.findall(r"TEST_PREFIX (\S+)", cmake))
    for file in sorted(set(re.findall(r"\b\w+_test\.cpp\b", cmake))):
        text = read(folder, file)
        instances = {suite: instance + "/" for instance, suite in
                     re.findall(r"^INSTANTIATE_TEST_SUITE_P\(\s*(\w+),\s*(\w+)", text, re.M)}
        for suite, test in re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", text, re.M):
            yield f"{prefix}{instances.get(suite, '')}{suite}.{test}"


def unrolled(cmake):
    """The text of a CMakeLists.txt with its foreach loops written out."""
    def each(loop):
        variable, values, body = loop.groups()
        lowered = re.search(r"string\(TOLOWER \S+ (\w+)\)", body)
        texts = []
        for value in values.split():
            text = body.replace("${" + variable + "}", value)
            texts.append(text.replace("${" + lowered[1] + "}", value.lower()) if lowered else text)
        return "".join(texts)
    return re.sub(r"foreach\((\w+) ([^)]*)\)(.*?)endforeach\(\)", each, cmake, flags=re.S)


def scripts_of(folder, cmake):
    """Pairs of a ctest name and its script, which is None unless it is in Python."""
    for name in re.findall(r"add_test\(NAME (\S+)", cmake):
        yield name, None
    for name, script in re.findall(r"locker_add_python_test\((\S+) ([^\s)]+)", cmake):
        yield name, (folder, script)


def javascript_titles(part):
    """The titles of the tests that tests/ui/run.py runs for a part."""
    model = set(ast.literal_eval(re.search(r"MODEL = (\{.*?\})", read("ui", "run.py"))[1]))
    for file in sorted(os.listdir(os.path.join(TESTS, "ui"))):
        if file.endswith(".test.js") and (file.split(".")[0] in model) == (part == "model"):
            yield from re.findall(r'^test\(\s*"(.*?)"', read("ui", file), re.M)


@functools.cache
def parts_of(name, script):
    """What may stand behind the colon, each as often as it fits."""
    if script == ("ui", "run.py"):
        return list(javascript_titles(name.split(".")[1]))
    parts = []
    for item in ast.parse(read(*script)).body if script else []:
        if isinstance(item, ast.ClassDef):
            methods = [method.name for method in item.body if method.__class__ in
                       (ast.FunctionDef, ast.AsyncFunctionDef) and method.name.startswith("test_")]
            parts += methods + [f"{item.name}.{method}" for method in methods]
            parts += [item.name] if methods else []
    return parts


class Tests:
    """All tests by name."""

    def __init__(self):
        self.compiled, self.scripts = [], {}
        for folder in sorted(os.listdir(TESTS)):
            if os.path.exists(os.path.join(TESTS, folder, "CMakeLists.txt")):
                cmake = read(folder, "CMakeLists.txt")
                self.compiled += compiled_tests(folder, cmake)
                self.scripts.update(scripts_of(folder, unrolled(cmake)))

    def count(self, name):
        """How many tests, suites or scripts have this name."""
        script, colon, part = name.partition(":")
        if script in self.scripts:
            return parts_of(script, self.scripts[script]).count(part) if colon else 1
        if name.endswith(".*"):
            return len({test.rpartition(".")[0] for test in self.compiled} & {name[:-2]})
        return self.compiled.count(name)

    def all(self):
        yield from self.compiled
        for name, script in self.scripts.items():
            yield name
            yield from (f"{name}:{part}" for part in parts_of(name, script))


def cells(document):
    """Place and text of the last column of each table in which this is headed "tests"."""
    of_tests = False
    for number, line in enumerate(read(document).splitlines(), 1):
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if row and not of_tests:
            of_tests = row[-1] == "tests"
        elif row and not re.fullmatch("-+", row[-1]):
            yield f"tests/{document}:{number}", row[-1]
        of_tests = of_tests and bool(row)


class Names(unittest.TestCase):
    def setUp(self):
        self.tests = Tests()

    def test_each_that_a_document_names_is_there_once(self):
        wrong = []
        for document in DOCUMENTS:
            rows = list(cells(document))
            self.assertGreater(len(rows), 20, document)
            for place, cell in rows:
                names = re.findall(r"`([^`]+)`", cell)
                if not names and cell != "none":
                    wrong.append(f"{place}: no test is named")
                wrong += [f"{place}: {self.tests.count(name)} tests are named {name}" for name in names
                          if not name.startswith("./dev ") and self.tests.count(name) != 1]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_a_name_that_is_not_exact_is_seen(self):
        for name in ("Simulation.*", "JournalCrashTest", "JournalCrashTest.Restarts", "NoSuite.*",
                     "Journal.*", "JournalCrash*", "v1_wait_test", "program.v2_wait",
                     "program.v1_wait:", "program.*",
                     "program.v1_wait:test_nothing", "program.v1_acquire:Waiting.test_what_clashes",
                     "program.embedding:test_calls", "program.power_cut:Observer", "ui.model:durat"):
            self.assertEqual(self.tests.count(name), 0, name)
        self.assertGreater(self.tests.count("client.python_part:test_with_asyncio"), 1)

    def test_an_exact_name_is_found(self):
        for name in ("simulation.Simulation.*", "simulation.Simulation.KeptSeeds", "JournalCrashTest.*",
                     "All/HistoryCheckFinds.*", "program.v1_wait", "program.v1_wait:Waiting",
                     "program.embedding",
                     "program.v1_acquire:test_what_clashes", "program.v1_acquire:Acquiring.test_what_clashes",
                     "client.recipes_with_lock_busybox", "ui.model:durations"):
            self.assertEqual(self.tests.count(name), 1, name)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(Tests().all()))
    else:
        unittest.main()
