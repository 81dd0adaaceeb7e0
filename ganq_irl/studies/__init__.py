"""Studies: many runs, compared.

The order of a study: ``methods`` and ``variations`` name what is compared, ``spec`` is the request, ``grid`` makes cells,
``execute``, ``cells`` and ``workers`` (or ``ray_engine``) run them, ``results`` reads them, ``estimates`` has intervals,
``verdict`` puts them into words, ``tables`` and ``pages`` write them, and ``summary`` does all of that for a folder.
``sweep`` and ``trials`` search hyperparameters. ``quickstart``, ``reward_comparison`` and ``reward_transfer`` are studies of
their own.
"""
