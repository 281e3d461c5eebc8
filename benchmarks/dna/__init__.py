"""DNA's own cost model, choice tables and searches: a reference beside ours, which never imports it."""
