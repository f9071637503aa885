"""The only code that talks to the network: the Kubernetes API and the status port of server pods."""
