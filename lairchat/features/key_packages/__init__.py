"""The directory of key packages: what is needed to add a device that is not online."""
