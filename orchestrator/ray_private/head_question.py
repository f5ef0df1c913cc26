"""A question that a head answers at once, asked before Ray is imported.

Ray's own ways in, `ray.init` and the `ray` program, try for half a minute and more, and each reads
its token when it is imported.
"""

import grpc

# Any of the head's would do; this one's answer is short.
ASK = "/ray.rpc.InternalKVGcsService/InternalKVKeys"


def ask_head(gcs: str, token: str | None, timeout_s: float) -> None:
    """Return if the head at HOST:PORT answers one who shows a token, or none.

    Raises `grpc.RpcError`: UNAUTHENTICATED where the head wants another token, else whatever keeps
    an answer from coming.
    """
    metadata = [("authorization", f"Bearer {token}")] if token else []
    direct = [("grpc.enable_http_proxy", 0)]  # as Ray's own connections
    with grpc.insecure_channel(gcs, options=direct) as channel:
        try:
            channel.unary_unary(ASK)(b"", timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:  # a long answer is one
                raise
