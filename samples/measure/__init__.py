"""What the figures in the documentation are made with: `python samples/measure --help` lists the measurements.

A measurement is a file with a `command`; `rates` codes and measures, `options` and `tables` are shared by all.
"""
