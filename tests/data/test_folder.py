import os
import re
import time

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from gendiff_lib.data import dataset as dataset_module
from gendiff_lib.data import load, pictures
from gendiff_lib.data.dataset import ImageBridge
from gendiff_lib.errors import DataError


def paint(path, colour=(1, 1, 1), size=(12, 10), mode="RGB", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **more)


def fill(root, *classes, n=6):
    """n images in each class; image i of class k is of colour (k, i, 0)."""
    for k, name in enumerate(classes):
        for i in range(n):
            paint(root / name / f"{i:02}.png", (k, i, 0))
    return f"folder:{root}"


def refusal(name):
    """The message with which a data set is refused, which must be one line, whichever split is asked for."""
    said = set()
    for split in ("train", "test"):
        with pytest.raises(DataError) as refused:
            load(name, split)
        said.add(str(refused.value))
    (message,) = said
    assert message.isprintable()
    return message


def test_a_folder_is_divided_five_to_one_class_by_class(tmp_path):
    name = fill(tmp_path, "cats", "dogs", n=13)
    train, test = load(name), load(name, "test")
    assert train.classes == test.classes == ("cats", "dogs")
    assert train.samples.shape == (22, 3, 10, 10)
    assert train.samples.dtype == torch.uint8
    assert train.labels.tolist() == [0] * 11 + [1] * 11
    assert train.samples[:, :2, 5, 5].tolist() == [[k, i] for k in range(2) for i in range(13) if i not in (5, 11)]
    assert test.samples[:, :, 5, 5].tolist() == [[k, i, 0] for k in range(2) for i in (5, 11)]
    assert train.bridge == ImageBridge(10)


def test_a_part_of_a_folder_holds_each_of_its_classes(tmp_path):
    train = load(fill(tmp_path, "a", "b", "c", n=12))
    assert torch.bincount(train.choose(9, "n_train").labels).tolist() == [3, 3, 3]


def test_a_folder_may_bring_its_own_splits_whose_classes_are_matched_by_name(tmp_path):
    for split, grey in (("train", 1), ("test", 9)):
        for k, name in enumerate(("a", "b")):
            paint(tmp_path / split / name / "1.png", (grey, k, 0))
    paint(tmp_path / "val" / "c" / "1.png")  # lies beside the two, and is not read
    for split, grey in (("train", 1), ("test", 9)):
        part = load(f"folder:{tmp_path}", split)
        assert part.classes == ("a", "b")
        assert part.samples[:, :2, 0, 0].tolist() == [[grey, 0], [grey, 1]]
        assert part.labels.tolist() == [0, 1]


@pytest.mark.parametrize(("whole", "short"), [("train", "test"), ("test", "train")])
def test_a_class_that_one_split_lacks_is_named(tmp_path, whole, short):
    for name in ("a", "b", "c"):
        paint(tmp_path / whole / name / "1.png")
    for name in ("a", "c"):
        paint(tmp_path / short / name / "1.png")
    assert f"has class 'b' in {whole}/ but not in {short}/: add {short}/b" in refusal(f"folder:{tmp_path}")


def test_a_class_too_small_to_be_divided_is_named(tmp_path):
    fill(tmp_path, "a", "b")
    fill(tmp_path, "few", n=5)
    assert "has 5 of class 'few'" in refusal(f"folder:{tmp_path}")


@pytest.mark.parametrize(("there", "other"), [("train", "test"), ("test", "train")])
def test_one_split_without_the_other_is_refused_and_its_remedy_works(tmp_path, there, other):
    fill(tmp_path / there, "a", "b")
    message = refusal(f"folder:{tmp_path}/")
    assert f"has {there}/ with classes but no {other}/" in message
    remedy = re.search(r"name (\S+) to have it split", message)[1]
    assert load(remedy).classes == ("a", "b")


def test_a_class_may_be_called_train(tmp_path):
    assert load(fill(tmp_path, "car", "train")).classes == ("car", "train")


def test_one_class_is_a_data_set(tmp_path):
    assert load(fill(tmp_path, "only")).classes == ("only",)


def test_sub_folders_belong_to_their_class(tmp_path):
    name = fill(tmp_path, "a")
    paint(tmp_path / "a" / "more" / "x.png", (7, 7, 7))
    assert 7 in load(name).samples.unique()


def test_both_splits_have_the_side_of_the_smallest_image_of_all(tmp_path):
    fill(tmp_path / "train", "a", n=120)
    paint(tmp_path / "train" / "a" / "z.png", size=(9, 40))
    fill(tmp_path / "test", "a")
    paint(tmp_path / "test" / "a" / "z.png", size=(40, 8))
    assert load(f"folder:{tmp_path}").bridge == load(f"folder:{tmp_path}", "test").bridge == ImageBridge(8)


def test_large_images_are_cut_to_their_central_square_and_brought_to_64(tmp_path):
    wide = np.zeros((128, 256, 3), np.uint8)
    wide[:, 64:192] = 250
    (tmp_path / "a").mkdir()
    for i in range(6):
        Image.fromarray(wide).save(tmp_path / "a" / f"{i}.png")
    samples = load(f"folder:{tmp_path}").samples
    assert samples.shape == (5, 3, 64, 64)
    assert samples.min() == 250


def test_shrinking_averages(tmp_path):
    board = (np.indices((32, 32)).sum(0) % 2 * 200).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    assert (pictures.square(str(tmp_path / "board.png"), 8).float() - 100).abs().max() < 4


def test_an_image_below_eight_pixels_is_named(tmp_path):
    fill(tmp_path, "a")
    paint(tmp_path / "a" / "tiny.png", size=(30, 7))
    assert "tiny.png is 7 pixels wide or high: remove it" in refusal(f"folder:{tmp_path}")


def read(path, side=8):
    return pictures.square(str(path), side)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_greys_keep_their_brightness(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / f"ramp.{suffix}")
    with Image.open(tmp_path / f"ramp.{suffix}") as picture:
        assert picture.mode.startswith("I")
    expected = (torch.from_numpy(ramp.astype(np.float64)) / 65535 * 255).round().byte()
    assert torch.equal(read(tmp_path / f"ramp.{suffix}"), expected.expand(3, 8, 8))


def test_a_16_bit_grey_that_stands_for_transparent_is_white(tmp_path):
    grey = np.full((8, 8), 300, np.uint16)
    grey[0] = 65535 // 2
    Image.fromarray(grey).save(tmp_path / "a.png", transparency=300)
    assert read(tmp_path / "a.png")[0, :2, 0].tolist() == [127, 255]


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "floats"), (np.int32, "signed or 32-bit whole numbers")])
def test_numbers_of_unknown_range_are_refused_by_name(tmp_path, dtype, kind):
    fill(tmp_path, "a")
    Image.fromarray(np.ones((12, 12), dtype)).save(tmp_path / "a" / "00.tif")
    Image.fromarray(np.ones((12, 12), dtype)).save(tmp_path / "a" / "05.tif")
    with pytest.raises(DataError, match=rf"00\.tif holds {kind}, whose white is not known: save it with 8 or 16 bits"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGB", (10, 20, 30), [10, 20, 30]),
        ("L", 40, [40, 40, 40]),
        ("1", 1, [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),
        ("RGBA", (0, 100, 200, 51), [204, 224, 244]),  # a fifth of the colour and four fifths of white
        ("LA", (0, 51), [204, 204, 204]),
    ],
)
def test_every_mode_becomes_red_green_and_blue_on_white(tmp_path, mode, colour, seen):
    paint(tmp_path / "a.png", colour, (8, 8), mode)
    assert read(tmp_path / "a.png")[:, 3, 3].tolist() == seen


@pytest.mark.parametrize(("suffix", "more"), [("png", {"transparency": 1}), ("gif", {"transparency": 1})])
def test_a_palettes_transparent_colour_is_white(tmp_path, suffix, more):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30, 200, 0, 0])
    picture.paste(1, (0, 0, 8, 4))
    picture.save(tmp_path / f"a.{suffix}", **more)
    assert read(tmp_path / f"a.{suffix}")[:, [0, 7], 0].T.tolist() == [[255, 255, 255], [10, 20, 30]]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path, suffix):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = 255  # white on the left; turned clockwise by 90 degrees, at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", exif=exif)
    turned = read(tmp_path / f"a.{suffix}", 16)
    assert turned[:, :8].min() > 240
    assert turned[:, 8:].max() < 15


@pytest.mark.parametrize("limit", [100, 40])  # of which Pillow only warns, and which it refuses itself
def test_an_image_of_too_many_pixels_is_named(tmp_path, monkeypatch, limit):
    name = fill(tmp_path, "a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"00.png is an image of more than {limit} pixels: shrink or remove it" in refusal(name)


def test_a_png_with_overlong_text_is_named(tmp_path):
    fill(tmp_path, "a")
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 2_000_000, zip=True)
    paint(tmp_path / "a" / "long.png", pnginfo=text)
    message = refusal(f"folder:{tmp_path}")
    assert re.search(r"long\.png is no image that can be read \(Decompressed data too large.*without metadata", message)


def test_a_png_with_an_overlong_colour_profile_is_named(tmp_path):
    fill(tmp_path, "a")
    paint(tmp_path / "a" / "profile.png", icc_profile=b"\0" * 2_000_000)
    assert "profile.png is no image that can be read" in refusal(f"folder:{tmp_path}")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_named(tmp_path, suffix):
    fill(tmp_path, "a")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(noise).save(whole)
    (tmp_path / "a" / f"00.{suffix}").write_bytes(whole.read_bytes()[:-600])
    with pytest.raises(DataError, match=rf"00\.{suffix} is no image that can be read \(.*: save it again"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    fill(tmp_path, "a")
    (tmp_path / "a" / "notes.txt").write_bytes(content)
    assert "notes.txt is no image of a kind that is read (PNG, JPEG, " in refusal(f"folder:{tmp_path}")


def test_hidden_files_litter_and_files_outside_the_classes_are_not_read(tmp_path):
    name = fill(tmp_path, "a", "b")
    digest = load(name).digest
    for litter in (".ipynb_checkpoints/x.png", "__MACOSX/x.png", "a/.ipynb_checkpoints/x.png", "a/__MACOSX/x.png"):
        paint(tmp_path / litter)
    for litter in (".DS_Store", "a/.DS_Store", "a/._00.png", "a/Thumbs.db", "b/desktop.ini", "README.txt"):
        (tmp_path / litter).write_text("no image")
    assert load(name).classes == ("a", "b")
    assert load(name).digest == digest


@pytest.mark.parametrize("odd", ["new\nline", "esc\x1b[31m", os.fsdecode(b"latin-\xe9"), "quote'\"", "%s {x}"])
def test_odd_names_load_and_are_told_in_one_line(tmp_path, odd):
    name = fill(tmp_path / odd, odd, "b")
    dataset = load(name)
    assert len(dataset.samples) == 10
    assert all(c.isprintable() for c in dataset.classes)
    (tmp_path / odd / odd / odd).write_text("no image")
    refusal(name).encode()
    os.remove(tmp_path / odd / odd / odd)
    with pytest.raises(DataError) as refused:
        dataset_module.check_same(dataset, "0" * 12, "run a")
    assert str(refused.value).isprintable()
    for i in range(6):
        os.remove(tmp_path / odd / odd / f"{i:02}.png")
    assert "holds no image: remove it" in refusal(name)


def test_a_folder_may_be_named_from_the_users_home(tmp_path, monkeypatch):
    fill(tmp_path / "pictures", "a")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("folder:~/pictures").samples) == 5
    assert "folder:~nobody-at-all/x is no folder" in refusal("folder:~nobody-at-all/x")


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    assert f"folder:{tmp_path}/file is a file, no folder: give folder:PATH" in refusal(f"folder:{tmp_path}/file")
    assert "is no folder: give folder:PATH" in refusal(f"folder:{tmp_path}/none")
    assert "is no folder: give folder:PATH" in refusal("folder:" + "x" * 5000)
    assert r"folder:a\x00b is no folder" in refusal("folder:a\0b")


def test_a_folder_without_images_in_sub_folders_is_refused(tmp_path):
    assert "holds no images in sub-folders: make one sub-folder for each class" in refusal(f"folder:{tmp_path}")
    paint(tmp_path / "1.png")
    assert "holds no images in sub-folders" in refusal(f"folder:{tmp_path}")
    (tmp_path / "empty").mkdir()
    assert "empty holds no image: remove it or put some there" in refusal(f"folder:{tmp_path}")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    name, listed = fill(tmp_path, "a", "closed"), os.listdir

    def listdir(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "listdir", listdir)
    assert "closed cannot be read (Permission denied): make it readable" in refusal(name)


@pytest.mark.parametrize(("ask", "words"), [("stat", "cannot be reached"), ("open", "cannot be read")])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, ask, words):
    name, module = fill(tmp_path, "a"), {"stat": os, "open": Image}[ask]
    allowed = getattr(module, ask)

    def asked(path, *args, **more):
        if str(path).endswith("00.png"):
            raise PermissionError(13, "Permission denied")
        return allowed(path, *args, **more)

    monkeypatch.setattr(module, ask, asked)
    assert re.search(rf"00\.png {words} \(Permission denied\): m", refusal(name))


def test_links_to_images_and_folders_are_followed(tmp_path):
    fill(tmp_path / "store", "x")
    fill(tmp_path / "root", "a")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "root" / "a" / "zz.png").symlink_to(tmp_path / "store" / "x" / "03.png")
    dataset = load(f"folder:{tmp_path}/root")
    assert dataset.classes == ("a", "b")
    assert torch.bincount(dataset.labels).tolist() == [6, 5]


@pytest.mark.parametrize("target", ["", "a", ".."])
def test_a_link_round_in_a_circle_is_named(tmp_path, target):
    name = fill(tmp_path / "root", "a", "b")
    (tmp_path / "root" / "a" / "loop").symlink_to(tmp_path / "root" / target)
    assert "a/loop is a link to a folder that it lies in: remove the link" in refusal(name)


def test_a_circle_by_way_of_another_place_is_named(tmp_path):
    name = fill(tmp_path / "root", "a")
    fill(tmp_path / "other", "x")
    (tmp_path / "root" / "a" / "out").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "x" / "back").symlink_to(tmp_path / "root" / "a")
    assert "a/out/x/back is a link to a folder that it lies in" in refusal(name)


@pytest.mark.parametrize(("target", "why"), [("nowhere", "No such file"), ("link.png", "symbolic links")])
def test_a_link_to_nothing_or_itself_is_named(tmp_path, target, why):
    name = fill(tmp_path, "a")
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "a" / target)
    assert re.search(rf"link\.png cannot be reached \(.*{why}.*\): mend its link", refusal(name))


def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    name = fill(tmp_path, "a")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    assert "pipe.png is no image but a device, pipe or socket: remove it" in refusal(name)


def test_a_folder_that_stays_as_it_is_is_read_once(tmp_path):
    name = fill(tmp_path, "a")
    assert load(name) is load(name)


def test_a_folder_that_changes_in_place_is_another_data_set(tmp_path):
    name = fill(tmp_path, "a", n=12)
    digests = [load(name).digest]
    paint(tmp_path / "a" / "new.png", (8, 8, 8))
    digests.append(load(name).digest)
    os.remove(tmp_path / "a" / "00.png")
    digests.append(load(name).digest)
    os.rename(tmp_path / "a" / "01.png", tmp_path / "a" / "99.png")
    digests.append(load(name).digest)
    assert len(set(digests)) == 4
    with pytest.raises(DataError, match="is not the one that run a was made with"):
        dataset_module.check_same(load(name), digests[0], "run a")


def repaint(folder):
    paint(folder / "0.bmp", (9, 9, 9))


def swap(folder):
    for old, new in (("0", "x"), ("1", "0"), ("x", "1")):
        os.rename(folder / f"{old}.bmp", folder / f"{new}.bmp")


@pytest.mark.parametrize("change", [repaint, swap])
def test_files_of_one_size_and_time_are_told_apart(tmp_path, change):
    def put_back_times():
        for i in range(6):
            os.utime(tmp_path / "a" / f"{i}.bmp", ns=(0, 0))

    for i in range(6):
        paint(tmp_path / "a" / f"{i}.bmp", (i, i, i))
    put_back_times()
    before = load(f"folder:{tmp_path}").digest
    time.sleep(0.05)  # a file system's clock ticks a few times in it
    change(tmp_path / "a")
    put_back_times()
    assert load(f"folder:{tmp_path}").digest != before


def test_either_split_tells_that_it_has_changed(tmp_path):
    name = fill(tmp_path, "a")
    before = [load(name, split).digest for split in ("train", "test")]
    paint(tmp_path / "a" / "05.png", (9, 9, 9))
    after = [load(name, split).digest for split in ("train", "test")]
    assert before[0] == after[0]
    assert before[1] != after[1]
