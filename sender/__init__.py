"""The sender: read a video, shrink every picture, encode the small stream with its card.

from irn_video.sender import send
"""

from irn_video.sender.send import SendOptions, SendResult, send

__all__ = ["SendOptions", "SendResult", "send"]
