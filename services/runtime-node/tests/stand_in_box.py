"""A script: a box of tiny services, supervised as the real one. STATE MODE SECONDS, the plan on stdin."""

import json
import os
import sys
from pathlib import Path

from esb_node import lock
from esb_node.box_state import BoxState
from esb_node.detach import detach_box
from esb_node.errors import NodeError
from esb_node.parts import Plan
from esb_node.specs import HttpProbe, JobSpec, ServiceSpec
from esb_node.up import run_box


def plan(state, document):
    services = tuple(
        ServiceSpec(
            name=service["name"],
            argv=tuple(service["argv"]),
            ready=HttpProbe(f"http://127.0.0.1:{service['port']}/"),
            address=f"http://127.0.0.1:{service['port']}",
            log=state / "logs" / f"{service['name']}.log",
            env=dict(os.environ),
            stop_seconds=1.0,
        )
        for service in document["services"]
    )
    job = document["job"] and JobSpec(
        name="provisioner",
        argv=tuple(document["job"]),
        output=state / "provisioner.json",
        log=state / "logs" / "provisioner.log",
        env=dict(os.environ),
    )
    begin = BoxState(
        state="starting",
        state_dir=str(state),
        config_dir=str(state / "config"),
        images_dir="",
        urls={},
        ports={},
        credentials_file="",
    )
    return Plan(begin, services, job or None, data_plane=services[0].name)


def tell(event):
    sys.stderr.write(f"{event}\n")


def announce(error):
    sys.stdout.write(f"error: {error}\n" if error else "up\n")
    sys.stdout.flush()


def main():
    state, mode, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    try:
        with lock.hold(state) as descriptor:
            made = plan(state, json.load(sys.stdin))
            if mode == "detach":
                sys.stdout.write(f"{detach_box(made, seconds, descriptor).state}\n")
                return 0
            return run_box(made, seconds, descriptor, tell, announce)
    except NodeError as error:
        tell(f"error: {error}")
        return 4


if __name__ == "__main__":
    sys.exit(main())
