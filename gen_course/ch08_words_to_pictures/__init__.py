"""Chapter 08: words to pictures."""
