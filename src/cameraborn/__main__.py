"""The command line's entry point, also `python -m cameraborn`: what goes wrong while it is imported is one line too."""

import os
import sys

_LITTLE = 1 << 30  # bytes of address space


def main() -> None:
    """Run the command line."""
    _ask_for_few_threads()
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


def _ask_for_few_threads() -> None:
    """Where little memory is allowed: OpenBLAS waits for ever for that of a thread, instead of failing."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LITTLE:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


if __name__ == "__main__":
    main()
