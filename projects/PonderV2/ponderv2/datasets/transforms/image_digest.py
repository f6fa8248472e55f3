"""A hash of a sample's pictures, by which caches know them."""

import hashlib

import numpy as np
from mmcv.transforms import BaseTransform

from ponderv2.errors import UserError
from ponderv2.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DigestImages(BaseTransform):
    """Hash the pictures of a sample, all cameras together, to `image_digest`: equal pixels have equal hashes.

    It comes after everything that changes the pictures. Of pictures that are augmented at random each is new, and a
    cache of their features is never read.

    Raises:
        UserError: the sample has no pictures.
    """

    def transform(self, results: dict) -> dict:
        if "img" not in results:
            raise UserError(
                f"{results.get('info_name', 'sample')}: no pictures to hash; DigestImages comes after LoadCameras "
                "with decode=True"
            )
        digest = hashlib.blake2b(digest_size=16)
        for image in results["img"]:
            digest.update(str(image.shape).encode())
            digest.update(np.ascontiguousarray(image))
        results["image_digest"] = digest.hexdigest()
        return results
