"""The command line's entry point, also `python -m cameraborn`: what goes wrong while it is imported is one line too."""

import os
import sys


def main() -> None:
    """Run the command line."""
    try:
        from cameraborn.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("cameraborn: interrupted\n")
        os._exit(130)  # as a program that SIGINT ends
    except (ImportError, MemoryError) as error:
        said = str(error)  # a library that the system could not map, for want of memory, is an ImportError
        if isinstance(error, ImportError) and "memory" not in said and "map segment" not in said:
            raise
        sys.stderr.write(
            f"cameraborn: the memory does not suffice to start ({said or 'used up'}): give more\n"
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
