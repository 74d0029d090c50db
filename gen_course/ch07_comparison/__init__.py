"""Chapter 07: the model families compared."""
