"""How well ships are found in simulated radar scenes: false alarms, recall by length, error of position.

    python tests/benchmarks/eval_vessels.py --seeds 20

Four states of the sea by three densities of ships, each with so many seeds, 600 x 600 pixels of 10 m. False alarms of
`exceedance` are counted where no ship is, over what was asked for; false alarms of `detect` are objects farther than
200 m from any ship. `alone` is the recall of the ships of a dense anchorage when each is put into the same sea without
the others: what is lost between the two, ships hide from each other.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

from econsat.proxies import vessels
from econsat.proxies.vessels._score import match
from econsat.testing import RadarScene, make_radar_scene

#: Mean of the sea in dB, order of its texture (None: none).
SEAS: dict[str, tuple[float, float | None]] = {
    "calm": (-26.0, None),
    "moderate": (-22.0, None),
    "windy": (-18.0, 12.0),
    "rough": (-15.0, 5.0),
}
#: Ships in 36 km2, and their least distance in metres.
DENSITIES = {"sparse": (4, 1000.0), "busy": (12, 500.0), "dense": (40, 350.0)}
LOOKS = 4.8
TAILS = (1e-3, 1e-4)
PFAS = (1e-6, 1e-7)
CLASSES = ("<100 m", "100-200 m", ">200 m")
# Texture finer than the ring about a pixel, as swell is.
TEXTURE_M = 60.0


def scene(sea: str, density: str, *, seed: int, size: int = 600, **options: Any) -> RadarScene:
    """Return a scene of a state of the sea and a density of ships."""
    level, texture = SEAS[sea]
    count, spacing = DENSITIES[density]
    return make_radar_scene(
        **{
            "shape": (size, size),
            "looks": LOOKS,
            "sea_db": level,
            "texture": texture,
            "texture_m": TEXTURE_M,
            "ships": count,
            "spacing_m": spacing,
            "ship_db": -5.0,
            "incidence_slope_db": -0.3,
            "incidence": (36.0, 36.4),
            "seed": seed,
            **options,
        }
    )


def free(made: RadarScene, *, margin_m: float = 400.0) -> np.ndarray:
    """Return the pixels of the sea that are farther from any ship than its sidelobes reach."""
    x, y = np.meshgrid(made.image.x, made.image.y)
    out = np.ones(x.shape, bool)
    for ship in made.truth.itertuples():
        out &= np.hypot(x - ship.geometry.x, y - ship.geometry.y) > margin_m + ship.length_m / 2
    return out


def model(sea: str, clutter: str | None = None) -> dict[str, Any]:
    """Return the arguments that suit a sea: K with the order that was put in where it has texture."""
    texture = SEAS[sea][1]
    if clutter == "gamma" or texture is None:
        return {"looks": LOOKS, "clutter": "gamma"}
    return {"looks": LOOKS, "clutter": "k", **({} if clutter == "k" else {"shape": texture})}


def exceeding(made: RadarScene, pfa: float, **options: Any) -> tuple[int, int]:
    """Return how many pixels of free sea exceed, and how many there are."""
    sea = free(made)
    above = vessels.exceedance(made.image, pfa=pfa, water=made.water, **options).values
    return int((above & sea).sum()), int(sea.sum())


def classes(lengths: pd.Series) -> np.ndarray:
    """Return the class of each length in metres."""
    return np.asarray(CLASSES)[np.digitize(lengths, [100.0, 200.0])]


def found(made: RadarScene, *, pfa: float, distance: float = 100.0, **options: Any) -> tuple[pd.DataFrame, int]:
    """Return a row a ship (class, found, error in metres, found class) and the number of objects that are no ship."""
    hits = vessels.detect(made.image, water=made.water, pfa=pfa, **options)
    pairs = match(hits, made.truth, distance=distance)
    table = pd.DataFrame({"length_class": classes(made.truth.length_m), "found": False, "error_m": np.nan})
    at = pairs["truth"].to_numpy()
    table.loc[at, "found"] = True
    table.loc[at, "error_m"] = pairs["distance_m"].to_numpy()
    table.loc[at, "found_class"] = hits["length_class"].to_numpy()[pairs["found"].to_numpy()]
    away = (
        [made.truth.distance(point).min() > 200.0 for point in hits.geometry] if len(made.truth) else [True] * len(hits)
    )
    return table, int(np.sum(away))


def alone(made: RadarScene, sea: str, *, seed: int, pfa: float, **options: Any) -> np.ndarray:
    """Return which ships of a scene are found when each is alone in the same sea."""
    ships = made.truth.assign(x=made.truth.geometry.x, y=made.truth.geometry.y).drop(columns="geometry")
    out = np.zeros(len(ships), bool)
    for k in range(len(ships)):
        single = scene(sea, "sparse", seed=seed, ships=ships.iloc[[k]], size=made.image.sizes["y"])
        out[k] = bool(found(single, pfa=pfa, **options)[0]["found"].iloc[0])
    return out


def evaluate(seeds: int, *, lonely: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return false alarms and recall by sea and density."""
    alarms, recalls = [], []
    for sea in SEAS:
        for density in DENSITIES:
            counts = {(family, tail): [0, 0] for family in ("suited", "gamma") for tail in TAILS}
            false, ships = dict.fromkeys(PFAS, 0), {pfa: [] for pfa in PFAS}
            for seed in range(seeds):
                made = scene(sea, density, seed=seed)
                for (family, tail), sums in counts.items():
                    if family == "gamma" and SEAS[sea][1] is None:
                        continue
                    hits, pixels = exceeding(made, tail, **model(sea, None if family == "suited" else "gamma"))
                    sums[0] += hits
                    sums[1] += pixels
                for pfa in PFAS:
                    table, wrong = found(made, pfa=pfa, **model(sea))
                    false[pfa] += wrong
                    ships[pfa].append(table)
            ratios = {
                f"{family} {tail:g}": hits / pixels / tail if pixels else np.nan
                for (family, tail), (hits, pixels) in counts.items()
            }
            wrong = {f"false a scene {pfa:g}": count / seeds for pfa, count in false.items()}
            alarms.append({"sea": sea, "density": density, **ratios, **wrong})
            for pfa in PFAS:
                table = pd.concat(ships[pfa])
                by = table.groupby("length_class")["found"]
                recall = {name: float(by.mean().get(name, np.nan)) for name in CLASSES}
                right = (table["found_class"] == table["length_class"])[table["found"]].mean()
                recalls.append(
                    {
                        "sea": sea,
                        "density": density,
                        "pfa": pfa,
                        "ships": len(table),
                        **recall,
                        "all": table["found"].mean(),
                        "error_m": table["error_m"].median(),
                        "error_90": table["error_m"].quantile(0.9),
                        "class_right": right,
                    }
                )
            if density == "dense" and lonely:
                singly = []
                for seed in range(lonely):
                    made = scene(sea, density, seed=seed)
                    singly.append(alone(made, sea, seed=seed, pfa=PFAS[-1], **model(sea)))
                together = pd.concat(ships[PFAS[-1]][:lonely])["found"]
                recalls[-1] |= {"alone": float(np.mean(singly)), "together": float(together.mean())}
    return pd.DataFrame(alarms), pd.DataFrame(recalls)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--lonely", type=int, default=1, help="seeds whose dense ships are also tried one by one")
    options = parser.parse_args()
    alarms, recalls = evaluate(options.seeds, lonely=options.lonely)
    print(f"False alarms over nominal (exceedance), and objects that are no ship (detect), {options.seeds} seeds")
    print(alarms.to_string(index=False, float_format="%.2f"))
    print("Recall within 100 m, error of position in metres, share of found ships in the right class of length")
    print(recalls.assign(pfa=recalls["pfa"].map("{:g}".format)).to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
