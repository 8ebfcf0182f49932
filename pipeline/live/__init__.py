"""`irn-stream`: live sending and receiving as a command, and the page on which they are watched.

    camera → sender → link.py (what a network does) → receiver → wall.py (frames side by side) → server.py → page/

small_stream.py hands the LR stream to browsers that restore it themselves (browser_page/), with what runtime.py serves.
demo.py puts all of it together on one machine, once with a network and once with Lanczos.
"""
