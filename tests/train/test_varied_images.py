from __future__ import annotations

import pytest
import torch

from laconic.errors import UsageError
from laconic.train.varied_images import varied_images


def test_every_image_is_there_and_variants_are_moved_or_mirrored():
    images = torch.randn(6, 3, 9, 12)
    found = varied_images(images, 5, shift=2)
    assert found.shape == (30, 3, 9, 12)
    same = [(one == images).flatten(1).all(1).any() for one in found]
    assert 6 <= sum(map(int, same)) < 15
    # The pixels are those of the image: their range is.
    for one in found:
        assert any(one.amax() <= image.amax() and one.amin() >= image.amin() for image in images)
    assert torch.equal(found, varied_images(images, 5, shift=2))
    assert not torch.equal(found, varied_images(images, 5, shift=2, seed=1))


def test_one_copy_is_the_images_in_another_order():
    images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 2, 2)
    assert sorted(varied_images(images, 1, shift=0)[:, 0, 0, 0].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"shift": 8}, {"shift": -1}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match="copies"):
        varied_images(torch.zeros(2, 3, 8, 8), **wrong)
    with pytest.raises(UsageError, match="copies"):
        varied_images(torch.zeros(2, 8))
