"""ganq-irl."""
