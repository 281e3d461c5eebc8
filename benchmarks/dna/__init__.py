"""DNA's own cost model, choice tables and search, apart from ours: a reference to compare with, never imported by it."""
