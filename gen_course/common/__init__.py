"""Code that several chapters share: figures, timing, explorers, the quiz and the base of checks."""
