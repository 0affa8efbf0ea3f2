"""Workers as containerd tasks in network namespaces of their own."""
