"""The masters of the homework, and what their hidden tests share."""
