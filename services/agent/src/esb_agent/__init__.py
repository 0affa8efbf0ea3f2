"""Creates, measures and destroys workers. See README.md."""
