"""Checking demonstrations: the rules, and the findings that they yield."""
