"""A page on this machine, on which a person compares clips of segments."""
