"""Chapter 01: autoencoders."""
