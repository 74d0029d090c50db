"""Chapter 05: translation without pairs."""
