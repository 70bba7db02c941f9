"""Callers of the API, good and bad: keys, tokens of an issuer of our own, AWS signatures."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import jwt
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.pipelines.lab import Lab

AUDIENCE = "ingestion-lab"
_KEY_ID = "key-1"
_WRITE, _READ, _OPERATE = "ingestion/write", "ingestion/read", "ingestion/operate"
ALL_SCOPES = f"{_READ} {_WRITE} {_OPERATE}"


class Caller(Protocol):
    """Whoever calls the API: what they show with a request."""

    def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """The headers."""


def shows(**headers: str) -> Caller:
    """A caller who shows the same with every request; header names have _ for -."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _method, _url, _body: given


def _bearer(token: str) -> Caller:
    """A caller with a token."""
    return shows(Authorization=f"Bearer {token}")


def _signer(credentials: Credentials) -> Caller:
    """A caller who signs with AWS credentials."""

    def sign(method: str, url: str, body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method, url, data=body)
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    return sign


def _session(lab: Lab, role: str, *, may: Mapping[str, str] | None) -> Credentials:
    """Credentials of a new role; `may` is its statement, None for a role that may do nothing."""
    iam, account = lab.client("iam"), "arn:aws:iam::000000000000"
    trust = {"Effect": "Allow", "Principal": {"AWS": f"{account}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=_document(trust))
    if may:
        iam.put_role_policy(RoleName=role, PolicyName="call", PolicyDocument=_document(may))
    given = lab.client("sts").assume_role(RoleArn=f"{account}:role/{role}", RoleSessionName="test")["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@cache
def _private_key(which: str) -> rsa.RSAPrivateKey:
    assert which
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issuer:
    """An issuer of tokens: its URL is what it puts into the claim iss."""

    url: str
    _claims: Mapping[str, Any] = field(default_factory=dict)

    def token(self, scope: str = "", *, key: str = "ours", **claims: Any) -> str:
        """A token as AWS wants it, but for what is said here."""
        return jwt.encode(self._all(scope, claims), _private_key(key), "RS256", headers={"kid": _KEY_ID})

    def unsigned(self, scope: str) -> str:
        """A token that says of itself that it needs no signature."""
        return jwt.encode(self._all(scope, {}), "", "none", headers={"kid": _KEY_ID})

    def confused(self, scope: str) -> str:
        """A token signed with the public key as if that were a shared secret."""
        public = _private_key("ours").public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        secret = public.public_bytes(serialization.Encoding.PEM, form)
        head = {"alg": "HS256", "typ": "JWT", "kid": _KEY_ID}
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (head, self._all(scope, {})))
        return b".".join([signed, _encoded(hmac.digest(secret, signed, hashlib.sha256))]).decode()

    def _all(self, scope: str, claims: Mapping[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "caller", "iat": now - 60, "exp": now + 600}
        return usual | ({"scope": scope} if scope else {}) | dict(claims)


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


@contextmanager
def issuer() -> Iterator[Issuer]:
    """A running issuer: its discovery document, and its public key."""
    public = json.loads(RSAAlgorithm.to_jwk(_private_key("ours").public_key()))
    documents = {"/keys": {"keys": [public | {"kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(documents.get(self.path)).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """No lines on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    documents["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/keys"}  # type: ignore[dict-item]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Issuer(url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_signatures(lab: Lab) -> dict[str, Caller]:
    """Callers with AWS credentials, by what they show."""
    api = f"arn:aws:execute-api:us-east-1:000000000000:{lab.outputs['ApiEndpoint'].rpartition('/')[2]}"
    entitled = _session(lab, "entitled", may={"Action": "execute-api:Invoke", "Resource": f"{api}/*"})
    one_route = {"Action": "execute-api:Invoke", "Resource": f"{api}/$default/POST/events"}
    right = _signer(entitled)
    return {
        "a signature with rights": right,
        "a signature with rights to POST /events": _signer(_session(lab, "submitter", may=one_route)),
        "a signature without rights": _signer(_session(lab, "stranger", may=None)),
        "a wrong signature": _signer(Credentials(entitled.access_key, "x" * 40, entitled.token)),
        "an unknown access key": _signer(Credentials("ASIAUNKNOWN000000000", "x" * 40, "y" * 40)),
        "a signature for another method": lambda _method, url, body: right("PATCH", url, body),
    }


def with_tokens(tokens: Issuer) -> dict[str, Caller]:
    """Callers with tokens, by what these are."""
    found = {
        "scope write": tokens.token(_WRITE),
        "scope read": tokens.token(_READ),
        "scope operate": tokens.token(_OPERATE),
        "all three scopes": tokens.token(ALL_SCOPES),
        "no scope": tokens.token(),
        "expired": tokens.token(ALL_SCOPES, exp=1_700_000_000),
        "not valid yet": tokens.token(ALL_SCOPES, nbf=4_000_000_000),
        "another issuer": tokens.token(ALL_SCOPES, iss="https://login.example"),
        "another audience": tokens.token(ALL_SCOPES, aud="another"),
        "signed by another key": tokens.token(ALL_SCOPES, key="theirs"),
        "unsigned (alg none)": tokens.unsigned(ALL_SCOPES),
        "HS256 with the public key": tokens.confused(ALL_SCOPES),
        "no token at all": "token",
    }
    return {shown: _bearer(token) for shown, token in found.items()}
