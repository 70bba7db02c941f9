"""Layers as a program wants them: why one can't be built is told in its own words, without a traceback."""

from pathlib import Path

import pulumi

from components.compute import packaging


def built(architecture: str, layer: packaging.Layer = packaging.DEPENDENCIES) -> Path:
    """See `packaging.layer_zip`.

    Raises:
        pulumi.RunError: the packages could not be fetched.
    """
    try:
        return packaging.layer_zip(architecture, layer=layer)
    except packaging.LayerError as error:
        raise pulumi.RunError(str(error)) from error
