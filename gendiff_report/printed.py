"""What the paper printed: its hyper-parameters (Figs. 16 and 17) and its Table 1; and speeds that others printed."""

from typing import Any

FIG16: dict[str, Any] = {  # hyper-parameters of its DCGAN
    "batch_size": 128,
    "image_size": 64,
    "nc": 3,
    "nz": 100,
    "ngf": 64,
    "ndf": 64,
    "num_epochs": 30,
    "lrG": 1e-4,
    "lrD": 4e-4,
    "beta1": 0.5,
    "ngpu": 1,
}
FIG17: dict[str, Any] = {  # hyper-parameters of its diffusion model
    "timestep_embedding_dim": 256,
    "n_layers": 8,
    "hidden_dim": 256,
    "n_timesteps": 1000,
    "beta_minmax": (1e-4, 2e-2),
    "train_batch_size": 128,
    "inference_batch_size": 64,
    "lr": 5e-5,
    "epochs": 40,
    "seed": 1234,
}
# Table 1 (Fig. 5), cell by cell as printed; the Inception Score of the DCGAN really reads so.
TABLE1: dict[str, tuple[str, str]] = {
    "Inception Score": ("(2.50)(3)", "1.75"),
    "FID": ("20", "30"),
    "precision": ("0.64", "0.78"),
    "recall": ("0.60", "0.56"),
}
# Images a second of training DDPM's U-Net of 35.7M parameters on CIFAR-10, as their repositories print them. Here it is
# the experiment RATED.
RATED = "ddpm-unet-full"
PUBLISHED_RATES: dict[str, float] = {
    "one V100 (TorchCFM)": 236.0,
    "one RTX 3080 Ti, mixed precision": 496.0,
    "one RTX 4090 (TorchCFM)": 749.0,
}
# What larger trainings reached, as faint marks: petaFLOP by counted operations of the networks that they name, and FID.
# StudioGAN's logs are of 10,000 images against test images, the others of 50,000 against training images.
PUBLISHED_FID: dict[str, tuple[str, tuple[tuple[float, float], ...]]] = {
    "DCGAN, StudioGAN": ("GAN", ((0.52, 114.9), (1.04, 92.6), (2.1, 77.4))),
    "SNGAN, StudioGAN": ("GAN", ((5.7, 43.6), (11.0, 36.0), (28.0, 25.6))),
    "StyleGAN2-ADA, StudioGAN": ("GAN", ((76.0, 41.4), (151.0, 22.4), (755.0, 4.7))),
    "R3GAN": ("GAN", ((66_750.0, 1.96),)),
    "DDPM, tqch": ("diffusion", ((219.0, 9.16), (438.0, 5.78), (876.0, 4.08), (1971.0, 3.31), (3723.0, 3.19))),
}
