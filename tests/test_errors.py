import inspect

import pytest

from ganq_irl import errors

OURS = [name for name, one in vars(errors).items() if inspect.isclass(one) and one.__module__ == errors.__name__]


@pytest.mark.parametrize("name", OURS)
def test_every_error_is_ours_and_a_value_error(name):
    assert issubclass(getattr(errors, name), errors.GanqIrlError)
    assert issubclass(getattr(errors, name), ValueError)


def test_nearest_names_the_closest_and_all():
    assert errors.nearest("gial", ["gail", "airl"]) == "did you mean 'gail'? Known: airl, gail"
    assert errors.nearest("xyz", ["gail", "airl"]) == "Known: airl, gail"
