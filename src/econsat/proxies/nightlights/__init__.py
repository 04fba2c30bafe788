r"""Night lights: what is light and what is noise, and how much light a region gives off, with an interval.

Three rules hold throughout. A pixel without a cloud-free look is missing, never dark. Negative radiances are noise
about zero and stay, or a sum would be biased. A figure that depends on a threshold says so.

The interval of a sum
---------------------
A sum of lights is :math:`S = \sum_i w_i g(x_i)` over the valid pixels of a region, with the weight w = share of the
pixel in the region x area of the pixel, and g the rule for the floor. Its interval covers noise, the choice of the
floor, and pixels that were not seen, by one of two methods.

``method="formula"`` adds up in quadrature

1. noise: :math:`z \sqrt{D \sum_i w_i^2 v(x_i)}`. v is the variance of g(x + e) under normal noise e of standard
   deviation sigma, in closed form; sigma is measured on the dark pixels (`background`). Neighbouring pixels share much
   of their noise (resampling, airglow), so D, the sum of its correlations over a window of the region's size, inflates
   the variance;
2. the floor: S at floor - error and floor + error, each side by itself;
3. pixels that were not seen: if they are like those seen, the region holds :math:`S (1 - c) / c` more with the valid
   share c, give or take :math:`t A_u s \sqrt{D_u (1/n_u + 1/n_s)}`, as for a sample mean (A_u the unseen area, n_u and
   n_s the pixels unseen and seen, s the standard deviation of those seen). D_u is the sum of the products of the
   correlations of lights and of gaps: 1 for pixels missing here and there, large for clouds over towns. t has n_s / D_u
   - 1 degrees of freedom.

``method="bootstrap"`` draws, `n_boot` times and for each region by itself, what the truth may have been:

1. noise: :math:`\sum_i w_i g(x_i - e_i)` with noise e cut in square blocks from the residuals of the dark pixels, each
   block from a random place and with a random sign. A block is four times as wide as the noise is correlated, and the
   residuals are scaled up by what the seams still cut off the correlations;
2. the floor, drawn from a normal distribution whose interval is floor +- error;
3. pixels that were not seen: the region is drawn anew in blocks of its own seen pixels, the gaps are laid over it, and
   what they then hide, less what the rest would have led to expect, is the error of :math:`S (1 - c) / c`. It is
   widened as Student's t is wider than the normal distribution, with 2 n_s / (D_u (k - 1)) degrees of freedom: of
   lights with the kurtosis k a few towns hold most.

Missing light can only be added, so without scaling only the upper end moves for it, by either method.

Which one. In simulations of towns under noise (the tests hold them) 95 % intervals covered the truth, with the median
width in brackets, as follows.

================================== ================== ==================
case                               formula            bootstrap
================================== ================== ==================
independent noise                  0.99 (14)          0.95 (12)
noise correlated over 4 pixels     0.95 (28)          0.97 (31)
noise correlated over 10 pixels    0.95 (60)          0.94 (55)
sum above a floor of 7 sigma       1.00 (22)          0.96 (13)
lit area above 7 sigma             1.00 (20)          0.97 (7)
a fifth missing at random          0.95 (61)          0.95 (62)
a fifth under clouds like towns    0.92 (107)         0.96 (144)
a fifth under larger clouds        0.93 (73)          0.93 (93)
================================== ================== ==================

The formula is the default: it is enough for sums of all pixels, takes one pass over the cube and no seed. It counts the
pixels near a threshold as if they flipped together, and so is two to three times too wide for lit areas and for sums
above a floor: take the bootstrap there, and where clouds are as large as towns.

The pixels of a region are not themselves resampled where they were seen: that would treat the region's towns as a
random draw, and the interval would say how much other such regions might shine, not how well this one was measured.
Only for the part that was not seen is there nothing else to go by than the part that was.

What no interval here covers: a floor within the noise, above which noise counts as light (the notes say when); noise
that grows with brightness; saturation of bright pixels (DMSP); light scattered from neighbouring regions; flares and
fires; seasons.
"""

from __future__ import annotations

from econsat.proxies._seasonal import seasonal_adjust
from econsat.proxies._year_on_year import year_on_year
from econsat.proxies.nightlights._background import background
from econsat.proxies.nightlights._blooming import correct_blooming
from econsat.proxies.nightlights._chain import clean
from econsat.proxies.nightlights._cleaning import mask, remove_background
from econsat.proxies.nightlights._composite import composite
from econsat.proxies.nightlights._eras import check_pooled, join_eras, mark_eras
from econsat.proxies.nightlights._flags import decode_vflag, good_pixels
from econsat.proxies.nightlights._flares import mask_flares
from econsat.proxies.nightlights._gini import gini
from econsat.proxies.nightlights._harmonise import Harmonisation, harmonise
from econsat.proxies.nightlights._intercalibrate import intercalibrate, intercalibration_coefficients, merge_satellites
from econsat.proxies.nightlights._per_head import lights_per_head, population
from econsat.proxies.nightlights._sensor_break import sensor_break
from econsat.proxies.nightlights._splice import splice
from econsat.proxies.nightlights._sums import THRESHOLD_ERROR, lit_area, sum_of_lights
from econsat.proxies.nightlights._topcoding import correct_topcoding

__all__ = [
    "THRESHOLD_ERROR",
    "Harmonisation",
    "background",
    "check_pooled",
    "clean",
    "composite",
    "correct_blooming",
    "correct_topcoding",
    "decode_vflag",
    "gini",
    "good_pixels",
    "harmonise",
    "intercalibrate",
    "intercalibration_coefficients",
    "join_eras",
    "lights_per_head",
    "lit_area",
    "mark_eras",
    "mask",
    "mask_flares",
    "merge_satellites",
    "population",
    "remove_background",
    "seasonal_adjust",
    "sensor_break",
    "splice",
    "sum_of_lights",
    "year_on_year",
]
