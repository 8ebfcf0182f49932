"""Training: sequences made from photographs and clips, coded by the real x264, and the loop that learns from them."""
