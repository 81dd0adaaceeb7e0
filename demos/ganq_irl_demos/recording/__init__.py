"""Recording episodes: policies that act, people who play in a terminal or a window."""
