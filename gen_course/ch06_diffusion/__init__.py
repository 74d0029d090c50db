"""Chapter 06: diffusion models."""
