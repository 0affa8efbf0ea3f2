"""Mode `docker`: a worker is a container of a Docker Engine. Imported only when this driver is selected."""
