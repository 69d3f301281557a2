"""The fields of a diffusion model and of its denoisers."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ..autoencoder import AutoencoderConfig
from ..config import Config, Part, setting
from ..errors import ConfigError
from ..parsing import as_text


class MLPNetwork(Part):
    """Residual layers on the flattened sample."""

    type: Literal["mlp"] = setting("mlp", "a multilayer perceptron", absent=None)
    n_layers: int = setting(4, "residual layers", absent=None, ge=1)
    hidden_dim: int = setting(512, "width", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)
    fourier: int = setting(0, "octaves of Fourier features added to the input", absent=0, ge=0, le=8)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)


class ConvNetwork(Part):
    """The paper's denoiser (Fig. 17): dilated residual convolutions at full resolution."""

    type: Literal["conv"] = setting("conv", "the paper's convolutions at full resolution", absent=None)
    n_layers: int = setting(8, "residual blocks", absent=None, ge=1)
    hidden_dim: int = setting(256, "channels", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)
        if self.hidden_dim % 8:
            raise ConfigError(
                f"hidden_dim={self.hidden_dim} must be a multiple of 8 for network 'conv': it has 8 groups"
            )


class UNetNetwork(Part):
    """DDPM's U-Net (appendix B)."""

    type: Literal["unet"] = setting("unet", "DDPM's U-Net", absent=None)
    widths: tuple[Annotated[int, Field(ge=1)], ...] = setting(
        (64, 128, 128, 128), "channels of each level", absent=None
    )
    n_blocks: int = setting(2, "residual blocks a level", absent=None, ge=1)
    attention: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (1,), "levels with self-attention, 0 the finest", absent=None
    )
    patch: int = setting(1, "pixels folded into channels along each side", absent=1, ge=1)
    dropout: float = setting(0.0, "dropout in the residual blocks", absent=0.0, ge=0.0, le=0.9)

    def check(self) -> None:
        if not self.widths:
            raise ConfigError(f"widths={self.widths} name no level: give at least one width")
        if self.widths[0] % 2:
            raise ConfigError(
                f"widths={self.widths} must begin with an even width: half of the time's embedding is sines"
            )
        if any(level >= len(self.widths) for level in self.attention):
            last = len(self.widths) - 1
            raise ConfigError(f"attention={self.attention} names a level that is not there: levels are 0..{last}")


class TransformerNetwork(Part):
    """DiT (Peebles and Xie 2023)."""

    type: Literal["transformer"] = setting("transformer", "a transformer of DiT's shape", absent=None)
    n_layers: int = setting(8, "blocks", absent=None, ge=1)
    hidden_dim: int = setting(256, "width", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)
    patch: int = setting(2, "pixels a token has along each side", absent=None, ge=1)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)
        if self.hidden_dim % (64 if self.hidden_dim > 64 else 4):
            raise ConfigError(
                f"hidden_dim={self.hidden_dim} must be a multiple of 64, or of 4 below that, for network "
                "'transformer': its heads have 64 channels, its position embedding four kinds of sinusoids"
            )


def _even(timestep_embedding_dim: int) -> None:
    if timestep_embedding_dim % 2:
        raise ConfigError(
            f"timestep_embedding_dim={timestep_embedding_dim} must be even: half of it are sines, half cosines"
        )


class DiffusionConfig(Config):
    """A denoiser, the schedule that noises its data, and what it predicts; names of Fig. 17."""

    kind: ClassVar[str] = "diffusion"
    network: MLPNetwork | ConvNetwork | UNetNetwork | TransformerNetwork = setting(
        ConvNetwork(), "the denoiser", absent=None, discriminator="type"
    )
    schedule: str = setting("linear", "how a sample becomes noise", absent=None)
    n_timesteps: int | None = setting(None, "steps of a variance-preserving schedule", absent=None, ge=1)
    beta_minmax: tuple[float, float] | None = setting(None, "ends of the linear betas", absent=None)
    prediction: str = setting("eps", "what the network predicts", absent=None)
    weighting: str = setting("uniform", "weight of the loss over t", absent="uniform")
    times: str = setting("uniform", "distribution of the training t", absent="uniform")
    preconditioning: str = setting("none", "what is done to the network's input and output", absent="none")
    variance: Literal["fixed", "learned"] = setting("fixed", "variance of the step back", absent="fixed")
    objective: Literal["simple", "vlb", "hybrid"] = setting(
        "simple", "squared error, the variational bound, or both", absent="simple"
    )
    vlb_weight: float | None = setting(None, "weight of the bound in objective=hybrid", absent=None, gt=0.0)
    conditional: bool = setting(False, "whether the network is told the class", absent=False)
    mean_from: int | None = setting(
        None, "images after which average velocities are learned too (MeanFlow); none for never", absent=None, ge=0
    )
    lr: float = setting(2e-4, "Adam's learning rate", absent=2e-4, ge=0.0, le=1.0)
    lr_decay: int | None = setting(
        None, "images over which the learning rate falls to 0; none to keep it", absent=None, ge=1
    )
    clip_grad: float | None = setting(None, "largest gradient norm", absent=None, gt=0.0)
    ema: float | None = setting(None, "half-life of the averaged weights, in images", absent=None, gt=0.0)
    latent: AutoencoderConfig | None = setting(
        None,
        "the autoencoder on whose latents it works, trained first, on the same images; none for pixels",
        absent=None,
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_same_images(cls, values: Any) -> Any:
        """What an autoencoder sees is what the model does, whatever its own fields say."""
        latent = values.get("latent")
        if isinstance(latent, dict):
            latent = AutoencoderConfig(**latent)
        if not isinstance(latent, AutoencoderConfig):
            return values
        shared = {k: values.get(k, cls.fields()[k].default) for k in ("dataset", "n_train", "image_size")}
        return {**values, "latent": latent.but(**shared)}

    @property
    def needs(self) -> AutoencoderConfig | None:
        """See Config.needs: its autoencoder."""
        return self.latent

    def identity(self) -> dict[str, Any]:
        """See Value.identity; how long its autoencoder trains decides what a model is, too."""
        latent = {"latent": self.latent.identity() | {"epochs": self.latent.epochs}} if self.latent else {}
        return super().identity() | latent

    def check(self) -> None:
        if self.latent is not None:
            self._check_latent()
        if self.beta_minmax is not None and not 0 < self.beta_minmax[0] < self.beta_minmax[1] < 1:
            raise ConfigError(f"beta_minmax must be two rising numbers between 0 and 1, not {self.beta_minmax}")
        self._check_objective()
        self._check_preconditioning()

    def _check_latent(self) -> None:
        for field, wanted in {"flip": False, "objective": "simple", "preconditioning": "none"}.items():
            if (value := getattr(self, field)) != wanted:
                told = as_text(wanted)
                raise ConfigError(
                    f"{field}={as_text(value)} does not apply to a model with a latent, whose images are encoded once, "
                    f"to no whole numbers, and have another variance: set {field}={told}, or leave out latent"
                )

    def _check_objective(self) -> None:
        objective = self.objective
        if (objective == "hybrid") != (self.vlb_weight is not None):
            raise ConfigError(
                f"vlb_weight={self.vlb_weight} and objective={objective} do not fit: objective=hybrid has a weight, "
                "such as Improved DDPM's 0.001, and no other objective has one"
            )
        if objective == "hybrid" and self.variance == "fixed":
            raise ConfigError("objective=hybrid with variance=fixed would train nothing more: set variance=learned")
        if objective == "simple" and self.variance == "learned":
            raise ConfigError("variance=learned is not trained by objective=simple: use objective=hybrid or vlb")
        if objective != "simple" and self.times != "uniform":
            raise ConfigError(
                f"times={self.times} does not apply to objective={objective}, whose bound weighs all steps alike"
            )
        if objective == "vlb" and self.weighting != "uniform":
            raise ConfigError(
                f"weighting={self.weighting} does not apply to objective=vlb, whose bound has its own weights"
            )

    def _check_preconditioning(self) -> None:
        if self.preconditioning != "none" and (self.prediction != "x0" or self.variance == "learned"):
            raise ConfigError(
                f"preconditioning={self.preconditioning} makes an estimate of x0 and no variance, which does not fit "
                f"prediction={self.prediction} and variance={self.variance}: use prediction=x0 and variance=fixed"
            )
