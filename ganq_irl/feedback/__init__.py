"""Feedback on segments of episodes: which of two is better, how good one is, and who says so."""

from __future__ import annotations

from ganq_irl.feedback.comparisons import Comparison, compare_ranked, compare_rated
from ganq_irl.feedback.questions import COMPARED, RATED, Answer, Questions, answers_to, require_answer
from ganq_irl.feedback.reward_learning import RewardLearner, SegmentRows, preferences_of, sums_of
from ganq_irl.feedback.segments import Steps, cut_segments, draw_segments, windows
from ganq_irl.feedback.teachers import TEACHERS, FunctionTeacher, Human, Teacher, TrueReward, build_teacher

__all__ = [
    "COMPARED",
    "RATED",
    "TEACHERS",
    "Answer",
    "Comparison",
    "FunctionTeacher",
    "Human",
    "Questions",
    "RewardLearner",
    "SegmentRows",
    "Steps",
    "Teacher",
    "TrueReward",
    "answers_to",
    "build_teacher",
    "compare_ranked",
    "compare_rated",
    "cut_segments",
    "draw_segments",
    "preferences_of",
    "require_answer",
    "sums_of",
    "windows",
]
