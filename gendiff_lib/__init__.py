"""GANs and diffusion models under one protocol."""
