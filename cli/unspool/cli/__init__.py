"""The program `unspool`: how people run, look at and look after workflows (docs/cli.md)."""
