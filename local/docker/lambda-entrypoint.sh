#!/bin/sh
# Runs the function, as the entry point of the image `provided` does outside of the emulator.
exec /var/task/bootstrap "$@"
