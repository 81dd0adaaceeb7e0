"""Figures, pages and videos of demonstrations."""
