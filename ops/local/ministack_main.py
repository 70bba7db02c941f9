"""Starts the emulator with what it gets wrong, and can't be adapted to from outside, put right.

Run by the interpreter of the emulator's own environment, which knows nothing of this project. What is patched is
private to the pinned version; `tests/ops/test_emulator_s3.py` and `tests/ops/test_emulator_guards.py` show that it
works.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ministack import app as server
from ministack.core import lambda_runtime
from ministack.services import eventbridge, lambda_svc, s3

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Answer = tuple[int, dict[str, str], bytes]

_ADMIN = ("/_ministack", "/_localstack")
_API = "/_aws/execute-api/"
_INIT = "Worker init failed: "
_FAILURES = ("Traceback (most recent call last):", "Task timed out after ", "Worker process died")

_EVENT_AGE_SECONDS = 6 * 3600
_LONGEST_PAUSE_SECONDS = 8

_extracting = threading.Lock()
_get_object = s3._get_object  # noqa: SLF001 - see above
_serve = server.app
_enforce_api = server._enforce_execute_api  # noqa: SLF001
_execute = lambda_svc._execute_function_warm  # noqa: SLF001
_acquire = lambda_svc.acquire_worker


def _get_range(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
    """GetObject that minds Range also where a version is named; the emulator sends all of it."""
    answer: Answer = _get_object(bucket, key, headers, query)
    status, told, body = answer
    if status != 200 or "range" not in headers or not s3._qp(query or {}, "versionId"):  # noqa: SLF001
        return answer
    span = s3._parse_range(headers["range"], len(body))  # noqa: SLF001
    if span is None:
        refusal = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
        return 416, refusal, s3._xml_body(s3._range_error_xml(bucket, key))  # noqa: SLF001
    first, last = span
    # checksums are those of the whole object, and would not match
    kept = {name: value for name, value in told.items() if not name.lower().startswith("x-amz-checksum")}
    kept["Content-Length"] = str(last + 1 - first)
    kept["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return 206, kept, body[first : last + 1]


async def _guarded(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Refuse what a page of the web makes a browser ask for: the emulator asks nobody who he is, not even for a reset.

    The API decides itself which pages may call it, by its CORS configuration.
    """
    if scope["type"] != "http" or not _is_foreign(scope):
        await _serve(scope, receive, send)
        return
    body = json.dumps({"message": "Forbidden: the laptop's AWS answers programs of this machine only"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_foreign(scope: Mapping[str, Any]) -> bool:
    if scope["path"].startswith(_API):
        return False
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = _hostname("//" + headers.get("host", "127.0.0.1"))
    if not _is_loopback(host):  # a name of the web that leads here
        return True
    if ".execute-api." in host and not scope["path"].startswith(_ADMIN):
        return False
    if headers.get("sec-fetch-site") == "cross-site":  # of a picture, say, which has no origin
        return True
    return "origin" in headers and not _is_loopback(_hostname(headers["origin"]))


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")


def _enforce_signature(*call: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
    """Refuse what is no AWS signature where the route asks for one; the emulator takes any other for none."""
    api, stage, method, path, headers, *_ = call
    given = headers.get("authorization", "")
    if given and not given.startswith("AWS4-HMAC-SHA256 "):
        wanted = server._execute_api_authorization_type(api, stage, method, path)  # noqa: SLF001
        if wanted == "AWS_IAM":
            return 403, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'
    return _enforce_api(*call, **more)


def _execute_told(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Invoke, and leave a failure in the function's log; the emulator keeps those of the init phase to itself."""
    result: dict[str, Any] = _execute(function, event, request_id)
    lines = result.get("log", "").splitlines()
    if result.get("error") and not any(line.startswith(_FAILURES) for line in lines):
        body = result["body"]
        message = body["errorMessage"]
        result["log"] = "\n".join([*lines, f"[ERROR] Runtime.ExitError: {message}"])
        if message.startswith(_INIT):  # with a traceback, see `_tell_where`; the caller gets its last line
            body["errorMessage"] = _INIT + message.splitlines()[-1]
    return result


def _acquire_within_limit(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
    """Lease a process, ending idle ones of other functions where there are too many."""
    worker, reason = _acquire(*arguments, **more)
    if reason == "spawn":
        with lambda_runtime._lock:  # noqa: SLF001
            pools = lambda_runtime._workers  # noqa: SLF001
            idle = sorted((w for pool in pools.values() for w in pool if not w.in_use), key=lambda w: w.last_used)
            limit = lambda_svc._ACCOUNT_CONCURRENCY_CAP  # noqa: SLF001 - no more can be busy
            surplus = idle[: max(sum(map(len, pools.values())) - limit, 0)]
            for key, pool in pools.items():
                pools[key] = [one for one in pool if one not in surplus]
        lambda_runtime.kill_workers(surplus)
    return worker, reason


def _dispatch_to_lambda(arn: str, payload: str) -> None:
    """Invoke the target of a rule as Lambda's own queue does, which keeps an event that is refused for want of room.

    The emulator loses it. Each waits by itself, at growing intervals.
    """
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
    if not function or not config:
        return
    record = lambda_svc._execution_record_for_config(function, config)  # noqa: SLF001
    threading.Thread(target=_until_taken, args=(record, json.loads(payload)), daemon=True).start()


def _until_taken(record: dict[str, Any], event: Any) -> None:  # noqa: ANN401 - any JSON
    waited, pause = 0.0, 0.25
    while lambda_svc._execute_function_with_config_scope(record, event).get("throttle"):  # noqa: SLF001
        if waited > _EVENT_AGE_SECONDS:
            return
        time.sleep(pause)
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS)


class _Shared(zipfile.ZipFile):
    """A zip that is extracted once, however many processes run what is in it: a thousand files each are slow to remove.

    As in Lambda, a function's own code is not for it to change.
    """

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:  # noqa: ANN401
        """Put a link to what has been extracted in place of the empty folder, and remove the zip."""
        archive = Path(str(self.filename))
        shared = Path(tempfile.gettempdir()) / f"code-{hashlib.sha256(archive.read_bytes()).hexdigest()[:32]}"
        with _extracting:
            if not shared.exists():
                partial = tempfile.mkdtemp()
                super().extractall(partial, members, pwd)
                Path(partial).rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)
        archive.unlink()


def _tell_where(script: str) -> str:
    """The program of a function's process, with the traceback of a failed import in place of its bare message."""
    bare = 'json.dumps({"status": "error", "error": str(e)})'
    if script.count(bare) != 1:
        raise RuntimeError("this is another version of the emulator: its worker script has changed")
    return script.replace(bare, 'json.dumps({"status": "error", "error": traceback.format_exc()})')


if __name__ == "__main__":
    s3._get_object = _get_range  # noqa: SLF001
    server.app = _guarded
    server._enforce_execute_api = _enforce_signature  # noqa: SLF001
    lambda_svc._execute_function_warm = _execute_told  # noqa: SLF001
    lambda_svc.acquire_worker = _acquire_within_limit
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda  # noqa: SLF001
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": _Shared})
    lambda_runtime._PYTHON_WORKER_SCRIPT = _tell_where(lambda_runtime._PYTHON_WORKER_SCRIPT)  # noqa: SLF001
    sys.exit(server.main())
