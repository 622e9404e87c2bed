"""A world of its own for one run: namespaces for client, proxy and upstream, the links between them,
the processes in them, and the ways to break all of that.

    client ns  10.77.1.2 -- 10.77.1.1  proxy ns  10.77.2.1 -- 10.77.2.2  upstream ns

Nothing here touches the machine's own network, and nothing outlives the world: namespaces are deleted
and processes are killed when it ends, and the kernel kills them if this process dies first. Packets are
always dropped where they arrive, never where they are sent: a kernel that is told of a drop by its own
netfilter would not be waiting in the dark.
"""

import collections
import contextlib
import ctypes
import http.client
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "faults"
LUBDUB = os.environ.get("LUBDUB", str(ROOT / "target" / "debug" / "lubdub"))

CLIENT, PROXY, UPSTREAM, ROUTER = "client", "proxy", "upstream", "router"
FRONT_PORT, BACK_PORT, ADMIN_PORT = 8080, 9000, 9901
BACKEND = "10.77.2.2"
# The same for a lubdub that has to look it up.
BACKEND_NAME = "backend"
# The most common one, whatever this machine prefers, so that runs can be compared. By route: in a
# namespace a kernel may forbid to change it for all.
CONGESTION = ("congctl", os.environ.get("CONGESTION", "cubic"))
CLONE_NEWNET = 0x40000000
# How long a command may take, in seconds: the kernel makes and takes down the namespaces of many worlds one by one.
COMMAND = 120
LIBC = ctypes.CDLL(None, use_errno=True)


class Fault(Exception):
    """lubdub, or the world, did not do what it must."""


def must(truth, otherwise):
    if not truth:
        raise Fault(otherwise)


def until(found, seconds, otherwise):
    """Waits for `found` to return something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise Fault(f"not within {seconds} s: {otherwise}")
        time.sleep(0.01)


class World:
    """Namespaces, links and processes of one run."""

    def __init__(self, name, seed):
        self.tag = f"lubdub-faults-{os.getpid()}-{name}"
        self.logs = WORK / name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.chance = random.Random(seed)
        self.namespaces = []
        self.processes = []
        # Where clients find lubdub, and the devices of either link: far end, proxy's end.
        self.front = "10.77.1.1"
        self.links = {}
        self.lubdub = None

    # --- its network

    def namespace(self, role):
        return f"{self.tag}-{role}"

    def add_namespace(self, role):
        name = self.namespace(role)
        ip("netns", "add", name)
        self.namespaces.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        self.within(role, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")

    def wire(self, one, device, address, other, other_device, other_address):
        """A veth pair between two namespaces."""
        ns, other_ns = self.namespace(one), self.namespace(other)
        ip("-n", ns, "link", "add", device, "type", "veth", "peer", "name", other_device, "netns", other_ns)
        self.address(one, device, address)
        self.address(other, other_device, other_address)
        self.acquaint(one, device, other, other_device, other_address)
        self.acquaint(other, other_device, one, device, address)

    def acquaint(self, role, device, other, other_device, other_address):
        """Tells one end of a link the other's hardware address: an answer to ARP that stands behind
        a megabyte on a slow link comes too late, and until then nothing can be sent."""
        (link,) = json.loads(ip("-n", self.namespace(other), "-json", "link", "show", "dev", other_device))
        entry = (other_address, "lladdr", link["address"], "dev", device, "nud", "permanent")
        ip("-n", self.namespace(role), "neighbour", "replace", *entry)

    def address(self, role, device, address):
        namespace = self.namespace(role)
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
        ip("-n", namespace, "link", "set", device, "up")
        network = address.rsplit(".", 1)[0] + ".0/24"
        ip("-n", namespace, "route", "replace", network, "dev", device, "src", address, *CONGESTION)

    def build(self, client_link="veth"):
        """All namespaces; `client_link` is one of veth, router and tun."""
        for role in (CLIENT, PROXY, UPSTREAM):
            self.add_namespace(role)
        self.wire(UPSTREAM, "up0", BACKEND, PROXY, "up1", "10.77.2.1")
        self.links = {UPSTREAM: (UPSTREAM, "up0", "up1"), CLIENT: (CLIENT, "cl0", "cl1")}
        if client_link == "veth":
            self.wire(CLIENT, "cl0", "10.77.1.2", PROXY, "cl1", "10.77.1.1")
        elif client_link == "router":
            self.build_router()

    def build_router(self):
        """A router between client and proxy. The queue of a slow link is in a router: in the proxy's
        own kernel TCP would see to it that there is none. And what a router has lost has not arrived."""
        self.add_namespace(ROUTER)
        self.wire(CLIENT, "cl0", "10.77.1.2", ROUTER, "rt0", "10.77.1.1")
        self.wire(ROUTER, "rt1", "10.77.3.2", PROXY, "cl1", "10.77.3.1")
        self.front = "10.77.3.1"
        self.within(ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        ip("-n", self.namespace(CLIENT), "route", "add", "default", "via", "10.77.1.1", *CONGESTION)
        ip("-n", self.namespace(PROXY), "route", "add", "10.77.1.0/24", "via", "10.77.3.2", *CONGESTION)

    def build_delay(self, delay_ms, jitter_ms):
        """A client link that is a TUN relay with delay and jitter each way."""
        relay = self.start(
            "relay",
            [sys.executable, HERE / "relay.py", self.namespace(CLIENT), "cl0"]
            + [self.namespace(PROXY), "cl1", delay_ms, jitter_ms, self.chance.random()],
        )
        must(relay.stdout.readline() == b"ready\n", "the relay did not start")
        self.address(CLIENT, "cl0", "10.77.1.2")
        self.address(PROXY, "cl1", "10.77.1.1")

    def within(self, role, *command, feed=None):
        return run("ip", "netns", "exec", self.namespace(role), *command, feed=feed)

    # --- how it is broken

    def drop(self, side, to_side=True, from_side=True):
        """Packets to and from a side are dropped without a word."""
        role, far, near = self.links[side]
        for wanted, where, device in ((to_side, role, far), (from_side, PROXY, near)):
            if wanted:
                self.filter(where, "prerouting", f'iifname "{device}" drop')

    def lose(self, percent):
        """The router loses a share of the packets, at random, each way."""
        self.filter(ROUTER, "forward", f"numgen random mod 100 < {percent} counter drop")

    def lost(self, role=ROUTER):
        """How many packets were lost there."""
        text = self.within(role, "nft", "list", "ruleset")
        return int(text.split("counter packets ")[1].split()[0])

    def filter(self, role, hook, rule):
        chain = f"chain {hook} {{ type filter hook {hook} priority -400; {rule}; }}"
        self.within(role, "nft", "-f", "-", feed=f"table inet faults {{ {chain}; }}\n")

    def mend(self, role):
        self.within(role, "nft", "flush", "ruleset")

    def unplug(self, side):
        """The far end of a link goes down: the proxy's end loses its carrier."""
        role, far, _ = self.links[side]
        ip("-n", self.namespace(role), "link", "set", far, "down")

    def disable(self, side):
        """The proxy's own interface goes down, and its routes with it."""
        _, _, near = self.links[side]
        ip("-n", self.namespace(PROXY), "link", "set", near, "down")

    def throttle(self, role, device, rate, queue):
        options = ("rate", rate, "burst", "1600", "limit", queue)
        self.within(role, "tc", "qdisc", "add", "dev", device, "root", "tbf", *options)

    # --- its processes

    def start(self, name, command, role=None, log=None):
        """A process in a namespace, which is gone no later than this thread."""
        command = [str(part) for part in command]
        if role is not None:
            command = ["ip", "netns", "exec", self.namespace(role), *command]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if log is None else subprocess.DEVNULL,
            stderr=log or open(self.logs / f"{name}.stderr", "wb"),
        )
        self.processes.append(process)
        return process

    def start_lubdub(self, interval="1s", timeout="1s", level="debug", upstream=BACKEND, **settings):
        self.lubdub = Lubdub(self, interval, timeout, level, upstream, settings)
        return self.lubdub

    def start_backend(self):
        backend = Endpoints(self, UPSTREAM, "backend", BACKEND, BACK_PORT)
        backend.wait("listening")
        return backend

    def start_clients(self):
        return Endpoints(self, CLIENT, "client", self.front, FRONT_PORT)

    def evidence(self):
        """Keeps what the kernels say of their connections."""
        with open(self.logs / "ss.txt", "w") as out:
            for name in self.namespaces:
                with contextlib.suppress(Fault):
                    out.write(f"== {name}\n{run('ip', 'netns', 'exec', name, 'ss', '-tinmo')}\n")

    def kill(self):
        """Ends its processes; whoever waits for them fails."""
        for process in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def end(self):
        self.kill()
        for process in self.processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe:
                        pipe.close()
        for name in self.namespaces:
            with contextlib.suppress(Fault):
                ip("netns", "delete", name)


class Endpoints:
    """A process of clients or of backends, and what it has reported."""

    def __init__(self, world, role, kind, host, port):
        self.process = world.start(
            kind, [sys.executable, HERE / "endpoint.py", kind, host, port], role=role
        )
        self.kind = kind
        self.events = []
        # The first of each kind by pair.
        self.firsts = collections.defaultdict(dict)
        self.news = threading.Condition()
        self.log = open(world.logs / f"{kind}.events", "a")
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.log.write(line.decode())
            self.log.flush()
            event = json.loads(line)
            with self.news:
                self.events.append(event)
                self.firsts[event["event"]].setdefault(event["pair"], event)
                self.news.notify_all()

    def tell(self, **order):
        self.process.stdin.write((json.dumps(order) + "\n").encode())
        self.process.stdin.flush()

    def seen(self, event, pairs=None):
        """The first such event of each pair."""
        firsts = dict(self.firsts[event])
        return {pair: seen for pair, seen in firsts.items() if pairs is None or pair in pairs}

    def wait(self, event, pairs=(None,), seconds=5):
        """Until every pair has had such an event; returns the first of each."""
        end = time.monotonic() + seconds
        with self.news:
            while True:
                found = self.seen(event, pairs)
                if len(found) == len(pairs):
                    return found
                left = end - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    missing = sorted(set(pairs) - set(found))
                    raise Fault(f"{self.kind}: no {event!r} within {seconds} s at {missing}")

    def tally(self):
        """Pings and bytes that each pair has had."""
        before = sum(seen["event"] == "tally" for seen in list(self.events))
        self.tell(do="tally")
        tallies = until(
            lambda: [seen for seen in list(self.events) if seen["event"] == "tally"][before:],
            5,
            f"{self.kind} says how much it has had",
        )
        return {int(pair): tuple(counts) for pair, counts in tallies[0]["of"].items()}

    def kill(self):
        self.process.kill()
        self.process.wait()
        return time.monotonic()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic()

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        return time.monotonic()


class Lubdub:
    """The program under test."""

    # `ip netns exec` gives it mounts of its own.
    WITH_HOSTS = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']

    def __init__(self, world, interval, timeout, level, upstream, settings):
        self.world = world
        self.interval, self.timeout = seconds(interval), seconds(timeout)
        self.path = world.logs / "lubdub.log"
        keys = {f"keepalive.{side}.interval": interval for side in (CLIENT, UPSTREAM)}
        keys |= {f"keepalive.{side}.timeout": timeout for side in (CLIENT, UPSTREAM)}
        keys |= {"admin.address": f"127.0.0.1:{ADMIN_PORT}", **settings}
        hosts = world.logs / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{BACKEND} {BACKEND_NAME}\n")
        command = [*self.WITH_HOSTS, hosts, LUBDUB, "run", "--listen", f"0.0.0.0:{FRONT_PORT}"]
        command += ["--upstream", f"ws://{upstream}:{BACK_PORT}"]
        command += ["--log-format", "json", "--log-level", level]
        for key, value in keys.items():
            command += ["--set", f"{key.replace('__', '.')}={value}"]
        self.process = world.start("lubdub", command, role=PROXY, log=open(self.path, "wb"))
        until(lambda: "ready" in self.path.read_text() or self.process.poll(), 10, "lubdub starts")
        must(self.process.poll() is None, f"lubdub did not start: {self.path.read_text()}")

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)
        return time.monotonic()

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def limit_files(self, number):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (number, 20_000))

    def threads(self):
        """What each is doing: its name, its state and where in the kernel it waits."""
        told = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            state = (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
            told.append(f"{(task / 'comm').read_text().strip()} {state} {(task / 'wchan').read_text()}")
        return ", ".join(told)

    def cpu(self):
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path):
        """What the admin listener answers; it listens inside the namespace only."""
        address = ("127.0.0.1", ADMIN_PORT)
        connection = http.client.HTTPConnection(*address, timeout=5)
        connection.sock = socket_in(
            self.world.namespace(PROXY), lambda: socket.create_connection(address, timeout=5)
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            must(answer.status == 200, f"{path} answered {answer.status}")
            return answer.read().decode()
        finally:
            connection.close()


def seconds(duration):
    """A duration as configuration writes it."""
    if duration.endswith("ms"):
        return float(duration[:-2]) / 1000
    return float(duration[:-1])


def socket_in(namespace, create):
    """A socket of a namespace: sockets belong to that of the thread that creates them."""
    made = []

    def make():
        with open(f"/var/run/netns/{namespace}") as handle:
            if LIBC.setns(handle.fileno(), CLONE_NEWNET) == 0:
                with contextlib.suppress(OSError):
                    made.append(create())

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    must(made, f"no socket in {namespace}")
    return made[0]


def ip(*arguments):
    return run("ip", *arguments)


def run(*command, feed=None):
    command = [str(part) for part in command]
    done = subprocess.run(command, input=feed, capture_output=True, text=True, timeout=COMMAND)
    must(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
