"""A client of OCI registries: what image targets and bases need of the distribution specification."""
