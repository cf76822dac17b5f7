"""A proxy in front of lockerd that loses or delays traffic on demand."""

import re
import socket
import threading


class LossyProxy:
    """Forwards bytes, and records what clients sent in `seen`.

    - `lose_replies(n)` drops the next n replies and cuts their connections.
    - `cut()` ends all connections.
    - While `flows` is cleared, a request is delayed until its client has hung up and `flows` is
      set.
    - `freeze()` makes the present connections carry nothing, without closing them.
    - A request that begins with a key of `answers` gets its value as the answer.
    - A key of `rewrites` in a request is replaced by its value, of the same length.
    - `duplicate(n)` sends the next n requests again, a moment later, each on its own connection,
      which stays open, in `copies`.
    """

    LATE = 0.3  # seconds before a copy is sent

    def __init__(self, port):
        self._port = port
        self._mutex = threading.Lock()
        self._to_lose = 0
        self._match = b""
        self._pairs = []
        self._frozen = []
        self._to_duplicate = 0
        self._duplicated = b""
        self.copies = []
        self.answers = {}
        self.rewrites = {}
        self.flows = threading.Event()
        self.flows.set()
        self.seen = b""
        self.lost = 0
        self.is_holding_back = False  # it delays a request
        self.hung_up = False  # the client of the delayed request has
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def lose_replies(self, count, to=b""):
        """Loses the next `count` replies to requests that begin with `to`."""
        with self._mutex:
            self._to_lose, self._match = count, to

    def duplicate(self, count, of=b""):
        """Duplicates the next `count` requests that begin with `of`."""
        with self._mutex:
            self._to_duplicate, self._duplicated = count, of

    def cut(self):
        with self._mutex:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for side in pair:
                _shut(side)

    def freeze(self):
        with self._mutex:
            self._frozen += [side for pair in self._pairs for side in pair]

    def close(self):
        self.flows.set()
        _shut(self._listener)  # ends accept(); close() alone would not
        self._accepting.join()
        self.cut()
        for copy in self.copies:
            _shut(copy)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            with self._mutex:
                self._pairs.append((client, server))
            state = {"request": b""}
            for source, drain, is_reply in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._forward, args=(source, drain, is_reply, state),
                                 daemon=True).start()

    def _forward(self, source, drain, is_reply, state):
        try:
            while data := source.recv(65536):
                if source in self._frozen:
                    continue
                if not is_reply:
                    state["request"] += data
                    with self._mutex:
                        self.seen += data
                    if (answer := self._answer_to(state["request"])) is not None:
                        state["request"] = b""
                        source.sendall(answer)
                        continue
                    if not self.flows.is_set():
                        data += self._held_back(source)
                    for old, new in self.rewrites.items():
                        data = data.replace(old, new)
                    self._duplicate_later(state["request"])
                elif self._loses(state["request"]):
                    break
                else:
                    state["request"] = b""
                drain.sendall(data)
            else:
                drain.shutdown(socket.SHUT_WR)  # the other direction stays open
                return
        except OSError:
            pass
        _shut(source)
        _shut(drain)

    def _held_back(self, source):
        rest = b""
        self.is_holding_back = True
        flows = self.flows  # a test may replace it for later requests
        while data := source.recv(65536):
            rest += data
        self.hung_up = True
        flows.wait()
        return rest

    def _duplicate_later(self, request):
        with self._mutex:
            is_meant = request.startswith(self._duplicated) and _is_whole(request)
            if self._to_duplicate == 0 or not is_meant:
                return
            self._to_duplicate -= 1
        timer = threading.Timer(self.LATE, self._send_copy, (request,))
        timer.daemon = True
        timer.start()

    def _send_copy(self, request):
        try:
            copy = socket.create_connection(("127.0.0.1", self._port))
            copy.sendall(request)
        except OSError:
            return
        with self._mutex:
            self.copies.append(copy)

    def _answer_to(self, request):
        for begin, answer in self.answers.items():
            if request.startswith(begin):
                return answer
        return None

    def _loses(self, request):
        with self._mutex:
            if self._to_lose == 0 or not request.startswith(self._match):
                return False
            self._to_lose -= 1
            self.lost += 1
            return True


def _is_whole(request):
    header, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", header)
    return bool(end) and (length is None or len(body) == int(length[1]))


def _shut(side):
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    side.close()
