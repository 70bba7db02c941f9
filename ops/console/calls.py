"""Calls of the stack's API whose refusals belong to the fields of a form."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.cli.api import Answer, ApiClient, ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.cli.target import Target


def get(found: Target, path: str) -> Answer:
    """Ask the API.

    Raises:
        OSError: no answer.
        CredentialsError: the environment does not hold what the API wants to see.
    """
    client = ApiClient(found.api, found.identity)
    try:
        return client.get(path)
    finally:
        client.close()


def find(found: Target, path: str) -> Any:  # noqa: ANN401 - any JSON
    """What the API has at a path; None where it has nothing there.

    Raises:
        ApiError: it did not say; that is no answer.
        OSError, CredentialsError: as `get` does.
    """
    answer = get(found, path)
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    must_be(answer, HTTPStatus.OK)
    return answer.body


def must_be(answer: Answer, *statuses: int) -> None:
    """Let one of these pass.

    Raises:
        ApiError: it is another.
    """
    if answer.status not in statuses:
        raise ApiError(f"the API refused: {'; '.join(refusals(answer, {}).values())}")


def post(found: Target, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Tell the API something, once.

    Raises:
        OSError: no answer; the API may have taken it all the same.
        CredentialsError: the environment does not hold what the API wants to see.
    """
    client = ApiClient(found.api, found.identity)
    try:
        return client.post(path, body, dict(headers or {}))
    finally:
        client.close()


def refusals(answer: Answer, fields: Mapping[str, str]) -> dict[str, str]:
    """Why the API has refused, by field of the form; "" has what belongs to none.

    `fields` are the form's by JSON pointer into what was sent.
    """
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, dict) else {}
    found: dict[str, str] = {}
    for detail in body.get("details", []):
        field = fields.get(detail["pointer"], "")
        told = detail["message"] if field else f"{detail['pointer']} {detail['message']}".strip()
        found[field] = f"{found[field]}; {told}" if field in found else told
    if not found:
        found[""] = f"{body.get('error') or body.get('message') or 'The API refused'} ({answer.status})"
    return found
