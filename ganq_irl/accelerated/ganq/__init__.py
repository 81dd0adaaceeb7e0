"""GAN-Q's update with its gradients written out, for the settings that it is exact for."""

from ganq_irl.accelerated.ganq.update import FastUpdate

__all__ = ["FastUpdate"]
