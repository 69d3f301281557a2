"""The other side of the speed benchmark: loops as other projects publish them, written here in our own words.

The DCGAN tutorial's (https://pytorch.org/tutorials), diffusers' UNet2DModel with its unconditional training loop and
DDIM pipeline, and denoising-diffusion-pytorch's (lucidrains). All get their batches from a DataLoader of PIL images.
"""

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from torchvision import transforms

from gendiff_lib.data.dataset import Dataset
from gendiff_lib.diffusion.config import UNetNetwork
from gendiff_lib.errors import GendiffError
from gendiff_lib.training.build import make

from .turns import DTYPES, Contestant, Setup, drawing, size

Transforms = Sequence[Callable[[Any], Any]]


def theirs(package: str, *names: str) -> list[Any]:
    """Parts of an optional package; GendiffError with the remedy where it cannot be imported."""
    try:
        module = importlib.import_module(package)
        return [getattr(module, name) for name in names]
    except (ImportError, RuntimeError) as error:  # diffusers wraps a failed import
        why = str(error).strip().splitlines()[-1]
        raise GendiffError(
            f"{package} cannot be imported ({why}): run `pip install -c constraints.txt -e '.[bench]'` "
            "in the checkout, or name the contests that do without it with --contests"
        ) from None


# ---------------------------------------------------------------- their data


class _Pictures(torch.utils.data.Dataset[Any]):
    """Bytes in memory; an item becomes a PIL image and is transformed, as in torchvision's CIFAR10."""

    def __init__(self, dataset: Dataset, transform: Transforms) -> None:
        self.pixels = dataset.samples.cpu().permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = dataset.labels.tolist()
        self.transform = transforms.Compose(transform)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[i])), self.labels[i]


class _Shuffled(Sampler[int]):
    """The next epoch's `count` indices in random order."""

    def __init__(self, size: int) -> None:
        self.size, self.count = size, 0

    def __iter__(self) -> Iterator[int]:
        return islice(cycle(torch.randperm(self.size).tolist()), self.count)

    def __len__(self) -> int:
        return self.count


class _Feed:
    """A DataLoader whose epochs are as long as a turn, so that its processes work in their own turn alone."""

    def __init__(self, setup: Setup, transform: Transforms, batch_size: int) -> None:
        self.device, self.batch_size = setup.device, batch_size
        pictures = _Pictures(setup.dataset, transform)
        self.order = _Shuffled(len(pictures))
        kept = setup.workers > 0
        self.loader = DataLoader(
            pictures, batch_size, sampler=self.order, num_workers=setup.workers, persistent_workers=kept
        )

    def __call__(self, n: int) -> Iterator[Tensor]:
        """N batches."""
        self.order.count = n * self.batch_size
        for x, _ in self.loader:
            yield x.to(self.device)


def _centred() -> list[Callable[[Any], Any]]:
    return [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]


# ---------------------------------------------------------------- the DCGAN tutorial


class _Tutorial:
    """Real, fake and generator passes one after the other, each loss read back for the log."""

    def __init__(self, setup: Setup, precision: str) -> None:
        self.config, self.device, self.precision = setup.gan, setup.device, precision
        drawn = make(setup.gan, setup.dataset.bridge.shape(setup.gan.image_size), 0)
        self.net_g, self.net_d = (drawn.modules[name].to(self.device) for name in ("generator", "discriminator"))
        betas = (setup.gan.beta1, 0.999)
        self.adam_g = torch.optim.Adam(self.net_g.parameters(), setup.gan.lrG, betas)
        self.adam_d = torch.optim.Adam(self.net_d.parameters(), setup.gan.lrD, betas)
        self.criterion = nn.BCELoss()
        side = self.config.image_size
        shape: Transforms = [transforms.Resize(side), transforms.CenterCrop(side), *_centred()]
        self.feed = _Feed(setup, shape, setup.gan.batch_size)
        self.log: list[tuple[float, ...]] = []

    def turn(self, n: int) -> None:
        for real in self.feed(n):
            self.log.append(self.step(real))

    def judge(self, x: Tensor, label: float) -> tuple[Tensor, Tensor]:
        with _autocast(self.device, self.precision):
            p = torch.sigmoid(self.net_d(x))
        return self.criterion(p, torch.full_like(p, label)), p

    def step(self, real: Tensor) -> tuple[float, ...]:
        self.net_d.zero_grad()
        loss_real, p_real = self.judge(real, 1.0)
        loss_real.backward()
        with _autocast(self.device, self.precision):
            fake = self.net_g(torch.randn(len(real), self.config.nz, 1, 1, device=self.device))
        loss_fake, p_fake = self.judge(fake.detach(), 0.0)
        loss_fake.backward()
        self.adam_d.step()
        self.net_g.zero_grad()
        loss_g, p_again = self.judge(fake, 1.0)
        loss_g.backward()  # through a discriminator whose weights collect gradients too
        self.adam_g.step()
        probabilities = (p.mean().item() for p in (p_real, p_fake, p_again))
        return (loss_real + loss_fake).item(), loss_g.item(), *probabilities

    def forward(self) -> object:
        return self.net_d(self.net_g(torch.randn(1, self.config.nz, 1, 1, device=self.device)))


def tutorial(setup: Setup, precision: str) -> Contestant:
    """Steps of the DCGAN tutorial's loop with our networks in the default layout."""
    made = _Tutorial(setup, precision)
    return Contestant(
        whose="tutorial",
        precision=precision,
        images=setup.gan.batch_size,
        parameters=size([made.net_g, made.net_d]),
        turn=made.turn,
        forward=made.forward,
    )


# ---------------------------------------------------------------- diffusers


def _unet2d(setup: Setup) -> Any:
    """DDPM's U-Net by diffusers: the same levels, blocks, widths and attention of one head as ours."""
    (model,) = theirs("diffusers", "UNet2DModel")
    config = _unet(setup)
    widths, attention = config.widths, config.attention
    attends = [level in attention for level in range(len(widths))]
    net = model(
        sample_size=setup.dataset.bridge.shape(None)[-1],
        block_out_channels=widths,
        layers_per_block=config.n_blocks,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        attention_head_dim=None,
        norm_num_groups=math.gcd(32, *widths),
        dropout=0.0,
    )
    return net.to(setup.device)


def _unet(setup: Setup) -> UNetNetwork:
    """What our U-Net is, which theirs follows."""
    network = setup.unet.network
    assert isinstance(network, UNetNetwork)
    return network


def _schedule(setup: Setup) -> dict[str, Any]:
    start, end = setup.unet.beta_minmax or (1e-4, 2e-2)
    return {"num_train_timesteps": setup.unet.n_timesteps, "beta_start": start, "beta_end": end}


def diffusers_training(setup: Setup, precision: str) -> Contestant:
    """Steps of diffusers' unconditional training loop."""
    (make_scheduler,) = theirs("diffusers", "DDPMScheduler")
    net, scheduler, device = _unet2d(setup), make_scheduler(**_schedule(setup)), setup.device
    optimizer = torch.optim.AdamW(net.parameters(), setup.unet.lr)
    feed = _Feed(setup, _centred(), setup.unet.batch_size)

    def turn(n: int) -> None:
        for clean in feed(n):
            noise = torch.randn_like(clean)
            t = torch.randint(0, scheduler.config.num_train_timesteps, (len(clean),), device=device)
            noisy = scheduler.add_noise(clean, noise, t)
            with _autocast(device, precision):
                predicted = net(noisy, t, return_dict=False)[0]
                loss = F.mse_loss(predicted, noise)
            _descend(loss, net, optimizer, setup)

    return Contestant(
        whose="diffusers",
        precision=precision,
        images=setup.unet.batch_size,
        parameters=size([net]),
        turn=turn,
        forward=partial(net, _blank(setup), torch.zeros(1, device=device)),
    )


def diffusers_sampling(setup: Setup, precision: str) -> Contestant:
    """Batches of images by diffusers' DDIM pipeline."""
    make_scheduler, pipeline = theirs("diffusers", "DDIMScheduler", "DDIMPipeline")
    net = _unet2d(setup).eval()
    pipe = pipeline(unet=net, scheduler=make_scheduler(**_schedule(setup)))
    pipe.set_progress_bar_config(disable=True)

    def draw(n: int, steps: int) -> None:
        with _autocast(setup.device, precision):
            for _ in range(n):
                pipe(batch_size=setup.n_samples, num_inference_steps=steps, output_type="np")

    forward = partial(net, _blank(setup), torch.zeros(1, device=setup.device))
    return drawing(setup, "diffusers", precision, [net], draw, forward)


# ---------------------------------------------------------------- denoising-diffusion-pytorch


def _gaussian_diffusion(setup: Setup) -> Any:
    """Its U-Net as it comes, at our narrowest width, with our process and objective."""
    make_net, wrap = theirs("denoising_diffusion_pytorch", "Unet", "GaussianDiffusion")
    widths = _unet(setup).widths
    diffusion = wrap(
        make_net(dim=widths[0], dim_mults=tuple(2**level for level in range(len(widths)))),
        image_size=setup.dataset.bridge.shape(None)[-1],
        timesteps=setup.unet.n_timesteps,
        sampling_timesteps=setup.sampling_steps,
        objective="pred_noise",
        beta_schedule="linear",  # its ends are DDPM's, as ours
    )
    return diffusion.to(setup.device)


def lucidrains_training(setup: Setup, precision: str) -> Contestant:
    """Steps of a training by denoising-diffusion-pytorch."""
    diffusion = _gaussian_diffusion(setup)
    optimizer = torch.optim.Adam(diffusion.parameters(), setup.unet.lr)
    feed = _Feed(setup, [transforms.ToTensor()], setup.unet.batch_size)  # it centres the images itself

    def turn(n: int) -> None:
        for images in feed(n):
            with _autocast(setup.device, precision):
                loss = diffusion(images)
            _descend(loss, diffusion, optimizer, setup)

    return Contestant(
        whose="lucidrains",
        precision=precision,
        images=setup.unet.batch_size,
        parameters=size([diffusion.model]),
        turn=turn,
        forward=partial(diffusion.model, _blank(setup), torch.zeros(1, device=setup.device)),
    )


def lucidrains_sampling(setup: Setup, precision: str) -> Contestant:
    """Batches of images by denoising-diffusion-pytorch's DDIM."""
    diffusion = _gaussian_diffusion(setup).eval()

    def draw(n: int, steps: int) -> None:
        diffusion.sampling_timesteps = steps
        with _autocast(setup.device, precision), contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            for _ in range(n):
                diffusion.ddim_sample((setup.n_samples, *setup.dataset.bridge.shape(None))).cpu()

    forward = partial(diffusion.model, _blank(setup), torch.zeros(1, device=setup.device))
    return drawing(setup, "lucidrains", precision, [diffusion.model], draw, forward)


# ---------------------------------------------------------------- what they share


def _descend(loss: Tensor, net: nn.Module, optimizer: torch.optim.Optimizer, setup: Setup) -> float:
    """Backward, clipping as in our configuration, update; the loss is read back, as both loops do."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), setup.unet.clip_grad or math.inf)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, DTYPES["bf16"], enabled=precision == "bf16")


def _blank(setup: Setup) -> Tensor:
    return torch.zeros(1, *setup.dataset.bridge.shape(None), device=setup.device)
