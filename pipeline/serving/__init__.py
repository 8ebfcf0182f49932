"""Pages of ours in a browser on this machine: the server that all of them have, and what they look alike by."""
