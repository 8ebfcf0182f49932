"""The receiver: decode an LR stream, restore it at full size, write it and measure it.

from irn_video.receiver import receive
"""

from irn_video.receiver.receive import ReceiveOptions, ReceiveResult, receive

__all__ = ["ReceiveOptions", "ReceiveResult", "receive"]
