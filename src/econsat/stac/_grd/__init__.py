"""Reading Sentinel-1 GRD folders; the public verb is `econsat.stac.radiometry.read_grd`."""

from econsat.stac._grd._verb import read_grd

__all__ = ["read_grd"]
