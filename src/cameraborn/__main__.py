"""The command line's entry point, also `python -m cameraborn`: what goes wrong while it is imported is one line too."""

import os
import sys


def main() -> None:
    """Run the command line."""
    from cameraborn.errors import lacks_memory  # first: it says what the others fail of

    try:
        from cameraborn.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("cameraborn: interrupted\n")
        os._exit(130)  # as a program that SIGINT ends
    except Exception as error:
        if not lacks_memory(error):
            raise
        said = str(error)
        sys.stderr.write(
            f"cameraborn: the memory does not suffice to start ({said or 'used up'}): give more\n"
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
