"""Feedback on segments of episodes: which of two is better, and who says so."""

from __future__ import annotations

from ganq_irl.feedback.comparisons import ANSWERS, Answer, Comparison, Comparisons
from ganq_irl.feedback.rankings import compare_ranked
from ganq_irl.feedback.reward_learning import RewardLearner, SegmentRows, preferences_of
from ganq_irl.feedback.segments import Steps, cut_segments, draw_segments, windows
from ganq_irl.feedback.teachers import TEACHERS, FunctionTeacher, Human, Teacher, TrueReward, build_teacher

__all__ = [
    "ANSWERS",
    "TEACHERS",
    "Answer",
    "Comparison",
    "Comparisons",
    "FunctionTeacher",
    "Human",
    "RewardLearner",
    "SegmentRows",
    "Steps",
    "Teacher",
    "TrueReward",
    "build_teacher",
    "compare_ranked",
    "cut_segments",
    "draw_segments",
    "preferences_of",
    "windows",
]
