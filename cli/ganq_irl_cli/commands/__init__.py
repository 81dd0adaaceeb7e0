"""One file a command, with a click command named ``command``."""
