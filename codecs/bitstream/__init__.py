"""Bytes of H.264 and H.265: SEI messages, the stream card and stamps in them, headers; the card in images. No files."""
