"""The program `unspool`: it runs and inspects workflows and operates services (docs/cli.md)."""
