"""Documents of calls: OpenAPI and AsyncAPI documents, agent cards."""
