"""The commands, a file each: options in, one call of the library, a line or JSON out."""
