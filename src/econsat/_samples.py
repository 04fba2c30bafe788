"""Public sample files by name: where they lie, under which licence, and their checksums."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SAMPLES", "Sample", "SampleFile"]

_RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class SampleFile:
    """One public file.

    Attributes
    ----------
    local : str
        Its path below `ECONSAT_SAMPLES`.
    sha256 : str
        Its checksum.
    paths : tuple of str
        Where it lies in the repository; several where it was moved, tried in order; none where it was put together from
        files there and can only be used from `ECONSAT_SAMPLES`.
    """

    local: str
    sha256: str
    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.local.rpartition("/")[2]


@dataclass(frozen=True)
class Sample:
    """Public files that belong together.

    Attributes
    ----------
    title, licence : str
        What it is, and under which terms.
    repository, commit : str
        The public repository, ``owner/name``, and the commit.
    files : tuple of SampleFile
        The files.
    """

    title: str
    licence: str
    repository: str
    commit: str
    files: tuple[SampleFile, ...]

    def addresses(self, file: SampleFile) -> list[str]:
        """Return the public addresses of one file."""
        return [f"{_RAW}/{self.repository}/{self.commit}/{path}" for path in file.paths]


_TRAINING = "ramarty/ntl-training"
_TRAINING_COMMIT = "422027fc54662b4397fef8b52a160c8e05ddcee8"
_BLACK_MARBLE = "data/ntl_blackmarble"
_CUBE = "assets/mumbai_ntl/datacube"
_MAP = "assets/mumbai_map"


def _mumbai(name: str, folder: str, sha256: str) -> SampleFile:
    return SampleFile(f"nightlights/mumbai/{name}", sha256, (f"{folder}/{name}",))


def _black_marble(place: str, stem: str, sha256: str, *, elsewhere: tuple[str, ...] = ()) -> SampleFile:
    name = f"{stem}.tif"
    paths = (f"{_BLACK_MARBLE}/{place}/raster/{name}", *(f"{folder}/{name}" for folder in elsewhere))
    return SampleFile(f"nightlights/{place}/{name}", sha256, paths)


_ANNUAL = "VNP46A4_NearNadir_Composite_Snow_Free_qflag_t"
_MONTHLY = "VNP46A3_NearNadir_Composite_Snow_Free_qflag_t"

SAMPLES: dict[str, Sample] = {
    "country-lights-gdp": Sample(
        title="Sums of harmonised DMSP-like lights and GDP of 189 countries, 1992 to 2020",
        licence="MIT; lights: Li et al. 2020, CC BY 4.0; GDP: World Bank, CC BY 4.0",
        repository="shamayla38/EconomyLightCorrelation",
        commit="b86c8bc3a71396624972f9e125754fcf12f6598e",
        files=(
            SampleFile(
                "nightlights/country_panel/analysis.csv",
                "4cd992883491e4cd8282245aa69ff94df63659a87b14f848a74efc9b4f0ad2a5",
                ("data/02-analysis_data/04-analysis/analysis.csv",),
            ),
        ),
    ),
    "dmsp-intercalibration": Sample(
        title="Coefficients that bring DMSP-OLS stable lights of all satellites and years to one scale (Elvidge 2014)",
        licence="CC BY 4.0",
        repository="worldbank/OpenNightLights",
        commit="b93275be66ec1177097a2be82f6d0248921542a0",
        files=(
            SampleFile(
                "nightlights/dmsp/Elvidge_DMSP_intercalib_coef.csv",
                "8dbf3952b92521915fceba60847260c5844cb20fb57fce68aeb87fc79bbb5324",
                ("onl/tutorials/files/Elvidge_DMSP_intercalib_coef.csv",),
            ),
        ),
    ),
    "india520": Sample(
        title="Radiance-calibrated lights per head and controls of 520 Indian districts, 1996 to 2010",
        licence="CC BY 4.0 (Chanda & Kabiraj 2020)",
        repository="quarcs-lab/project2025s-py",
        commit="b5688fe367af536da06880d97aacaebb3c09d29f",
        files=(
            SampleFile(
                "nightlights/india520/india520.dta",
                "586a5c797f9dfb94fe593f219dc5eeeb46a0ec27eec3adc0282626b5b58b3c05",
                ("data/india520.dta",),
            ),
            SampleFile(
                "nightlights/india520/india_2001_520.gpkg",
                "2d8cda49b7a6a0abcc5dc4a237100cdd3fef0f0372d161b5aca3143225980019",
                ("data/maps/india_2001_520.gpkg",),
            ),
        ),
    ),
    "kenya-vnp46a4": Sample(
        title="NASA Black Marble VNP46A4 annual composites (near-nadir, snow-free), Kenya, 2020 to 2023",
        licence="MIT; pixels: NASA Black Marble, public domain",
        repository=_TRAINING,
        commit=_TRAINING_COMMIT,
        files=(
            _black_marble(
                "kenya",
                f"{_ANNUAL}2020",
                "fa7f6682952bc9d72aa6d490a3fc77b3a42d96b15a02e4b1bf2feba9f361e704",
                elsewhere=(_BLACK_MARBLE,),
            ),
            _black_marble(
                "kenya", f"{_ANNUAL}2021", "8cdd1f18fe44cbae0fc2af2e3a42a359e01da871ac455fa24c3887eb2b89f637"
            ),
            _black_marble(
                "kenya", f"{_ANNUAL}2022", "388e4586ba4be4a81675ac26c13b7996ca236860865de043e2395bfcf0d85ffd"
            ),
            _black_marble(
                "kenya", f"{_ANNUAL}2023", "e23e2febf02e9db5eec492a7f3d1468cc587b80586edeb3b8fad6b2a55c31eb1"
            ),
        ),
    ),
    "mumbai-viirs": Sample(
        title="VIIRS monthly radiance and cloud-free counts, Mumbai, 2012-04 to 2023-01, and two districts",
        licence="MIT; radiance: Earth Observation Group, CC BY 4.0",
        repository="xKDR/NighttimeLights.jl",
        commit="26c60c81207c2f69c74211a25e1f4c7e6b1859e3",
        files=(
            _mumbai("mumbai_radiance.nc", _CUBE, "cfede275f2fb4218aabc1835b187be9976efcbca5b62381e8f50e37b8acc0d2c"),
            _mumbai("mumbai_clouds.nc", _CUBE, "cc76abc2b67a63d593de2a6b8172adbebbb125176dac69fb5ea5a3df5bf5585c"),
            _mumbai("mumbai_districts.shp", _MAP, "f96d7d0e84fbf1a2cb4c2a6485c647a6534d397911cbb4825812d5565d26efc4"),
            _mumbai("mumbai_districts.shx", _MAP, "2d001c7175a4d4e77e5da790c10d85f13cb428ec44217b33a502f58a2e41f88b"),
            _mumbai("mumbai_districts.dbf", _MAP, "c5c20d75e52a73cf746563547b74a92a2314f7a235420b84a6ffda46518d7473"),
            _mumbai("mumbai_districts.prj", _MAP, "98aaf3d1c0ecadf1a424a4536de261c3daf4e373697cb86c40c43b989daf52eb"),
        ),
    ),
    "nigeria-vnp46a4": Sample(
        title="NASA Black Marble VNP46A4 annual composite (near-nadir, snow-free), Nigeria, 2023, and 905 gas flares",
        licence="MIT; pixels: NASA Black Marble, public domain; flares: Earth Observation Group",
        repository=_TRAINING,
        commit=_TRAINING_COMMIT,
        files=(
            _black_marble(
                "nigeria", f"{_ANNUAL}2023", "78a155757d9311a6dbe4e367eb1fb832f9aa3f8dfaf574cb8d4d5c774c672e0e"
            ),
            SampleFile(
                "nightlights/nigeria/nga_gas_flare.csv",
                "528356c7c04415045db347beb08424aa778394685466521729debab75666f925",
                ("data/gas_flaring/finaldata/nga_gas_flare.csv",),
            ),
        ),
    ),
    "puerto-rico-vnp46a3": Sample(
        title="NASA Black Marble VNP46A3, Puerto Rico, 2017-09 and 2017-10, and sums of the island by month and day",
        licence="MIT; pixels: NASA Black Marble, public domain",
        repository=_TRAINING,
        commit=_TRAINING_COMMIT,
        files=(
            _black_marble(
                "puerto_rico", f"{_MONTHLY}2017_09", "d471e7be43b2a9fd0af612f441d1fb43b2d220ef1f810f5fd2ba6c29709a629c"
            ),
            _black_marble(
                "puerto_rico", f"{_MONTHLY}2017_10", "b9bfd7274379f7d4676566058acbd5a55e17620688959338210b2d196641c325"
            ),
            SampleFile(
                "nightlights/puerto_rico/puerto_rico_adm0_panel.csv",
                "4637d95b2c11d460b2d433c99d13a16f1f8f8da4d156b6e9fe714ef1534983f1",
                (),
            ),
        ),
    ),
}
