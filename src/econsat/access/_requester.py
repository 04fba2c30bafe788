"""S3 buckets whose readers pay: addresses, and signatures of version 4 made by botocore."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from econsat.access._signed import Signed
from econsat.access.redact import brief, unsigned
from econsat.errors import CredentialsError, ParameterError

__all__ = ["RequesterPays"]

# docs.aws.amazon.com, "Bucket naming rules" and "Virtual hosting of buckets".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3(?:[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]))?\.amazonaws\.com"
)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
# docs.aws.amazon.com, "Using Requester Pays buckets": the header by which a reader agrees to pay.
_PAYER = {"x-amz-request-payer": "requester"}


class RequesterPays:
    """Made by `econsat.access.signing.requester_pays`.

    Parameters
    ----------
    region : str, mapping or None
        Region, or regions by bucket.
    buckets : frozenset of str or None
        Only these.
    profile : str or None
        Profile of the AWS configuration.
    """

    def __init__(
        self,
        region: str | Mapping[str, str] | None,
        *,
        buckets: frozenset[str] | None,
        profile: str | None,
    ) -> None:
        if find_spec("botocore") is None:
            raise ParameterError(
                "buckets whose readers pay need the package botocore: pip install 'econsat[requester-pays]'"
            )
        regions = dict(region) if isinstance(region, Mapping) else {} if region is None else {"*": region}
        wrong = [each for each in regions.values() if not isinstance(each, str) or not _REGION.fullmatch(each)]
        if wrong:
            raise ParameterError(f"region has {wrong[0]!r}: a region of AWS is needed, such as 'us-west-2'")
        self._regions, self._buckets, self._profile = regions, buckets, profile
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._credentials: Any = None

    def __repr__(self) -> str:
        return f"requester_pays({self._regions.get('*', dict(self._regions) or None)!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A worker finds its own credentials: they do not travel.
        return {name: getattr(self, name) for name in ("_regions", "_buckets", "_profile")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def owns(self, href: str) -> bool:
        """Say whether an address is in one of the buckets."""
        found = _object(href)
        return found is not None and (self._buckets is None or found[0] in self._buckets)

    def unsign(self, href: str) -> str:
        """Return the address without a signature."""
        return unsigned(href)

    def address(self, href: str) -> str:
        """Return the https address of an object, without a signature.

        Raises
        ------
        ParameterError
            The bucket's region is not known.
        """
        found = _object(href)
        if found is None:
            return href
        bucket, key, stated, query = found
        region = self._region(bucket, stated)
        path = quote(key, safe="/~")
        # Amazon's certificate holds for one label before .s3: a bucket with dots goes into the path.
        host = f"s3.{region}.amazonaws.com/{bucket}" if "." in bucket else f"{bucket}.s3.{region}.amazonaws.com"
        return f"https://{host}/{path}" + (f"?{query}" if query else "")

    def sign(self, href: str, *, fresh: bool = False) -> Signed:
        """Return the https address and the headers that sign and pay for one GET request."""
        if not self.owns(href):
            return Signed(href)
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        found = _object(href)
        assert found is not None
        region = self._region(found[0], found[2])
        address = self.address(href)
        # The body is empty, so its hash need not be sent; `Range` is added later and is no part of what is signed.
        request = AWSRequest("GET", address, headers=dict(_PAYER))
        S3SigV4Auth(self._frozen(fresh), "s3", region).add_auth(request)
        return Signed(address, dict(request.headers.items()))

    def _region(self, bucket: str, stated: str) -> str:
        known = self._regions.get(bucket) or self._regions.get("*") or stated
        if not known:
            with self._lock:
                known = self._configuration().get_config_variable("region") or ""
        if not known:
            raise ParameterError(
                f"the region of bucket {bucket!r} is not known: pass region= to requester_pays, for instance "
                f"{{{bucket!r}: 'us-west-2'}}"
            )
        return str(known)

    def _configuration(self) -> Any:
        import botocore.session

        if self._session is None:
            self._session = botocore.session.Session(profile=self._profile)
        return self._session

    def _frozen(self, fresh: bool) -> Any:
        from botocore.exceptions import BotoCoreError

        failure = "none were found"
        with self._lock:
            try:
                if self._credentials is None or fresh:
                    self._session = None if fresh else self._session
                    self._credentials = self._configuration().get_credentials()
                if self._credentials is not None:
                    return self._credentials.get_frozen_credentials()
            except BotoCoreError as error:
                failure = brief(error)
        raise CredentialsError(
            f"requester_pays needs AWS credentials, and {failure}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "make a profile (`aws configure`) and pass profile=; what you read is charged to that account"
        )


def _object(href: str) -> tuple[str, str, str, str] | None:
    """Return bucket, key (plain), region as far as the address says it, and the query."""
    if any(ord(c) < 33 and c != " " for c in href):
        return None
    if href[:5].lower() == "s3://":
        # A key is not an address: `?` and `#` may be letters of it, and nothing in it is escaped.
        bucket, _, key = href[5:].partition("/")
        return (bucket, key, "", "") if _BUCKET.fullmatch(bucket) and key else None
    try:
        parts = urlsplit(href)
        port = parts.port
    except ValueError:
        return None
    match = _HOST.fullmatch((parts.hostname or "").lower())
    if match is None or parts.scheme.lower() != "https" or port not in (None, 443) or parts.username or parts.password:
        return None
    if "x-amz-signature=" in parts.query.lower():
        # Signed already, by somebody else.
        return None
    path = unquote(parts.path).lstrip("/")
    bucket, key = (match["bucket"], path) if match["bucket"] else path.partition("/")[::2]
    if not _BUCKET.fullmatch(bucket) or not key:
        return None
    return bucket, key, match["region"] or "", parts.query
