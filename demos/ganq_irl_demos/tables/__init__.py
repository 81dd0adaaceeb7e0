"""Episodes from tables with a row for each transition: columns, order, ends and gaps."""
