"""Trained policies: log π and Q, averages, and storage without pickling."""
