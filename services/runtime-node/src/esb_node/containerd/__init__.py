"""What a box in containerd mode stands on: engine, bridge, firewall and DNS of its own on this host."""
