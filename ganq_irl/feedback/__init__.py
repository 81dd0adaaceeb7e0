"""Feedback on segments of episodes: which of two is better, and who says so."""

from __future__ import annotations

from ganq_irl.feedback.comparisons import ANSWERS, Answer, Comparison, Comparisons
from ganq_irl.feedback.segments import Steps, cut_segments, draw_segments, windows

__all__ = [
    "ANSWERS",
    "Answer",
    "Comparison",
    "Comparisons",
    "Steps",
    "cut_segments",
    "draw_segments",
    "windows",
]
