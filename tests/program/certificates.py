"""Makes certificates with the program openssl, for the tests in this directory."""

import os
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """A CA in a directory, with files NAME.pem and NAME.key; `file` is its own certificate."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        self.file = self._path(name + ".pem")
        _openssl("req", "-x509", *self._new_key(name), "-days", "30", "-out", self.file,
                 "-subj", "/CN=" + name, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, *alternatives, days=30):
        """Signs a certificate for names such as DNS:localhost; returns (certificate, key)."""
        request, certificate = self._path(name + ".csr"), self._path(name + ".pem")
        extensions = self._path(name + ".ext")
        with open(extensions, "w", encoding="ascii") as file:
            if alternatives:
                file.write("subjectAltName=" + ",".join(alternatives) + "\n")
        _openssl("req", *self._new_key(name), "-out", request, "-subj", "/CN=" + name)
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey",
                 self._path(self.name + ".key"), "-CAcreateserial", "-days", str(days),
                 "-extfile", extensions, "-out", certificate)
        return certificate, self._path(name + ".key")

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", self._path(name + ".key")]
