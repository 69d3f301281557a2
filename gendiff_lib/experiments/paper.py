"""The paper's two models as configurations."""

from ..diffusion.config import DiffusionConfig
from ..gan.config import DCGANNetwork, GANConfig

DCGAN = GANConfig(
    name="dcgan",
    network=DCGANNetwork(ngf=64, ndf=64),
    image_size=64,
    batch_size=128,
    nz=100,
    lrG=1e-4,
    lrD=4e-4,
    beta1=0.5,
    epochs=30,
    snapshots=(30, 49, 100),
)
CONV = DiffusionConfig(  # its network's default values are Fig. 17's
    name="ddpm-conv",
    schedule="linear",
    n_timesteps=1000,
    beta_minmax=(1e-4, 2e-2),
    batch_size=128,
    lr=5e-5,
    epochs=40,
    snapshots=(20, 40, 100),
    seed=1234,
)
