"""Record episodes of policies, or of people who play in a terminal or a window."""
