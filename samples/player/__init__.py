"""The web player on a page of its own."""
