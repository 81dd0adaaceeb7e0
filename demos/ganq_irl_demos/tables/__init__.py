"""Build episodes from tables with one row per transition: columns, order, ends and gaps."""
