"""Country codes: ISO 3166-1 alpha-2 and alpha-3, and the everyday names that Natural Earth abbreviates."""

from __future__ import annotations

import unicodedata

__all__ = ["ALIASES", "AMBIGUOUS", "ISO3_TO_NATURAL_EARTH", "iso2_to_iso3", "plain"]

# ISO 3166-1: alpha-2 followed by alpha-3.
_PAIRS = """
    ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE BABIH
    BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS BTBTN BVBVT
    BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB
    CVCPV CWCUW CXCXR CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP
    ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB
    GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL
    ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM
    KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY
    MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT
    MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU
    NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT
    REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR
    SNSEN SOSOM SRSUR SSSSD STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS
    TMTKM TNTUN TOTON TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN
    VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE
"""

# Natural Earth's ADM0_A3 is ISO 3166-1 alpha-3 but for these. N. Cyprus (CYN), Kosovo (KOS) and Somaliland
# (SOL) have no ISO code.
ISO3_TO_NATURAL_EARTH = {"ESH": "SAH", "PSE": "PSX", "SSD": "SDS", "XKX": "KOS"}

# A name that could mean more than one country is refused, even where Natural Earth gives it to one of them.
AMBIGUOUS = {"congo": ("COD", "COG"), "korea": ("KOR", "PRK")}

# Everyday and newer names, where Natural Earth's table has an abbreviation or an older one.
ALIASES = {
    "bosnia and herzegovina": "BIH",
    "burma": "MMR",
    "central african republic": "CAF",
    "czech republic": "CZE",
    "democratic republic of the congo": "COD",
    "dominican republic": "DOM",
    "dr congo": "COD",
    "east timor": "TLS",
    "equatorial guinea": "GNQ",
    "eswatini": "SWZ",
    "falkland islands": "FLK",
    "great britain": "GBR",
    "ivory coast": "CIV",
    "north macedonia": "MKD",
    "northern cyprus": "CYN",
    "republic of the congo": "COG",
    "russian federation": "RUS",
    "solomon islands": "SLB",
    "south sudan": "SDS",
    "the bahamas": "BHS",
    "the gambia": "GMB",
    "turkiye": "TUR",
    "uk": "GBR",
    "united states": "USA",
    "viet nam": "VNM",
    "western sahara": "SAH",
}


def plain(text: str) -> str:
    """Return a name in lower case, without accents and with single spaces, for comparing.

    Examples
    --------
    >>> plain(" Côte  d'Ivoire")
    "cote d'ivoire"
    """
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(bare.lower().replace("_", " ").split())


def iso2_to_iso3() -> dict[str, str]:
    """Return the alpha-3 code of each alpha-2 code of ISO 3166-1.

    Examples
    --------
    >>> iso2_to_iso3()["BI"]
    'BDI'
    """
    return {pair[:2]: pair[2:] for pair in _PAIRS.split()}
