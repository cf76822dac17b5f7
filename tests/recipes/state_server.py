"""A state server for Terraform's http backend: keeps one text by GET and POST."""

import http.server
import threading


class StateServer:
    def __init__(self):
        outer = self
        self.text = b""
        self.writes = []  # the ID of the lock that Terraform said it has, for each

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if outer.text else 404)
                self.send_header("Content-Length", str(len(outer.text)))
                self.end_headers()
                self.wfile.write(outer.text)

            def do_POST(self):
                outer.writes.append(self.path.partition("?ID=")[2])
                outer.text = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
