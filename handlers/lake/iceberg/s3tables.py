"""The catalog of a table bucket of S3 Tables, which speaks Iceberg's REST protocol."""

from functools import partial
from typing import TYPE_CHECKING

from pyiceberg.catalog.rest import RestCatalog

from handlers.aws import clients
from handlers.lake.iceberg.fileio import S3FileIO

if TYPE_CHECKING:
    from requests import Session

_SERVICE = "s3tables"
_TIMEOUT_SECONDS = (1, 20)  # to connect, and to wait for an answer


class S3TablesCatalog(RestCatalog):
    """pyiceberg's catalog over REST, whose requests would wait for ever."""

    def _create_session(self) -> "Session":
        session = super()._create_session()
        session.request = partial(session.request, timeout=_TIMEOUT_SECONDS)  # type: ignore[method-assign]
        return session


def properties(bucket_arn: str) -> dict[str, str]:
    """What the catalog of a table bucket is made with: calls are signed with the function's own credentials."""
    service = clients.client(_SERVICE).meta
    return {
        "uri": f"{service.endpoint_url}/iceberg",
        "warehouse": bucket_arn,
        "rest.sigv4-enabled": "true",
        "rest.signing-name": _SERVICE,
        "rest.signing-region": service.region_name,
        "rest.sigv4.max-retries": "2",  # of connections, ten of which would take the time of a round
        "py-io-impl": f"{S3FileIO.__module__}.{S3FileIO.__name__}",
    }


def s3_tables_catalog(bucket_arn: str) -> S3TablesCatalog:
    """A table bucket's catalog, which refuses the second of two commits.

    Raises:
        RESTError: S3 Tables refuses, or, as an error of `requests`, does not answer.
    """
    return S3TablesCatalog(_SERVICE, **properties(bucket_arn))
