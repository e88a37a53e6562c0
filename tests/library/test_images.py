"""Pictures as arrays, with Pillow, and what is said without it."""

import sys

import numpy as np
import pytest

from overbar.data import image_folder, read_image
from overbar.errors import DataError, FileError, MissingPackageError

Image = pytest.importorskip("PIL.Image")


def saved(path, pixels):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_colour_picture_is_read_as_it_is(tmp_path, rng):
    pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    x = read_image(saved(tmp_path / "a.png", pixels))
    assert (x.shape, x.dtype) == ((3, 5, 7), np.float32)
    assert np.array_equal(np.rint(255 * x).astype(np.uint8), pixels.transpose(2, 0, 1))


def test_grey_and_colour_become_what_is_asked_for(tmp_path, rng):
    grey = rng.integers(0, 256, (4, 4), dtype=np.uint8)
    path = saved(tmp_path / "a.png", grey)
    assert np.array_equal(np.rint(255 * read_image(path, channels=1)[0]), grey)
    assert np.array_equal(read_image(path)[2], read_image(path, channels=1)[0])


def test_a_picture_is_brought_to_a_size(tmp_path):
    path = saved(tmp_path / "a.png", np.full((10, 20, 3), 51, np.uint8))
    x = read_image(path, (6, 8))
    assert x.shape == (3, 6, 8)
    np.testing.assert_allclose(x, 0.2, atol=1e-6)


def test_a_picture_is_turned_as_its_record_says(tmp_path):
    image = Image.fromarray(np.zeros((2, 6, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 6, 2)


def test_a_folder_of_folders_is_a_set_with_classes(tmp_path):
    for name, value in (("dog", 0), ("cat", 255)):
        for i in (2, 1):
            saved(tmp_path / name / f"{i}.png", np.full((3, 3, 3), value // i, np.uint8))
    (tmp_path / "cat" / "notes.txt").write_text("of cats")
    (tmp_path / "readme.md").write_text("of both")
    (tmp_path / ".cache").mkdir()
    X, y, classes = image_folder(tmp_path)
    assert classes == ["cat", "dog"]
    assert y.tolist() == [0, 0, 1, 1]
    assert X.shape == (4, 3, 3, 3)
    np.testing.assert_allclose(X[:, 0, 0, 0], [1, 127 / 255, 0, 0], rtol=1e-6)


def test_pictures_of_several_sizes_want_one(tmp_path):
    saved(tmp_path / "a" / "1.png", np.zeros((3, 3, 3), np.uint8))
    saved(tmp_path / "a" / "2.png", np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(DataError, match=r"2\.png: 4 x 3"):
        image_folder(tmp_path)
    assert image_folder(tmp_path, (2, 2), 1)[0].shape == (2, 1, 2, 2)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        image_folder(tmp_path)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not at all")
    with pytest.raises(FileError, match=r"a\.png is not a picture"):
        read_image(tmp_path / "a.png")


def test_half_a_picture_is_refused(tmp_path, rng):
    path = saved(tmp_path / "a.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FileError, match="damaged"):
        read_image(path)


def test_a_file_that_is_not_there_is_the_disks_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "a.png")


def test_two_channels_are_refused(tmp_path):
    with pytest.raises(DataError, match="channels=2"):
        read_image(tmp_path / "a.png", channels=2)


def test_without_pillow_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError, match=r"overbar\[images\]"):
        read_image(tmp_path / "a.png")
