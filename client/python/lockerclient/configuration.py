"""Settings from the environment and from the configuration file of the program `locker`."""

from __future__ import annotations

import os

NAMES = ("url", "key-file", "ca-file", "client-certificate", "client-key")


def setting(name: str, variable: str) -> str | None:
    """Return the value of the environment variable, else of the file; None if unset or empty."""
    return os.environ.get(variable) or _of_file(_file()).get(name) or None


def default_key() -> str | None:
    key = os.environ.get("LOCKER_KEY")
    if not key:
        path = setting("key-file", "LOCKER_KEY_FILE")
        if path is None:
            return None
        key = _first_line(path)
    key = key.rstrip(" \t\r\n")
    if not all(" " < letter < "\x7f" for letter in key):  # it becomes part of a header
        raise ValueError("The API key contains a blank, a control character or a non-ASCII "
                         "character.")
    return key or None


def _first_line(path: str) -> str:
    line = ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            line = file.readline()
    except OSError:
        pass
    if not line.strip():
        raise ValueError(f"The key file {path!r} cannot be read, or its first line is empty.")
    return line


def _file() -> str | None:
    """Return the user's configuration file, else the machine's."""
    # Not LOCKER_CONFIG: that is lockerd's, which may run in the same environment.
    if named := os.environ.get("LOCKER_CLIENT_CONFIG"):
        return named
    home = os.environ.get("HOME")
    directory = os.environ.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else "")
    for place in (os.path.join(directory, "locker", "locker.conf"), "/etc/locker/locker.conf"):
        if os.path.isabs(place) and os.access(place, os.R_OK):
            return place
    return None


def _of_file(path: str | None) -> dict[str, str]:
    """Parse the lines `name = value` of a configuration file."""
    values: dict[str, str] = {}
    if path is None:
        return values
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError:
        raise ValueError(f"{path} cannot be read; fix it, or name another in "
                         "LOCKER_CLIENT_CONFIG.") from None
    for line in filter(None, lines):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or name not in NAMES:
            raise ValueError(f"{path}: {line!r} is not a valid line. It takes url, key-file, "
                             "ca-file, client-certificate and client-key, as in url = "
                             "http://host:8765.")
        if name in values:
            raise ValueError(f"{path}: {name} is set twice.")
        values[name] = value.strip()
    return values
