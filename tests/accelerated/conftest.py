"""Shared by the tests of accelerated updates."""

import pytest
import torch


@pytest.fixture
def in_double(monkeypatch):
    """Networks in float64. SB3 and the discriminator's encoder cast to float32 by name."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
