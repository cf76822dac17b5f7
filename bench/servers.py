"""Locker and its alternatives: how each is started, and what it loses in a power failure."""

import dataclasses
import os
import pwd
import shutil
import subprocess
import time
import typing

from clients import cycles
from processes import BUILD, ROOT, Failure, Process, free_port

DURABLE = "nothing that was answered"
SECOND = "up to a second"
UNSYNCED = "what the system had not written"
ALL = "everything"
NOTHING = "holds nothing"

NGINX = """
worker_processes 2;
worker_rlimit_nofile 65536;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{ default_type application/json; return 200 '{{"lockedBy": null}}'; }}
  }}
}}
"""

ZOOKEEPER = """
dataDir={directory}
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
tickTime=2000
admin.enableServer=false
"""


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    loses: str  # in a power failure
    protocol: str  # the name in `cycles`
    program: str
    packages: tuple
    works: frozenset
    command: typing.Callable  # (a directory of its own) -> Process
    what: str  # for the table: how it represents a lock
    connections_max: int = 1_000_000
    can_pipeline: bool = True
    like: str = "locker"  # Locker with the same durability

    def missing(self):
        """Returns None, or a sentence why it cannot be started."""
        if find(self.program):
            return None
        return (f"{self.program} is not there; apt-get install {' '.join(self.packages)} "
                "failed or was not tried")

    def start(self, directory):
        """Starts a process and waits until it answers: some listen before they do."""
        process = self.command(directory)
        work = "query" if self.works & {"query", "http"} else "pairs"
        try:
            patiently(lambda: cycles(self.protocol, process.port, work=work, connections=1,
                                     seconds=0.1, warm_up=0, timeout=5))
        except BaseException:
            process.stop()
            raise
        return process


def find(program):
    """Returns the path of a program, including Debian's directory for PostgreSQL."""
    if os.path.isabs(program):
        return program if os.path.exists(program) else None
    for path in (program, *(f"/usr/lib/postgresql/{version}/bin/{program}"
                            for version in range(20, 12, -1))):
        found = shutil.which(path)
        if found:
            return found
    return None


def patiently(call):
    for _ in range(100):
        try:
            return call()
        except Failure as failure:
            last = failure
            time.sleep(0.1)
    raise last


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Failure(f"{command[0]} ended with {done.returncode}: {words[-1] if words else ''}")


def lockerd(*options):
    def start(directory):
        port = free_port()
        command = [os.path.join(BUILD, "lockerd"), "--port", str(port), "--log-level", "warning",
                   "--connections-max", "20000", "--file", os.path.join(directory, "locks.db")]
        return Process(port, [*command, *options], os.path.join(directory, "lockerd.log"))
    return start


def nginx(directory):
    port = free_port()
    write(directory + "/nginx.conf", NGINX.format(directory=directory, port=port))
    return Process(port, ["nginx", "-e", directory + "/nginx.log", "-c", directory + "/nginx.conf"],
                   directory + "/nginx.out")


def constant_server(directory):
    port = free_port()
    return Process(port, [os.path.join(BUILD, "constant_server"), str(port)],
                   directory + "/constant_server.log")


def redis(*options):
    def start(directory):
        port = free_port()
        return Process(port, ["redis-server", "--port", str(port), "--bind", "127.0.0.1",
                              "--save", "", "--maxclients", "20000", "--tcp-backlog", "4096",
                              "--dir", directory, *options], directory + "/redis.log")
    return start


def etcd(directory):
    port, other = free_port(), free_port()
    mine, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"
    return Process(port, ["etcd", "--data-dir", directory + "/data", "--log-level", "error",
                          "--quota-backend-bytes", str(8 << 30), "--listen-client-urls", mine,
                          "--advertise-client-urls", mine, "--listen-peer-urls", peers,
                          "--initial-advertise-peer-urls", peers,
                          "--initial-cluster", "default=" + peers], directory + "/etcd.log")


def zookeeper(directory):
    port = free_port()
    write(directory + "/zoo.cfg", ZOOKEEPER.format(directory=directory + "/data", port=port))
    write(directory + "/log4j.properties",
          "log4j.rootLogger=ERROR, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
          "log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n")
    return Process(port, ["java", "-Xms512m", "-Xmx2g", "-cp",
                          directory + ":" + ZOOKEEPER_JAR,
                          "-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.forceSync=yes",
                          "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                          directory + "/zoo.cfg"], directory + "/zookeeper.log")


def postgres(directory):
    """PostgreSQL does not run as root; its package creates a user for it."""
    before = None
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(directory, user.pw_uid, user.pw_gid)

        def before():
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
    options = {"preexec_fn": before, "cwd": directory}
    data, port = directory + "/data", free_port()
    run(find("initdb"), "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "--locale=C",
        **options)
    log = directory + "/postgres.log"
    process = Process(port, [find("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k",
                             "", "-c", "max_connections=300", "-c", "shared_buffers=512MB",
                             "-c", "max_wal_size=8GB"], log, before)
    try:
        ask = (find("psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-c")
        patiently(lambda: run(*ask, "create database bench", "postgres"))
        run(*ask, "create table locks (path text primary key, token text, until timestamptz)",
            "bench")
    except BaseException:
        process.stop()
        raise
    return process


def pickling(held):
    def start(directory):
        port = free_port()
        return Process(port, ["python3", ROOT + "/bench/peers/pickling_server.py", str(port),
                              directory + "/locks.pickle", str(held)], directory + "/pickling.log")
    return start


def words(*names):
    return frozenset(names)


ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"
REDIS = ("redis-server",)
POSTGRES = ("postgresql",)
AOF = ("--appendonly", "yes", "--appendfsync")
ANY = words("pairs", "pipelined", "query", "hand-over", "renewal", "refusal", "deep")

SERVERS = {server.name: server for server in (
    Server("locker", DURABLE, "locker", BUILD + "/lockerd", (),
           ANY | words("http", "contended", "idle"), lockerd(), "canhaz, nowant, dohaz"),
    Server("locker-v1", DURABLE, "locker-v1", BUILD + "/lockerd", (),
           words("pairs", "pipelined"), lockerd(), "/v1 with a TTL of 60 s"),
    Server("locker-interval", SECOND, "locker", BUILD + "/lockerd", (), words("pairs", "pipelined"),
           lockerd("--durability", "interval"), "--durability interval", like="locker-interval"),
    Server("locker-none", UNSYNCED, "locker", BUILD + "/lockerd", (), words("pairs", "pipelined"),
           lockerd("--durability", "none"), "--durability none", like="locker-none"),
    Server("nginx", NOTHING, "locker", "nginx", ("nginx-light",), words("http", "idle"), nginx,
           "a constant reply, 2 workers"),
    Server("epoll", NOTHING, "locker", BUILD + "/constant_server", (), words("http"),
           constant_server, "a constant reply, 2 threads, nothing checked"),
    Server("redis-always", DURABLE, "redis", "redis-server", REDIS,
           ANY | words("contended", "idle"), redis(*AOF, "always"),
           "appendfsync always; SET NX PX, compare-and-delete script; BLPOP"),
    Server("redis-everysec", SECOND, "redis", "redis-server", REDIS, words("pairs", "pipelined"),
           redis(*AOF, "everysec"), "appendfsync everysec", like="locker-interval"),
    Server("redis-plain", ALL, "redis", "redis-server", REDIS, words("pairs", "pipelined"),
           redis("--appendonly", "no"), "appendonly no", like="locker-none"),
    Server("etcd", DURABLE, "etcd", "etcd", ("etcd-server",),
           words("pairs", "query", "hand-over", "renewal", "refusal"), etcd,
           "gRPC; transaction on the key's revision, with a lease; its Lock service",
           can_pipeline=False),
    Server("zookeeper", DURABLE, "zookeeper", ZOOKEEPER_JAR, ("zookeeper", "default-jre-headless"),
           ANY - words("deep"), zookeeper, "ephemeral nodes; the queue of its recipe"),
    Server("postgres", DURABLE, "postgres", "postgres", POSTGRES, ANY - words("hand-over"),
           postgres, "insert and delete of a row, prepared; a process for each connection, so up "
           "to 256", connections_max=256),
    Server("postgres-advisory", ALL, "postgres-advisory", "postgres", POSTGRES,
           words("pairs", "pipelined", "hand-over", "refusal"), postgres,
           "advisory locks, prepared; up to 256", like="locker-none", connections_max=256),
    Server("pickle", UNSYNCED, "locker", "python3", ("python3",),
           words("pairs", "query", "refusal"), pickling(1000),
           "a stand-in for Locker 1.0b that pickles its table, 1,000 locks held",
           like="locker-none", can_pipeline=False, connections_max=256),
)}
