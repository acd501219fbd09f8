"""Message brokers: one port, and an adapter for each protocol.

An adapter is imported when a task uses its protocol. The libraries of MQTT, AMQP, NATS and Kafka are extras.
"""
