"""Parts of `fault_run.py`: the box, the load, the faults, the counts."""
