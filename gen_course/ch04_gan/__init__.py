"""Chapter 04: generative adversarial networks."""
