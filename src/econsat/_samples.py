"""Public sample files by name: where they lie, under which licence, and their checksums."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

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
    folder : str
        Folder below that of the sample in the cache, where files of a product must lie as they belong together.
    """

    local: str
    sha256: str
    paths: tuple[str, ...]
    folder: str = ""

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
        return [f"{_RAW}/{self.repository}/{self.commit}/{quote(path)}" for path in file.paths]


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


_SAFE = "notebooks/VesselDetection/data/S1A_IW_GRDH_1SDV_20220612T173329_20220612T173354_043633_05359A_EA25_test.SAFE"
_GRD = "s1a-iw-grd-vh-20220612t173329-20220612t173354-043633-05359a-002"


def _westhinder(path: str, sha256: str, *, public: str = "") -> SampleFile:
    return SampleFile(f"ports/westhinder/{path}", sha256, (f"{_SAFE}/{public or path}",), path.rpartition("/")[0])


def _ships(place: str, day: str, sha256: dict[str, str]) -> tuple[SampleFile, ...]:
    def band(name: str) -> SampleFile:
        local = f"{day}-00_00_{day}-23_59_Sentinel-2_L2A_{name}__Raw_.tiff"
        public = f"{day}-00:00_{day}-23:59_Sentinel-2_L2A_{name}_(Raw).tiff"
        # The files of some ports are written without colons.
        plain = f"{day}-00_00_{day}-23_59_Sentinel-2_L2A_{name}_(Raw).tiff"
        paths = (f"sen2ships/{place}/{public}", f"sen2ships/{place}/{plain}")
        return SampleFile(f"ports/sen2ships/{place}/{local}", sha256[name], paths)

    labels = f"{place}_coco.json"
    coco = SampleFile(f"ports/sen2ships/{place}/{labels}", sha256["labels"], (f"sen2ships/{place}/{labels}",))
    return (*(band(name) for name in ("B03", "B04", "B08", "B11")), coco)


def _passes(name: str, sha256: str) -> SampleFile:
    folder = "data" if name == "aoi.json" else "data/outputs"
    return SampleFile(f"ports/pass_counts/{name}", sha256, (f"{folder}/{name}",))


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
    "pass-counts": Sample(
        title="Boats per Sentinel-2 pass at 21 European ports and straits, 2018 to 2020, as a model counted them",
        licence="CC BY 4.0",
        repository="MichelDeudon/sentinel2-xcube-boat-detection",
        commit="6c039ad77a51876e18e4deeb2b810b11e89d9102",
        files=(
            _passes(
                "antwerp_lat=51.25_lon=4.3_r=7000_v=0.1.1.json",
                "1f697fd8ec8eb82f3318e3ce3703f16dbd83389d38b4f9090b796ac186aeb035",
            ),
            _passes("aoi.json", "22c992409945475dafda82ff47493ac3c62e5fc6f5b8d7937b1b8b694bb230e6"),
            _passes(
                "athen pireaus_lat=37.86_lon=23.61_r=7000_v=0.1.1.json",
                "5033552be817bd24718c85f6760a0fac92a754901c60369042b1ea09d011e23e",
            ),
            _passes(
                "bosporus_lat=41.15_lon=29.1_r=7000_v=0.1.1.json",
                "d1d49dd130715c8082aae274e1cccb685d0d6cb728fe750989bc002e915e06a9",
            ),
            _passes(
                "budapest_lat=47.46_lon=19.06_r=7000_v=0.1.1.json",
                "16a3b5622f7bf8a4583bd526bc40e3711b5494aabdfa07e8c4fbf97086cd0056",
            ),
            _passes(
                "corfu_lat=39.68_lon=19.92_r=7000_v=0.1.1.json",
                "ada6b7cc75b5d8e8a53994823b5a2a45e286478387d9ddebe837582616648091",
            ),
            _passes(
                "dardanelles_lat=40.15_lon=26.39_r=7000_v=0.1.1.json",
                "9b3529ec971fbe79cd6419e94d5d8a945c36fa092c3eb30cf6cb1d762a464340",
            ),
            _passes(
                "dover_lat=51.07_lon=1.45_r=7000_v=0.1.1.json",
                "70e8291c59beef83246ef7948fd66b824efe58a18cd8c4bc83ca99c73e48e739",
            ),
            _passes(
                "dublin_lat=53.32_lon=-6.05_r=7000_v=0.1.1.json",
                "5e2b0101872149b5eee794e65db8335e72c0a5f27cf3be2cb093deeb516caa8d",
            ),
            _passes(
                "gibraltar_lat=35.985_lon=-5.3805_r=7000_v=0.1.1.json",
                "42ef5e1273a43a65c6e2538cbb3ed30a84a6c758d8aea4552349a4486eb6b949",
            ),
            _passes(
                "grand harbour_lat=35.945_lon=14.58_r=7000_v=0.1.1.json",
                "45ca22f3e929774e644faf8bc3e93ba50027ff0d91c24ca863e0fba35188a6cb",
            ),
            _passes(
                "kiel canal_lat=54.41_lon=10.17_r=7000_v=0.1.1.json",
                "13cf57aea5a134cbca4fc7adc4cb527c760c649dec4c3cc0fb62542941e1f89f",
            ),
            _passes(
                "limassol_lat=34.65_lon=33.0805_r=7000_v=0.1.1.json",
                "be1e626a8fd6f7831edf786b6b9f4bbd298d6dfaeb4f79e7eff6c83c7e78ef81",
            ),
            _passes(
                "messina_lat=38.15_lon=15.58_r=7000_v=0.1.1.json",
                "73cb14ff08ac5abf718fdfef13ced5d132912f06f1e6c9ecdf70ec7a77b98c3e",
            ),
            _passes(
                "oresund_lat=55.6026_lon=12.7245_r=7000_v=0.1.1.json",
                "6040cb921e8467589221028288950b3a236a2ad0900946984f8ef945b197a4b4",
            ),
            _passes(
                "rotterdam_lat=51.92_lon=4.2_r=7000_v=0.1.1.json",
                "8d44db098ae510a1d5b8da9f47305c1d919643869141ee2999f2e8a6926595f7",
            ),
            _passes(
                "sines_lat=37.88_lon=-8.91_r=7000_v=0.1.1.json",
                "40277b57ad153e18ca4a6e20e4924dd6e96b9ccb50073eb92ed393c696b36435",
            ),
            _passes(
                "split_lat=43.44_lon=16.41_r=7000_v=0.1.1.json",
                "ec2047b463a8681c45058fb2f7ada50db86b2b07de5fdde8e53c0aa8c2243263",
            ),
            _passes(
                "st tropez_lat=43.261_lon=6.645_r=7000_v=0.1.1.json",
                "71db60ba1b5e03828c2ea7adbb7d214b0df98e1ab8615d185ae2a7f537cfb222",
            ),
            _passes(
                "tallin-helsinki_lat=60.12_lon=24.9_r=7000_v=0.1.1.json",
                "433a02c0d7ddd94391ec3d5e9fa6dada45dc7c2b1d8bfb34bda69422f07168d6",
            ),
            _passes(
                "venice_lat=45.445_lon=12.335_r=3000_v=0.1.1.json",
                "2263839fc5f1f0fdd5b3250cc817df0ac73c4862b702162907c521f3a3495054",
            ),
            _passes(
                "vigo_lat=42.23_lon=-8.77_r=7000_v=0.1.1.json",
                "c4a63e9940453e13db866de09cd7884e701392c162a6ab86f1c0e8c7c98b91e8",
            ),
        ),
    ),
    "sen2ships": Sample(
        title="Sentinel-2 scenes of the ports of Genoa, Santos and Valencia with hand-labelled vessels",
        licence="MIT; pixels: Copernicus Sentinel data, free and open",
        repository="ShipDetectionExperts/sen2ships",
        commit="d8e83c1a039ba2a0134e9585c2f2faee67a2cef4",
        files=(
            *_ships(
                "genoa",
                "2023-07-10",
                {
                    "B03": "c94dae92723c23d07b11f4702be597e33ef5589ceaab2e6cb78fb99ebbc2ddf3",
                    "B04": "e67253373fb0225502f33ccdc5c674afd3d881b085a1e2ff1b45db35457479b6",
                    "B08": "5167648aa357eae933ef2b536fb5a484729d618a3bd210f30d23d4726dd75c20",
                    "B11": "2b0c475b95a51e9ee7630260192ffbe270cae160dbfa0f4a004fc4bd5baa4c83",
                    "labels": "d7dbf137335bee6ce0686b3764e8430f5ab5eaf858841f9cd9ad9734aa10f842",
                },
            ),
            *_ships(
                "santos",
                "2023-07-25",
                {
                    "B03": "dafc1e5a72ad7cd7b889a45e4a8fe6a1162778fa9a16bd810ad6516ce5612093",
                    "B04": "e93311b10713d479f8607a75b5d4eaa0c43f0186aa9bd7ec618b3c673f25195c",
                    "B08": "4d2c4f76af943b0a2c9b08429e33aa2c539f919d546790f2261fe5d6561da103",
                    "B11": "7028051260a1ca640492d4dc609b813bb59b982774520ac0b9380d48bb1d0ef4",
                    "labels": "fc4517ceb3ecfc79dbb007d5c7187a9e6e30dd4683e843b6b605627c4237cc32",
                },
            ),
            *_ships(
                "valencia",
                "2023-08-23",
                {
                    "B03": "e60625b1257894f8252c15b687798d0541991a43abfec16aaacec809ba4f4a2e",
                    "B04": "5c79e89f38dd3eca4b22d700992886af1227999147c0fd8590305b7f0d1ca23e",
                    "B08": "6e098491213099020790622dfa34003fcac4b4e44a59dc7d6aa0da29d5196c8f",
                    "B11": "ed8a4e82a7321b0f889aa5e7a66d92fc413091c9df526315a2d34aa4180ce911",
                    "labels": "e316dd7c1c890f9c6c39612cf3befc067e7d3a578a61b925e7bdcc90b88b9bbd",
                },
            ),
        ),
    ),
    "westhinder-s1": Sample(
        title="Sentinel-1A GRD, VH, 1000 x 1000 pixels of the anchorage Westhinder off Belgium, 12 June 2022",
        licence="MIT; pixels: Copernicus Sentinel data, free and open",
        repository="AIRCentre/JuliaEO24",
        commit="4016a10717f326f6e927ad8a30e146a5ebe6604f",
        files=(
            _westhinder("manifest.safe", "89288b8cfbf3856c5ac6a8ea702fe2c45bc1f3d18204e06d0597dd8787f0fa27"),
            _westhinder(f"annotation/{_GRD}.xml", "d9137d690afef257fb9fc7ff5fec4ce58a473b42a292d73092c101a3bff595e1"),
            _westhinder(
                f"annotation/calibration/calibration-{_GRD}.xml",
                "8ce2ebf213e5d3a740021a17a5283f8aa4d6ef9454bb98561b57ac4fda354b14",
            ),
            _westhinder(
                f"annotation/calibration/noise-{_GRD}.xml",
                "410dd5a48ab7e3ffe48722b98b577547f5799ddf4e67cfed808a9f458893ad4f",
            ),
            _westhinder(
                f"measurement/{_GRD}.tiff",
                "d1680b9758613c04e18f8f0cf21622d301d01ddd7199bff5804e092306deef28",
                public="measurement/s1a-iw-grd-vv-20220612t173329-20220612t173354-043633-05359a-002.tiff",
            ),
        ),
    ),
}
