"""Reading video: any file, pipe or device that FFmpeg opens, as pictures in their native samples."""
