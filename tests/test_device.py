import subprocess

import pytest
import torch

from gendiff_lib import device as machine
from gendiff_lib.errors import ConfigError
from gendiff_lib.gan.config import GANConfig

CPU = torch.device("cpu")


def test_the_device_is_the_named_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("GENDIFF_DEVICE", "cpu")
    assert machine.default_device() == CPU


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("GENDIFF_DEVICE", "cuda")
    with pytest.raises(ConfigError, match="not to be had"):
        machine.default_device()


def test_without_a_name_the_device_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.delenv("GENDIFF_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.default_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.default_device().type == "cpu"


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.delenv("GENDIFF_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert machine.default_device().type == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="there are 2: start 2, or set GENDIFF_DEVICE=cpu"):
        machine.default_device()


@pytest.mark.parametrize("name", ["toaster", "cuda:1", "cpu:x"])
def test_a_device_that_is_none_is_refused_by_name(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("GENDIFF_DEVICE", name)
    with pytest.raises(ConfigError, match=f"GENDIFF_DEVICE={name} is no device: use cpu or cuda"):
        machine.default_device()


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    machine.check_precision(GANConfig(), CPU)
    with pytest.raises(ConfigError, match="precision=fp32"):
        machine.check_precision(GANConfig(precision="bf16"), CPU)


def test_peak_memory_is_in_bytes():
    held = torch.ones(32 * 2**20 // 4)
    assert held.nbytes < machine.peak_memory(CPU) < 2**45


def test_versions_name_what_computes():
    found = machine.packages()
    assert found["torch"] == torch.__version__.split("+")[0]
    assert found.keys() == {"torch", "torchvision", "torch-fidelity", "numpy", "scipy", "gendiff", "python"}


def test_the_processor_has_a_name():
    assert len(machine.device_name(CPU)) > 2


def test_without_git_there_is_no_commit(monkeypatch):
    def absent(*words, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert machine.commit() == {"commit": None, "dirty": None}


@pytest.mark.parametrize("text", ["x", "0", "-1", "²", "1_0", "1025", "99999999999999", "4,x"])
def test_threads_that_are_none_are_refused_by_name(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    with pytest.raises(ConfigError, match="OMP_NUM_THREADS must be a whole number from 1 to 1024, not "):
        machine.check_threads()


@pytest.mark.parametrize("text", [None, "", "1", "1024", "4,2"])
def test_threads_that_openmp_takes_are_taken(text, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if text is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
    machine.check_threads()
