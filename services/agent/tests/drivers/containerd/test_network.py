"""Namespaces and addresses for workers, on the real plugins."""

import asyncio
import stat
import time
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from esb_agent.drivers.containerd import netns
from esb_agent.drivers.containerd.cni import Bridge
from esb_agent.drivers.containerd.network import Network, NetworkConfig
from esb_agent.errors import ConfigError, DriverError

HAS_IPV6 = Path("/proc/sys/net/ipv6").exists()


def isolated(port):
    return (Path("/sys/class/net") / port / "brport" / "isolated").read_text().strip() == "1"


def inode(path):
    return Path(path).stat().st_ino


async def until(condition, what):
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def nothing_left(box):
    return (box.namespaces(), box.addresses(), box.ports()) == ([], [], [])


async def test_a_worker_gets_an_address_a_way_out_and_lo(network_box):
    network = network_box.network()
    await network.start()
    namespace = await network.acquire()
    shown = network_box.inside(namespace, "ip", "-4", "-o", "address")
    assert namespace.address in shown
    assert "127.0.0.1/8" in shown
    assert f"default via {network_box.config.gateway}" in network_box.inside(namespace, "ip", "route")
    assert network_box.answers(namespace, network_box.config.gateway)


async def test_a_worker_has_no_ipv6_to_the_outside_and_keeps_its_own(network_box):
    network = network_box.network()
    await network.start()
    shown = network_box.inside(await network.acquire(), "ip", "-6", "-o", "address")
    assert "eth0" not in shown
    assert "::1/128" in shown or not HAS_IPV6


async def test_workers_do_not_reach_each_other_over_the_bridge(network_box):
    network = network_box.network()
    await network.start()
    one, other = await network.acquire(), await network.acquire()
    for port in (one.port, other.port):
        assert isolated(port)
    assert not network_box.answers(one, other.address)
    assert network_box.answers(one, one.address)


async def test_what_is_released_leaves_no_namespace_no_address_and_no_cable(network_box):
    network = network_box.network(pool=0)
    await network.start()
    namespace = await network.acquire()
    assert (network_box.namespaces(), len(network_box.ports())) == ([namespace.name], 1)
    await network.release(namespace)
    assert nothing_left(network_box)


async def test_an_address_is_free_again_when_somebody_removed_its_namespace(network_box):
    network = network_box.network(pool=0)
    await network.start()
    namespace = await network.acquire()
    netns.remove(namespace.path)
    assert network_box.addresses() == [namespace.address]
    await network.release(namespace)
    assert (network_box.namespaces(), network_box.addresses()) == ([], [])
    # The kernel takes a namespace's cables away when it comes to it.
    await until(lambda: nothing_left(network_box), "the cable is still there")


async def test_an_address_is_free_again_when_the_plugin_fails_to_give_it_back(tmp_path, network_box):
    for name in ("bridge", "host-local"):
        real = network_box.config.bin_dir / name
        (tmp_path / name).write_text(f'#!/bin/sh\n[ "$CNI_COMMAND" != DEL ] || exit 1\nexec {real}\n')
        (tmp_path / name).chmod(0o755)
    network = network_box.network(pool=0, bin_dir=tmp_path)
    await network.start()
    await network.release(await network.acquire())
    assert (network_box.namespaces(), network_box.addresses()) == ([], [])
    await until(lambda: nothing_left(network_box), "the cable is still there")


async def test_one_adopted_for_nobody_is_removed_at_the_start(network_box):
    network = network_box.network(pool=0)
    await network.start()
    left = await network.acquire()
    following = network_box.network(pool=0)
    await following.adopt(left.name, left.path, left.address)
    following.disown(left.name)
    await following.start()
    assert nothing_left(network_box)


async def test_a_plugin_that_ends_before_it_is_asked_is_an_error_of_the_network(tmp_path, network_box):
    for name in ("bridge", "host-local", "loopback"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ConfigError, match="no network for workers"):
        await network_box.network(bin_dir=tmp_path).start()
    assert nothing_left(network_box)


async def test_the_pool_is_prepared_ahead_and_fills_up_again(network_box):
    network = network_box.network()
    await network.start()
    await until(lambda: network.prepared == 2, "the pool never filled")
    started = time.monotonic()
    namespace = await network.acquire()
    assert time.monotonic() - started < 0.02
    await until(lambda: network.prepared == 2, "the pool never filled again")
    assert namespace.name in network_box.namespaces()
    assert len(network_box.namespaces()) == 3


async def test_fifty_at_once_all_get_an_address_of_their_own(network_box):
    network = network_box.network()
    await network.start()
    namespaces = await asyncio.gather(*(network.acquire() for _ in range(50)))
    assert len({one.address for one in namespaces}) == 50
    await asyncio.gather(*(network.release(one) for one in namespaces))
    await network.close()
    assert nothing_left(network_box)


async def test_a_subnet_that_is_used_up_is_told_and_leaves_nothing(network_box):
    subnet = next(network_box.config.subnet.subnets(new_prefix=30))
    network = network_box.network(subnet=subnet, pool=0)
    await network.start()
    only = await network.acquire()
    with pytest.raises(DriverError, match="no IP addresses available"):
        await network.acquire()
    assert "no IP addresses" in network.problem
    assert network_box.namespaces() == [only.name]
    assert network_box.addresses() == [only.address]
    await network.release(only)
    await network.release(await network.acquire())
    assert network.problem == ""


async def test_a_port_that_cannot_be_isolated_is_no_workers(network_box, monkeypatch):
    network = network_box.network(pool=0)
    await network.start()
    monkeypatch.setattr("esb_agent.drivers.containerd.network.INTERFACES", Path("/nowhere"))
    with pytest.raises(DriverError, match="cannot be isolated"):
        await network.acquire()
    assert nothing_left(network_box)


async def test_a_caller_who_gives_up_leaves_the_namespace_to_the_next(network_box):
    network = network_box.network(pool=1)
    await network.start()
    first = await network.acquire()
    asking = asyncio.create_task(network.acquire())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: network.prepared == 1, "what was begun is lost")
    await network.release(first)
    await network.close()
    assert nothing_left(network_box)


async def test_a_release_that_is_called_off_is_done_all_the_same(network_box):
    network = network_box.network(pool=0)
    await network.start()
    namespace = await network.acquire()
    releasing = asyncio.create_task(network.release(namespace))
    await asyncio.sleep(0)
    releasing.cancel()
    await asyncio.gather(releasing, return_exceptions=True)
    await network.close()
    assert nothing_left(network_box)


async def test_what_a_killed_agent_left_is_removed_and_what_lives_is_taken_back(network_box):
    killed = network_box.network()
    await killed.start()
    lives, dead = await killed.acquire(), await killed.acquire()
    half_made = network_box.config.netns_dir / f"{network_box.config.prefix}-0123456789ab"
    netns.make(half_made)
    strangers = network_box.config.netns_dir / f"{network_box.config.prefix}-other-0123456789ab"
    netns.make(strangers)
    (network_box.config.state_dir / "cni" / network_box.config.name / lives.address).unlink()

    # Who is killed prepares nothing any more.
    await killed.close()

    following = network_box.network(pool=0)
    taken = await following.adopt(lives.name, lives.path, lives.address)
    await following.start()
    assert network_box.namespaces() == sorted([lives.name, strangers.name])
    assert network_box.addresses() == [lives.address]
    assert following.leftovers_removed >= 2
    assert dead.name not in network_box.namespaces()
    await following.release(taken)
    assert network_box.namespaces() == [strangers.name]
    assert (network_box.addresses(), network_box.ports()) == ([], [])


async def test_a_worker_whose_namespace_is_gone_is_not_taken_back(network_box):
    with pytest.raises(DriverError, match="is gone"):
        await network_box.network().adopt("x", Path("/run/netns/nothing-here"), "10.0.0.2")


async def test_a_prepared_one_that_lost_its_bridge_is_not_given_out(network_box):
    network = network_box.network(pool=1)
    await network.start()
    network_box.remove()
    namespace = await network.acquire()
    assert network_box.answers(namespace, network_box.config.gateway)


async def test_missing_plugins_stop_the_agent_with_the_variables_name(tmp_path):
    config = NetworkConfig(state_dir=tmp_path, bridge="b", name="n", prefix="p", bin_dir=tmp_path)
    with pytest.raises(ConfigError, match="ESB_CNI_BIN_DIR"):
        await Network(config).start()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo \'{"code": 7, "msg": "broken", "details": "twice"}\'; exit 1', "broken twice"),
        ("echo down >&2; exit 1", "down"),
        ("echo '{}'", "without an address"),
        ("echo nonsense", "not JSON"),
    ],
)
async def test_a_plugin_that_fails_is_quoted(tmp_path, script, said):
    plugin = tmp_path / "bridge"
    plugin.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    config = NetworkConfig(state_dir=tmp_path, bridge="b", name="n", prefix="p")
    bridge = Bridge(bin_dir=tmp_path, name="n", bridge="b", subnet=config.subnet, data_dir=tmp_path)
    with pytest.raises(DriverError, match=said):
        await bridge.add("c", tmp_path / "ns")


async def test_a_plugin_that_ends_before_it_reads_is_told_of_all_the_same(tmp_path):
    plugin = tmp_path / "bridge"
    plugin.write_text("#!/bin/sh\necho gone >&2; exit 1\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    bridge = Bridge(
        bin_dir=tmp_path, name="n", bridge="b", subnet=IPv4Network("10.9.0.0/16"), data_dir=tmp_path
    )
    for _ in range(20):
        with pytest.raises(DriverError, match="gone"):
            await bridge.add("c", tmp_path / "ns")


async def test_making_a_namespace_leaves_the_agents_own_as_it_was(network_box):
    before = inode("/proc/self/ns/net")
    path = network_box.config.netns_dir / f"{network_box.config.prefix}-abcdefabcdef"
    await asyncio.to_thread(netns.make, path)
    assert inode("/proc/self/ns/net") == before
    assert inode(path) != before
    with pytest.raises(FileExistsError):
        netns.make(path)
    netns.remove(path)
    netns.remove(path)
    assert not path.exists()
