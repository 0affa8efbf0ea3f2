"""What workers may reach, as rules: an nftables table of the box's own, and iptables where that decides too.

A worker reaches the box's ports on the bridge's address and what lies behind this host, never its other
addresses and ports, other workers, what the host publishes of other engines, or link-local addresses (a
cloud's metadata). Nobody from outside reaches a worker, and the ports that listen on every address answer
only this host and the workers.

In nftables each table must let a packet pass, so Docker's `FORWARD DROP` needs rules of iptables beside ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from esb_node.containerd.layout import Layout

_DNS_PORT = 53
_OTHER_ENGINES = ("docker", "br-")


@frozen
class Ports:
    """TCP ports: `workers` may reach these on the bridge's address; `guarded` are closed to the outside."""

    workers: tuple[int, ...] = ()
    guarded: tuple[int, ...] = ()


def table_text(layout: Layout, ports: Ports) -> str:
    """The table for `nft -f`: what stood there before is replaced in one step."""
    bridge, subnet, own = f'"{layout.bridge}"', layout.subnet, layout.gateway_address
    allowed = [f"ip daddr {own} tcp dport {_set(ports.workers)} accept"] if ports.workers else []
    guarded = (
        [f'iifname != {{ "lo", {bridge} }} tcp dport {_set(ports.guarded)} fib daddr type local drop']
        if ports.guarded
        else []
    )
    engines = ", ".join(f'"{prefix}*"' for prefix in _OTHER_ENGINES)
    chains = {
        "input": [
            "type filter hook input priority filter - 5; policy accept;",
            f"iifname {bridge} jump workers",
            *guarded,
        ],
        "workers": [
            "ct state established,related accept",
            f"ip saddr != {subnet} drop",
            f"ip daddr {own} meta l4proto {{ tcp, udp }} th dport {_DNS_PORT} accept",
            *allowed,
            "meta l4proto tcp reject with tcp reset",
            "reject",
        ],
        "forward": [
            "type filter hook forward priority filter - 5; policy accept;",
            f"oifname {bridge} ct state established,related accept",
            f"oifname {bridge} drop",
            f"iifname {bridge} meta nfproto ipv6 drop",
            f"iifname {bridge} ip saddr != {subnet} drop",
            f"iifname {bridge} ip daddr 169.254.0.0/16 reject",
            f"iifname {bridge} ct status dnat reject",
            f"iifname {bridge} oifname {{ {engines} }} reject",
        ],
        "postrouting": [
            "type nat hook postrouting priority srcnat; policy accept;",
            f"ip saddr {subnet} oifname != {bridge} masquerade",
        ],
    }
    body = "\n".join(
        f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }"
        for name, rules in chains.items()
    )
    table = f"table inet {layout.table}"
    return f"{table}\ndelete {table}\n{table} {{\n{body}\n}}\n"


@frozen
class Chain:
    """An iptables chain of the box's own: where it hangs, and its rules, each the words after the chain."""

    table: str
    hook: str
    name: str
    rules: tuple[tuple[str, ...], ...]


def passing_chain(layout: Layout) -> Chain:
    """Beside the table: lets through what a `FORWARD DROP` of iptables would stop and the table allows."""
    bridge = layout.bridge
    return Chain(
        "filter",
        "FORWARD",
        f"{layout.table}-pass",
        (
            *_rules(f"-i {bridge} -o {prefix}+ -j RETURN" for prefix in _OTHER_ENGINES),
            *_rules([f"-i {bridge} ! -o {bridge} -j ACCEPT"]),
            *_rules([f"-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]),
        ),
    )


def chains(layout: Layout, ports: Ports) -> tuple[Chain, ...]:
    """All rules for a host without nft."""
    bridge, subnet, own, name = layout.bridge, layout.subnet, layout.gateway_address, layout.table
    answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    inputs = [
        *(f"! -i {bridge} -p tcp --dport {port} -j {name}-out" for port in ports.guarded),
        f"! -i {bridge} -j RETURN",
        answers,
        f"! -s {subnet} -j DROP",
        f"-d {own} -p udp --dport {_DNS_PORT} -j ACCEPT",
        *(f"-d {own} -p tcp --dport {port} -j ACCEPT" for port in (_DNS_PORT, *ports.workers)),
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-j REJECT",
    ]
    forwards = [
        f"-o {bridge} {answers}",
        f"-o {bridge} -j DROP",
        f"! -i {bridge} -j RETURN",
        f"! -s {subnet} -j DROP",
        "-d 169.254.0.0/16 -j REJECT",
        "-m conntrack --ctstate DNAT -j REJECT",
        *(f"-o {prefix}+ -j REJECT" for prefix in _OTHER_ENGINES),
        "-j ACCEPT",
    ]
    nat = [f"-s {subnet} ! -o {bridge} -j MASQUERADE"]
    return (
        Chain("filter", "", f"{name}-out", tuple(_rules(["-i lo -j RETURN", "-j DROP"]))),
        Chain("filter", "INPUT", f"{name}-in", tuple(_rules(inputs))),
        Chain("filter", "FORWARD", f"{name}-fwd", tuple(_rules(forwards))),
        Chain("nat", "POSTROUTING", f"{name}-nat", tuple(_rules(nat))),
    )


def _rules(texts: Iterable[str]) -> list[tuple[str, ...]]:
    return [tuple(text.split()) for text in texts]


def _set(ports: Sequence[int]) -> str:
    return "{ " + ", ".join(map(str, sorted(set(ports)))) + " }"
