"""`run: container`: containers of Docker or Podman, over the HTTP API that both have."""
