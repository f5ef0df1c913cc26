"""Ray's token authentication: whether a cluster asks for a token, found out before Ray is imported.

Ray itself would try for half a minute, and then say that it can't connect. It reads its settings
when it is imported.
"""

import os
from pathlib import Path

import grpc

from datasets.errors import ConfigError

_MODE = "RAY_AUTH_MODE"
_TOKEN = "RAY_AUTH_TOKEN"
_ANSWER_S = 5.0
_ASK = "/ray.rpc.InternalKVGcsService/InternalKVKeys"


def agree_on_token(gcs: str) -> None:
    """Turn authentication on in this process where the cluster wants a token and there is one.

    `gcs` is the head's HOST:PORT. `ConfigError` says what keeps this user out. Whatever else is
    wrong with the address is left to Ray to say.
    """
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
    metadata = [("authorization", f"Bearer {token}")] if token else []
    direct = [("grpc.enable_http_proxy", 0)]  # as Ray's own connections
    with grpc.insecure_channel(gcs, options=direct) as channel:
        try:
            channel.unary_unary(_ASK)(b"", timeout=_ANSWER_S, metadata=metadata)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNAUTHENTICATED)
    return False
