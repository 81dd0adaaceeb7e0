"""GAN-Q's update without autograd, for the settings in which it is exact."""

from ganq_irl.accelerated.ganq.update import FastUpdate

__all__ = ["FastUpdate"]
