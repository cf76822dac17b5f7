#!/usr/bin/env python3
"""A stand-in for the first Locker: its three calls, one table that is written whole at each change.

pickling_server.py PORT FILE [HELD]

Written anew from the description of what it did. The file is replaced and not synced: a power cut
can lose it. HELD locks are held from the start, because the cost of a change is in proportion to
them.
"""

import http.server
import json
import os
import pickle
import sys
import threading
import urllib.parse
import uuid

table = {}
guard = threading.Lock()
file_name = sys.argv[2]


def save():
    with open(file_name + ".new", "wb") as file:
        pickle.dump(table, file)
    os.replace(file_name + ".new", file_name)


def blocker(path):
    parts = path.strip("/").split("/")
    for depth in range(len(parts) + 1):
        above = table.get("/" + "/".join(parts[:depth]))
        if above:
            return above
    below = path.rstrip("/") + "/"
    return next((held for other, held in table.items() if other.startswith(below)), None)


def canhaz(path, parameters):
    held = blocker(path)
    if held:
        return {"ok": False, "lockedBy": held["id"]}
    token = str(uuid.uuid4())
    table[path] = {"id": parameters.get("id", "?"), "token": token}
    save()
    return {"ok": True, "token": token}


def nowant(path, parameters):
    held = table.get(path)
    if not held or held["token"] != parameters.get("token"):
        return {"ok": False}
    del table[path]
    save()
    return {"ok": True}


def dohaz(path, _):
    held = blocker(path)
    return {"lockedBy": held["id"] if held else None}


CALLS = {"canhaz": canhaz, "nowant": nowant, "dohaz": dohaz}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        _, call, rest = url.path.split("/", 2)
        with guard:
            answer = CALLS[call]("/" + rest, dict(urllib.parse.parse_qsl(url.query)))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


def main():
    for number in range(int(sys.argv[3]) if len(sys.argv) > 3 else 0):
        table[f"/held/{number}"] = {"id": "bench", "token": str(uuid.uuid4())}
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


main()
