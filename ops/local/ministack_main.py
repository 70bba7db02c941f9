"""Starts the emulator with what it gets wrong, and can't be adapted to from outside, put right.

Run by the interpreter of the emulator's own environment, which knows nothing of this project. What is patched is
private to the pinned version; `tests/ops/test_emulator_s3.py` and `tests/ops/test_emulator_guards.py` show that it
works.
"""

from __future__ import annotations

import contextlib
import contextvars
import gc
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ministack import app as server
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import _dynamodb_keywords, eventbridge, lambda_svc, s3, sqs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

Answer = tuple[int, dict[str, str], bytes]

_ADMIN = ("/_ministack", "/_localstack")
_API = "/_aws/execute-api/"
_CHANGES = "/_lab/changes"
# In the user agents of our own tools, which need not be told of what they do.
_DEPLOYER = b"ingestion-lab-deployer"
_CLOUDWATCH = b"ingestion-lab-cloudwatch"
_INIT = "Worker init failed: "
_FAILURES = ("Traceback (most recent call last):", "Task timed out after ", "Worker process died")

# What changes no resource: reads, and the use of what there is. Whatever is not known to be such is taken for a change.
_READS = ("BatchGet", "Describe", "Filter", "GET", "Get", "Head", "List", "Query", "Receive", "Scan")
_USES = frozenset(
    {
        *("cloudwatch:PutMetricData", "cloudwatch:SetAlarmState", "events:PutEvents", "lambda:InvokeFunction"),
        *("dynamodb:BatchExecuteStatement", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem"),
        *("dynamodb:TransactWriteItems", "dynamodb:UpdateItem", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"),
        *("logs:CreateLogStream", "logs:PutLogEvents", "logs:StartQuery", "s3:DeleteObject", "s3:PutObject"),
        *("sns:Publish", "sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch", "sqs:DeleteMessage"),
        *("sqs:DeleteMessageBatch", "sqs:SendMessage", "sqs:SendMessageBatch", "sts:AssumeRole"),
    }
)

_EVENT_AGE_SECONDS = 6 * 3600
_LONGEST_PAUSE_SECONDS = 8
_START_SECONDS = 0.5  # what the start of a process takes before the first has shown it
_STARTS_SECONDS = 5.0  # to wait while others of the same function start: one of them may be free first
_LOOK_SECONDS = 0.005
_IDLE_SECONDS = 120.0  # longer than from one tick of a schedule to the next
_FORK_SECONDS = 60.0  # the first has to wait until the SDK is loaded, on a busy laptop
_LOADED = ("boto3", "botocore", "s3transfer", "urllib3")

_extracting = threading.Lock()
_leasing = threading.Lock()
_get_object = s3._get_object  # noqa: SLF001 - see above
_serve = server.app
_enforce_api = server._enforce_execute_api  # noqa: SLF001
_execute = lambda_svc._execute_function_warm  # noqa: SLF001
_execute_any = lambda_svc._execute_function  # noqa: SLF001
_acquire = lambda_svc.acquire_worker
_spawn = lambda_runtime.Worker._spawn  # noqa: SLF001
_action = iam_actions.extract_iam_action
_parse = iam_evaluator.parse_policy_document
_collect = sqs._collect_msgs  # noqa: SLF001


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
    if scope["type"] != "http":
        await _serve(scope, receive, send)
    elif _is_foreign(scope):
        refusal = {"message": "Forbidden: the laptop's AWS answers programs of this machine only"}
        await _answer(send, 403, refusal)
    elif scope["path"] == _CHANGES:
        await _answer(send, 200, _changes.as_json())
    else:
        await _changes.serve(scope, _serve(scope, receive, send))


async def _answer(send: Callable[[dict[str, Any]], Awaitable[None]], status: int, document: Mapping[str, Any]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Changes:
    """What has been going on, in this life of the emulator, for those who would else have to look at all of it.

    `changes` is how often anything may have changed a resource: while it stays, none has. A call counts unless it is
    known to change nothing, and unless it is the deployer's, who knows what he does. `open` is how many are being
    served that may yet count.

    `work` counts what begins and ends: calls, but for those of the laptop's CloudWatch, and invocations. While it stays
    and nothing is `busy`, nothing happens but that messages become visible.
    """

    def __init__(self) -> None:
        self._life = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._changes = self._open = self._work = self._busy = 0
        self._may_change: contextvars.ContextVar[list[bool]] = contextvars.ContextVar("may_change")

    def as_json(self) -> dict[str, Any]:
        """As it is told."""
        with self._lock:
            told = {"changes": self._changes, "open": self._open, "work": self._work, "busy": self._busy}
        return {"life": self._life} | told

    async def serve(self, scope: Mapping[str, Any], serving: Awaitable[None]) -> None:
        """Serve a request, and count it also where it fails."""
        may_change = [not _is_harmless(scope)]
        token = self._may_change.set(may_change)
        is_work = not _is_from(scope, _CLOUDWATCH)
        self._count(opened=int(may_change[0]), begun=is_work)
        try:
            await serving
        finally:
            self._may_change.reset(token)
            self._count(opened=-int(may_change[0]), changed=may_change[0], ended=is_work)

    def recognise(self, action: str | None) -> None:
        """Hear which action of AWS's the request is that is being served."""
        may_change = self._may_change.get([False])
        verb = (action or "").partition(":")[2]
        if may_change[0] and (action in _USES or verb.startswith(_READS)):
            may_change[0] = False
            self._count(opened=-1)

    def execute(self, function: dict[str, Any], event: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Invoke."""
        self._count(begun=True)
        try:
            result: dict[str, Any] = _execute_any(function, event)
        finally:
            self._count(ended=True)
        return result

    def _count(self, *, opened: int = 0, changed: bool = False, begun: bool = False, ended: bool = False) -> None:
        with self._lock:
            self._open += opened
            self._changes += changed
            self._work += begun + ended
            self._busy += begun - ended


_changes = _Changes()


def _is_harmless(scope: Mapping[str, Any]) -> bool:
    """Whether a request changes no resource, whichever action it is."""
    method, path = scope["method"], scope["path"]
    if method in ("HEAD", "OPTIONS") or path.startswith(_API) or (method == "GET" and path.startswith(_ADMIN)):
        return True
    return _is_from(scope, _DEPLOYER)


def _is_from(scope: Mapping[str, Any], agent: bytes) -> bool:
    return any(name == b"user-agent" and agent in value for name, value in scope["headers"])


def _extract_noted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
    """Name the action that a request is, as IAM has it."""
    action = _action(*arguments, **more)
    _changes.recognise(action)
    return action


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


def _acquire_sparingly(name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST", **more: Any) -> Any:  # noqa: ANN401 - as it is called
    """Lease a process: one that is free or about to be, else a new one, for which idle ones of others may have to go.

    A laptop's cores start processes one after the other, while AWS starts as many as there are calls: of a burst most
    are answered by the processes that there are before a new one could begin. So a call waits as long as a start takes.
    """
    key = lambda_runtime._worker_key(name, config, qualifier)  # noqa: SLF001
    began = time.monotonic()
    while True:
        with _leasing:
            if _is_due(lambda_runtime._workers.get(key, ()), time.monotonic() - began):  # noqa: SLF001
                worker, reason = _acquire(name, config, code, qualifier=qualifier, **more)
                break
        time.sleep(_LOOK_SECONDS)
    if reason == "spawn":
        lambda_runtime.kill_workers(_surplus())
    return worker, reason


def _is_due(pool: Iterable[lambda_runtime.Worker], waited: float) -> bool:
    """Whether to lease now, for whoever has waited so many seconds."""
    busy = list(pool)
    if not busy or not all(worker.in_use for worker in busy) or waited > _STARTS_SECONDS:
        return True
    is_starting = any(worker._start_time is None for worker in busy)  # noqa: SLF001
    return waited >= _starts.seconds and not is_starting


_starts = SimpleNamespace(seconds=_START_SECONDS)  # how long the last start of a process took


def _spawn_timed(worker: lambda_runtime.Worker) -> None:
    """Start a process."""
    began = time.monotonic()
    _spawn(worker)
    _starts.seconds = time.monotonic() - began


def _surplus() -> list[lambda_runtime.Worker]:
    """Takes the idle processes that are too many out of their pools, the longest idle first."""
    with lambda_runtime._lock:  # noqa: SLF001
        pools = lambda_runtime._workers  # noqa: SLF001
        idle = sorted((w for pool in pools.values() for w in pool if not w.in_use), key=lambda w: w.last_used)
        limit = lambda_svc._ACCOUNT_CONCURRENCY_CAP  # noqa: SLF001 - no more can be busy
        surplus = idle[: max(sum(map(len, pools.values())) - limit, 0)]
        for key, pool in pools.items():
            pools[key] = [one for one in pool if one not in surplus]
    return surplus


def _reap_idle(ttl: float | None = None) -> int:
    """End the processes that have been idle for long, the last one of a function as well; how many there were."""
    with lambda_runtime._lock:  # noqa: SLF001
        pools, since = lambda_runtime._workers, time.time() - (ttl or _IDLE_SECONDS)  # noqa: SLF001
        idle = [one for pool in pools.values() for one in pool if not one.in_use and one.last_used < since]
        for key, pool in list(pools.items()):
            pools[key] = [one for one in pool if one not in idle]
    lambda_runtime.kill_workers(idle)
    return len(idle)


class _Forked:
    """A process of a function, as `subprocess.Popen` would have it; `alive` closes when it ends."""

    def __init__(self, pid: int, alive: int, standard: tuple[int, int, int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._alive = alive
        self.stdin = os.fdopen(standard[0], "w", buffering=1, encoding="utf-8")
        self.stdout = os.fdopen(standard[1], encoding="utf-8")
        self.stderr = os.fdopen(standard[2], encoding="utf-8")
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """None while it lives; how it has ended is not known, and nobody asks."""
        with self._lock:
            return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it has not come in time.
        """
        ended = self._ended(timeout)
        if ended is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return ended

    def terminate(self) -> None:
        """End it politely."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._alive, select.POLLIN | select.POLLHUP)
            if poll.poll(None if timeout is None else timeout * 1000):
                self.returncode = -1
        return self.returncode

    def __del__(self) -> None:
        os.close(self._alive)


class _Forks:
    """Starts processes of functions by forking one that has the SDK loaded, which most of a start is spent on.

    On Linux; elsewhere, and where a function brings a package of its own that is loaded there, or settings of Python's,
    they are started as the emulator does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._names = Path(tempfile.gettempdir()) / "functions"

    def begin(self) -> None:
        """Start the one that is forked."""
        if sys.platform != "linux":
            return
        self._names.mkdir(exist_ok=True)
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", str(Path(__file__).with_name("function_fork.py")), str(theirs.fileno())]
        subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._requests.settimeout(_FORK_SECONDS)

    def start(self, command: list[str], **options: Any) -> Any:  # noqa: ANN401 - as it is called
        """In place of `subprocess.Popen`."""
        if command[0] == sys.executable and self._suits(Path(options["cwd"]), options["env"]):
            with contextlib.suppress(OSError):
                return self._fork(command[1], options["cwd"], options["env"])
        return subprocess.Popen(command, **options)

    def _suits(self, code: Path, environment: Mapping[str, str]) -> bool:
        layers = [Path(layer) / "python" for layer in environment.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)]
        own = any((folder / name).exists() for folder in (code, *layers) for name in (*_LOADED, "lib"))
        settings = {name: value for name, value in environment.items() if name.startswith("PYTHON")}
        return not own and settings == {name: os.environ[name] for name in os.environ if name.startswith("PYTHON")}

    def _fork(self, script: str, folder: str, environment: Mapping[str, str]) -> _Forked:
        request = json.dumps({"script": script, "folder": folder, "environment": dict(environment)}).encode()
        pipes = [os.pipe() for _ in range(4)]
        (their_in, our_in), (our_out, their_out), (our_err, their_err), (alive, living) = pipes
        theirs = [their_in, their_out, their_err, living]
        try:
            pid = self._ask(request, theirs)
        except OSError:
            for one in (our_in, our_out, our_err, alive):
                os.close(one)
            raise
        finally:
            for one in theirs:
                os.close(one)
        (self._names / str(pid)).write_text(environment["AWS_LAMBDA_FUNCTION_NAME"], encoding="utf-8")
        return _Forked(pid, alive, (our_in, our_out, our_err))

    def _ask(self, request: bytes, descriptors: list[int]) -> int:
        with self._lock:
            if self._requests is None:
                raise BrokenPipeError
            try:
                socket.send_fds(self._requests, [request], descriptors)
                return int(self._requests.recv(64))
            except (OSError, ValueError) as error:  # it is gone, or has become something else: never again
                self._requests.close()
                self._requests = None
                raise BrokenPipeError from error


_forks = _Forks()


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


def _parse_once(document: str | dict[str, Any]) -> list[Any]:
    """Read a policy; the emulator reads all of a caller's, twice, at each of his calls."""
    return list(_parsed(document) if isinstance(document, str) else _parse(document))


_parsed = lru_cache(maxsize=256)(_parse)


def _collect_first(queue: dict[str, Any], most: int, hidden_seconds: int) -> list[dict[str, Any]]:
    """Receive the first visible messages of a queue; the emulator completes each message of it at every receive."""
    if queue["is_fifo"]:
        collected: list[dict[str, Any]] = _collect(queue, most, hidden_seconds)
        return collected
    now = time.time()
    first = list(islice((one for one in queue["messages"] if one["visible_at"] <= now), most))
    return _collect({"is_fifo": False, "messages": first}, most, hidden_seconds) if first else []


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
    lambda_svc._execute_function = _changes.execute  # noqa: SLF001
    lambda_svc.acquire_worker = _acquire_sparingly
    iam_actions.extract_iam_action = _extract_noted
    iam_evaluator.parse_policy_document = _parse_once
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda  # noqa: SLF001
    lambda_svc.reap_idle_workers = _reap_idle
    sqs._collect_msgs = _collect_first  # noqa: SLF001
    lambda_runtime.Worker._spawn = _spawn_timed  # noqa: SLF001
    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _forks.start})
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": _Shared})
    lambda_runtime._PYTHON_WORKER_SCRIPT = _tell_where(lambda_runtime._PYTHON_WORKER_SCRIPT)  # noqa: SLF001
    # A worker's statements are few, and each is read twice a call: a seventh of what a full queue costs the emulator.
    _dynamodb_keywords._tokenize = lru_cache(maxsize=256)(_dynamodb_keywords._tokenize)  # noqa: SLF001
    _forks.begin()
    gc.freeze()  # its modules stay, and looking for garbage among them is a twelfth of its work
    gc.set_threshold(20_000, 10, 10)
    sys.exit(server.main())
