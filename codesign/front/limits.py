"""How large a file of another tool may be, so that a hostile one ends in an error at once and in little memory."""

MOST_BYTES = 1 << 28  # of a file
MOST_WEIGHTS = 1 << 25  # elements of all constants; no board holds as many on chip
MOST_ELEMENTS = 1 << 25  # of a map
MOST_NODES = 10_000
MOST_OPERATORS = 1_000  # of a network, constants left out
