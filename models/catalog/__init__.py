"""Which models there are: on this machine, on servers, and on the hub to pull from."""
