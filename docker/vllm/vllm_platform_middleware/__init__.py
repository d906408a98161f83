"""What the image adds to vLLM: a log line for each request, readiness that ends before the drain, a filter, metrics on a port of their own.

`vllm serve --middleware=vllm_platform_middleware.Middleware`. It runs inside the engine's server and uses nothing
that vLLM does not bring.
"""

from vllm_platform_middleware.middleware import Middleware

__all__ = ["Middleware"]
