"""The update of a plain discriminator with its gradient, and that of a gradient penalty, written out."""

from ganq_irl.accelerated.discriminator.update import FastLearner

__all__ = ["FastLearner"]
