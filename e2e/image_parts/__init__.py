"""Real parts for image tests to break: registries, projects for them, disks, engines, networks."""
