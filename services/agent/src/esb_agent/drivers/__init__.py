"""One driver a way of running workers; all behind `port.Driver`."""
