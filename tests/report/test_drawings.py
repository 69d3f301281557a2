from gendiff_report.asking import Asking
from gendiff_report.diagrams import drawings


def test_networks_are_drawn_at_the_papers_size_and_the_runs_own_in_a_box():
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    text = drawings.game(run, "Two players.").html + drawings.architecture(asked, run, "generator", "Fig. 15.").html
    own = sum(p.numel() for p in drawings._fresh(run).modules["generator"].parameters())
    assert f"Fig. 15. Input 100 x 1 x 1; 3,576,704 parameters. The one trained in {run.id} has {own:,}." in text
    assert f"The one trained in {run.id}</summary>" in text
    assert text.count("<svg ") == 3
    assert "ConvTranspose2d 4x4, stride 2, padding 1, no bias" in text


def test_a_network_without_a_run_is_drawn_and_nothing_is_trained(tmp_path):
    asked = Asking(preset="smoke")
    drawings.architecture(asked, "ddpm-unet", "net", "A U-Net.")
    text = drawings.architecture(asked, "ddpm-unet", "net.down.0.0", "Its block.").html
    assert "Input 64 x 32 x 32; 90,560 parameters. The one in ddpm-unet of the preset smoke has" in text
    assert not (tmp_path / "runs").exists()


def test_a_process_is_drawn_from_the_runs_own_path():
    asked = Asking(preset="smoke", epochs=1)
    text = drawings.process(asked.train("ddpm-conv", n_train=100), "The process.").html
    assert "t = 20</text>" in text  # smoke's path has 20 steps
    assert "image x 1.00" in text
