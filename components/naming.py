"""Physical names that people and other tools refer to; Pulumi generates all others."""

import re

_ROLE_PREFIX_LENGTH = 38  # what IAM's 64 leave once the provider has added its 26 unique digits
_BUCKET_PREFIX_LENGTH = 37  # what S3's 63 leave


def function_log_group(project: str, stack: str, function: str) -> str:
    """The log group of a function, under the prefix that log tools search.

    It exists before the function does, so it can't carry the function's generated name.
    """
    return f"/aws/lambda/{project}-{stack}-{function}"


def access_log_group(project: str, stack: str, api: str) -> str:
    """The log group of an API, under the prefix for which AWS needs only one delivery policy."""
    return f"/aws/vendedlogs/{project}-{stack}-{api}"


def log_group_patterns(project: str, stack: str) -> tuple[str, str]:
    """Patterns of all log groups above, for policies."""
    return function_log_group(project, stack, "*"), access_log_group(project, stack, "*")


def alarm(stack: str, name: str, pipeline: str = "") -> str:
    """An alarm of a pipeline or of the whole stack, as notifications and composite alarms show it."""
    return "-".join(part for part in (dashboard(stack), pipeline, name) if part)


def dashboard(stack: str) -> str:
    """The dashboard, as the console lists it."""
    return f"IngestionLab-{stack}"


def metric_namespace(stack: str) -> str:
    """The namespace of the metrics that the stack's own functions and filters make."""
    return f"IngestionLab/{stack}"


def saved_query(project: str, stack: str, name: str) -> str:
    """A saved query of Logs Insights; the console shows the slashes as folders."""
    return f"{project}/{stack}/{name}"


def of_arn(arn: str) -> str:
    """The name at the end of an ARN."""
    return arn.rpartition(":")[2]


def failure_mode_parameter(stack: str) -> str:
    """The parameter of the failure lab when the configuration gives none; `local` and `dev` have the short name."""
    return "/ingestion/failure_mode" if stack in {"local", "dev"} else f"/ingestion/{stack}/failure_mode"


def role_prefix(prefix: str, role: str) -> str:
    """The start of a role's name: the organization's prefix, and as much of the role as fits."""
    return f"{prefix}{role}-"[:_ROLE_PREFIX_LENGTH]


def bucket_prefix(project: str, stack: str, role: str) -> str:
    """The start of a globally unique bucket name: the role, and as much of project and stack as fits."""
    whose = re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")
    return f"{whose[: _BUCKET_PREFIX_LENGTH - len(role) - 2].rstrip('-')}-{role}-"


def key_alias(project: str, stack: str) -> str:
    """The alias of the stack's customer key when the configuration gives none."""
    return f"alias/{project}-{stack}"
