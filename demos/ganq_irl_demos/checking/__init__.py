"""Check demonstrations: rules and their findings."""
