"""The bridge plugin, called by CNI's protocol: a JSON document in, variables beside it, a document out.

add(container, namespace) ─▶ address and the host's end of its cable; delete(...) undoes it, also twice
"""

import asyncio
import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from esb_agent.errors import DriverError

VERSION = "0.4.0"
INTERFACE = "eth0"
PLUGIN_SECONDS = 20.0


@frozen
class Attached:
    """What a namespace got: its address, and the name of the cable's end at the bridge."""

    address: str
    port: str


@frozen(kw_only=True)
class Bridge:
    """One network of workers. Addresses are kept in `data_dir`, one file each."""

    bin_dir: Path
    name: str
    bridge: str
    subnet: IPv4Network
    data_dir: Path

    async def add(self, container: str, namespace: Path) -> Attached:
        """Connect the namespace; the first one makes the bridge. Raises DriverError."""
        answer = await self._call("ADD", container, namespace)
        try:
            address = str(answer["ips"][0]["address"]).partition("/")[0]
            ports = [str(one["name"]) for one in answer["interfaces"] if not one.get("sandbox")]
            return Attached(address, next(name for name in ports if name != self.bridge))
        except (KeyError, IndexError, TypeError, StopIteration):
            raise DriverError(f"CNI plugin bridge: an answer without an address: {answer}") from None

    async def delete(self, container: str, namespace: Path) -> None:
        """Give the address back and take the cable away; the namespace must still be there for both.

        Raises DriverError.
        """
        await self._call("DEL", container, namespace)

    def configuration(self) -> dict[str, object]:
        """What the plugin reads. No masquerading of its own: one rule for all is the host's business."""
        return {
            "cniVersion": VERSION,
            "name": self.name,
            "type": "bridge",
            "bridge": self.bridge,
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": False,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": str(self.subnet)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": str(self.data_dir),
            },
        }

    async def _call(
        self, command: str, container: str, namespace: Path
    ) -> Mapping[str, list[dict[str, str]]]:
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": str(namespace),
            "CNI_IFNAME": INTERFACE,
            "CNI_PATH": str(self.bin_dir),
            "PATH": os.defpath,
        }
        output = await _run(self.bin_dir / "bridge", variables, json.dumps(self.configuration()).encode())
        try:
            answer: Mapping[str, list[dict[str, str]]] = json.loads(output or b"{}")
        except ValueError:
            raise DriverError(f"CNI plugin bridge: not JSON: {output[:200]!r}") from None
        return answer


async def _run(program: Path, variables: Mapping[str, str], text: bytes) -> bytes:
    """The plugin's output. Raises DriverError: with the plugin's own words."""
    pipe = asyncio.subprocess.PIPE
    try:
        # In a file, as a plugin that ends early would break a pipe under the hands of who writes.
        with _file_with(text) as read:
            process = await asyncio.create_subprocess_exec(
                program, stdin=read, stdout=pipe, stderr=pipe, env=dict(variables)
            )
    except OSError as error:
        raise DriverError(f"CNI plugin {program}: {error.strerror}") from error
    try:
        async with asyncio.timeout(PLUGIN_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        raise DriverError(f"CNI plugin {program.name}: no answer in {PLUGIN_SECONDS:.0f} s") from None
    except RuntimeError as error:
        # What uvloop says of a pipe whose other end was gone before anything was written.
        raise DriverError(f"CNI plugin {program.name}: ended before it was asked") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise DriverError(f"CNI plugin {program.name}: {_reason(output) or errors.decode(errors='replace')}")
    return output


def _file_with(text: bytes) -> BinaryIO:
    """A file of memory alone, at its beginning."""
    file = os.fdopen(os.memfd_create("cni"), "w+b", buffering=0)
    file.write(text)
    file.seek(0)
    return file


def _reason(output: bytes) -> str:
    """An error document's words."""
    try:
        told = json.loads(output)
        return " ".join(str(told[key]) for key in ("msg", "details") if told.get(key))
    except (ValueError, AttributeError):
        return output.decode(errors="replace")
