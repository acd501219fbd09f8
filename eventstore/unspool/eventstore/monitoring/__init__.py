"""What operators see of a process and of its store: metrics, health, services and queues."""
