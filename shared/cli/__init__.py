"""The command `reconcile`, for people at a terminal and for scripts."""
