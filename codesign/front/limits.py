"""How large a file of another tool may be, so that a hostile one ends in an error at once and in little memory."""

MOST_BYTES = 1 << 28  # of a file
MOST_WEIGHTS = 1 << 25  # elements of all constants; no board holds as many on chip
MOST_NODES = 5_000
