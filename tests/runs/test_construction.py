import pytest

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.construction import constructed


class Thing:
    def __init__(self, width, *, fails=False):
        if fails:
            raise TypeError("a fault of its own")
        self.width = width


def test_keywords_that_are_not_its_own_are_the_settings_fault():
    assert constructed("things", Thing, 3).width == 3
    with pytest.raises(ConfigurationError, match=r"settings in \[things\] do not fit Thing: it takes no depth"):
        constructed("things", Thing, 3, depth=1)


def test_a_constructors_own_type_error_is_told_as_it_is():
    with pytest.raises(TypeError, match="a fault of its own"):
        constructed("things", Thing, 3, fails=True)
