"""Workers: pools of them, the agent that makes them, the calls they run."""
