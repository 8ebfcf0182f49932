"""Files and bitstreams: reading pictures, encoding and muxing, the stream card. PyAV and NumPy only, no torch."""
