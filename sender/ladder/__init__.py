"""A ladder: the same video at several rates, for players that choose."""
