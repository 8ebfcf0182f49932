"""What a user runs: the demonstration (`python samples/demo/demo.py`) and the free clips that it and others take."""
