"""Live transport: URLs, sockets, and the writer and reader of a stream that may lose packets."""
