"""Reaching others: scans, names, somebody else's address."""

import errno
import fcntl
import http.client
import selectors
import socket
import struct
import time
from contextlib import closing

from tried import tried

AT_ONCE = 400
FREEBIND, TRANSPARENT = 15, 19
SET_ADDRESS, SET_HARDWARE, SET_NEIGHBOUR = 0x8916, 0x8924, 0x8955
NEW_ADDRESS, REQUEST = 20, 1


def scan(targets, seconds):
    """Connect to each [address, [port, …]]: how it ended, by the way it ended."""
    waiting = [(address, port) for address, ports in targets for port in _ports(ports)]
    waiting.reverse()
    found, under_way = {}, selectors.DefaultSelector()
    open_ends = {}

    def note(target, how):
        found.setdefault(how, []).append(list(target))

    while waiting or open_ends:
        while waiting and len(open_ends) < AT_ONCE:
            target, end = waiting.pop(), socket.socket()
            end.setblocking(False)
            code = end.connect_ex(target)
            if code == errno.EINPROGRESS:
                under_way.register(end, selectors.EVENT_WRITE)
                open_ends[end] = (target, time.monotonic() + seconds)
            else:
                note(target, _word(code))
                end.close()
        for key, _ in under_way.select(0.1):
            end = key.fileobj
            note(open_ends.pop(end)[0], _word(end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
            under_way.unregister(end)
            end.close()
        now = time.monotonic()
        for end, (target, deadline) in list(open_ends.items()):
            if now > deadline:
                note(target, "silent")
                under_way.unregister(end)
                open_ends.pop(end)
                end.close()
    # Of what is refused only how many: it may be all ports there are.
    return {how: targets if how == "open" else len(targets) for how, targets in found.items()}


def _ports(ports):
    return range(*ports["range"]) if isinstance(ports, dict) else ports


def _word(code):
    return errno.errorcode[code] if code else "open"


def datagrams(targets, seconds):
    """Send to each [address, port] and wait: what came back."""
    found = {}
    for address, port in targets:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.settimeout(seconds)
            end.connect((address, port))
            found[f"{address}:{port}"] = tried(_ask, end)
    return found


def _ask(end):
    end.send(b"who is there")
    end.recv(1)


def names(asked):
    """What names lead to, and how long that took."""
    found = {}
    for name in asked:
        begin = time.monotonic()
        try:
            answer = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        except OSError:
            answer = ""
        found[name] = [answer, time.monotonic() - begin]
    return found


def spoof(own, address):
    """Everything that would let this worker speak as `address`."""
    return {
        "raw socket": tried(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "packet socket": tried(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3),
        "speak as itself": tried(_send_as, own, ()),
        "bind": tried(_send_as, address, ()),
        "bind freely": tried(_send_as, address, (FREEBIND,)),
        "bind transparently": tried(_send_as, address, (TRANSPARENT,)),
        "take the address": tried(
            _control, SET_ADDRESS, struct.pack("HH4s", 2, 0, socket.inet_aton(address))
        ),
        "another hardware address": tried(_control, SET_HARDWARE, struct.pack("H6s", 1, b"\2esb\0\1")),
        "an entry for ARP": tried(_neighbour, address),
        "an address by netlink": tried(_netlink, address),
    }


def _send_as(address, options):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        for option in options:
            end.setsockopt(socket.SOL_IP, option, 1)
        end.bind((address, 0))
        end.sendto(b"x", ("192.0.2.99", 53))


def _control(request, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        fcntl.ioctl(end, request, struct.pack("16s24s", b"eth0", value))


def _neighbour(address):
    own = struct.pack("HH4s8x", 2, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        fcntl.ioctl(end, SET_NEIGHBOUR, own + struct.pack("H6s8x", 1, b"\2esb\0\1") + bytes(36))


def _netlink(address):
    body = struct.pack("BBBBi", 2, 32, 0, 0, socket.if_nametoindex("eth0"))
    body += struct.pack("HH4s", 8, 2, socket.inet_aton(address))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as end:
        end.send(struct.pack("IHHII", 16 + len(body), NEW_ADDRESS, REQUEST | 4 | 0x400, 1, 0) + body)
        code = -struct.unpack_from("i", end.recv(4096), 16)[0]
        if code:
            raise OSError(code, "refused")


def stores(address):
    """What the data plane offers beyond stores: [service, method, path, body] with each one's status."""
    asked = {
        "functions": ("lambda", "GET", "/2015-03-31/functions/", None),
        "topics": ("sns", "POST", "/", b"Action=CreateTopic&Name=hostile&Version=2010-03-31"),
        "machines": ("ec2", "POST", "/", b"Action=DescribeInstances&Version=2016-11-15"),
        "recorder": ("s3", "POST", "/moto-api/recorder/start-recording", b""),
        "reset": ("s3", "POST", "/moto-api/reset", b""),
        "unsigned path": ("", "GET", "/sns_us-east-1/", None),
        "metadata": ("", "GET", "/latest/meta-data/iam/security-credentials/", None),
        "buckets": ("s3", "GET", "/", None),
    }
    return {name: _status(address, *words) for name, words in asked.items()}


def _status(address, service, method, path, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if service:
        scope = f"Credential=x/20300101/us-east-1/{service}/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"
    with closing(http.client.HTTPConnection(address, timeout=15)) as connection:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
