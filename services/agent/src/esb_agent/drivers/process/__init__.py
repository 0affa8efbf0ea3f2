"""Workers as plain processes of this host; the agent is their Lambda Runtime API."""
