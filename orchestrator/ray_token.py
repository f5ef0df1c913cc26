"""Whether a head answers, and asks for a token: found out before Ray is imported.

Ray itself would try for half a minute, of another server for a quarter of an hour, and then say
that it can't connect. It reads its settings, the token's among them, when it is imported.
"""

import os
from pathlib import Path

import grpc

from datasets.errors import ConfigError
from orchestrator.ray_private.head_question import ask_head

_MODE = "RAY_AUTH_MODE"
_TOKEN = "RAY_AUTH_TOKEN"
_ANSWER_S = 20.0  # a head under load takes seconds


def agree_on_token(gcs: str) -> None:
    """Turn authentication on in this process where the cluster wants a token and there is one.

    `gcs` is the head's HOST:PORT. `ConfigError` says what keeps this user out, or that there is no
    head. With TLS, which Ray has certificates of its own for, all is left to Ray to find.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return
    if not _refuses(gcs, token=None):
        return
    if os.environ.get(_MODE, "token") != "token":
        raise ConfigError(
            f"the cluster at {gcs} asks for a token, and {_MODE}={os.environ[_MODE]} is set here: "
            "unset it"
        )
    token, origin = _own_token()
    if not token:
        raise ConfigError(
            f"the cluster at {gcs} asks for a token, and there is none in {origin}: put the head "
            "node's ~/.ray/auth_token there, with mode 600"
        )
    if _refuses(gcs, token):
        mend = "put the head node's ~/.ray/auth_token there, with mode 600"
        if origin == _TOKEN:
            mend = "give it what the head node's ~/.ray/auth_token holds, or unset it"
        raise ConfigError(
            f"the cluster at {gcs} asks for another token than that of {origin}: {mend}"
        )
    os.environ[_MODE] = "token"


def _own_token() -> tuple[str, str]:
    """The token that Ray would take, and where it is from (docs.ray.io, "Token authentication")."""
    if token := os.environ.get(_TOKEN, "").strip():
        return token, _TOKEN
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text(encoding="utf-8").strip(), str(path)
    except (OSError, UnicodeDecodeError):
        return "", str(path)


def _refuses(gcs: str, token: str | None) -> bool:
    """Whether the head turns a question away for its token, or for the want of one."""
    try:
        ask_head(gcs, token, _ANSWER_S)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise _no_head(gcs, error) from error
        return True
    return False


def _no_head(gcs: str, error: grpc.RpcError) -> ConfigError:
    """It does not listen, is silent, or is another of Ray's servers or none of Ray's."""
    why = " ".join(str(error.details()).split()).rpartition("last error: ")[2]
    return ConfigError(
        f"no Ray cluster answers at {gcs} ({error.code().name}: {why}): give --address the head "
        "node's HOST:PORT as `ray start` prints it, 6379 if it was not told another, from a "
        "machine that may reach it"
    )
