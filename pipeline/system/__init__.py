"""What this machine has: cores, OpenCV, an ffmpeg program."""
