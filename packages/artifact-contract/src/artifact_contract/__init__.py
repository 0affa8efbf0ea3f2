"""What a deploy artifact and a runtime config are; import the modules, nothing is gathered here."""
