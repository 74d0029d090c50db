"""Chapter 02: sparse, denoising and masked autoencoders."""
