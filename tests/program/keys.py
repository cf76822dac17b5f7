"""Makes API keys with the real `locker token new`, for the tests in this directory."""

import base64
import os
import subprocess

from lockerd import LOCKER


def new_key(name, *rules, file=None):
    """Returns (key, its line); with `file`, appends the line to it."""
    arguments = [LOCKER, "token", "new", name]
    for rule in rules:
        arguments += ["--allow", rule]
    if file is not None:
        arguments += ["--file", file]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=True)
    lines = done.stdout.splitlines()
    return lines[0], (lines[1] if file is None else None)


def bearer(key):
    return {"Authorization": "Bearer " + key}


def basic(key, user="x"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


def write_atomically(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
