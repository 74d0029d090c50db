"""Chapter 03: the variational autoencoder."""
