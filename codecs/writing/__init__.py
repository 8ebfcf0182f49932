"""Writing video: pictures into a whole file or none, with everything else of the source beside them."""
