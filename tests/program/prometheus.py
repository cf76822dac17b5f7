"""A strict parser of Prometheus' text format 0.0.4, for the tests in this directory."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


class Family:
    def __init__(self, name, text):
        self.name = name
        self.help = text
        self.type = None
        self.samples = {}  # (name, labels) -> number


def parse_sample(line):
    name = NAME.match(line)
    if not name:
        raise ValueError(f"no name: {line!r}")
    rest = line[name.end():]
    labels = []
    if rest.startswith("{"):
        at = 1
        while rest[at] != "}":
            label = LABEL.match(rest, at)
            if not label:
                raise ValueError(f"a bad label: {line!r}")
            labels.append(label.groups())
            at = label.end()
            if rest[at] == ",":
                at += 1
            elif rest[at] != "}":
                raise ValueError(f"no end of the labels: {line!r}")
        rest = rest[at + 1:]
    if not re.fullmatch(r" (?:[-+]?(?:[0-9.eE+-]+|Inf)|NaN)", rest):
        raise ValueError(f"a bad value: {line!r}")
    if len({key for key, _ in labels}) != len(labels):
        raise ValueError(f"a label twice: {line!r}")
    return name.group(), tuple(labels), float(rest)


def parse(text):
    """Returns all families by name. Raises ValueError for anything the format does not allow."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    families = {}
    family = None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            if not NAME.fullmatch(name) or not words or name in families:
                raise ValueError(f"a bad or a second HELP: {line!r}")
            family = families[name] = Family(name, words)
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if family is None or name != family.name or family.type or family.samples:
                raise ValueError(f"a TYPE out of place: {line!r}")
            if kind not in ("counter", "gauge", "histogram"):
                raise ValueError(f"no such type: {line!r}")
            family.type = kind
        else:
            name, labels, value = parse_sample(line)
            names = [family.name + end for end in SUFFIXES.get(family.type, ("",))]
            if family.type is None or name not in names or (name, labels) in family.samples:
                raise ValueError(f"a sample out of place: {line!r}")
            family.samples[name, labels] = value
    for family in families.values():
        check(family)
    return families


def check(family):
    if not family.samples:
        raise ValueError(f"{family.name} is empty")
    if family.type == "counter" and not family.name.endswith("_total"):
        raise ValueError(f"{family.name}: a counter's name ends in _total")
    if family.type != "histogram":
        return
    series = {}
    for (name, labels), value in family.samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        bounds = [float(bound) for key, bound in labels if key == "le"]
        part = series.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            part["buckets"].append((bounds[0], value))
        else:
            part[name] = value
    for labels, part in series.items():
        buckets = part["buckets"]
        if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets):
            raise ValueError(f"{family.name}{labels}: buckets do not ascend")
        if buckets[-1] != (float("inf"), part[family.name + "_count"]):
            raise ValueError(f"{family.name}{labels}: the last bucket is not the count")
        if family.name + "_sum" not in part:
            raise ValueError(f"{family.name}{labels}: no sum")
