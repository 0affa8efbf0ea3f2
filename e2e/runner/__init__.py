"""The runner of the end-to-end gate: a box for each profile, suites against it, nothing left behind.

    matrix ─probes▶ profiles that can run ─▶ reset ▶ compose ▶ deploy ▶ test ▶ clean ─▶ outcomes

A profile's driver (`box_process.py`, `box_docker.py`) knows how its box is had; all else is the same for all.
"""
