"""Training at a multiple of the speed of autograd, equal to rounding. Deleting this package changes nothing but time."""
