"""Run the command line with `python -m cameraborn`."""

from cameraborn.cli import main

main()
