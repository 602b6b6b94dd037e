"""`python -m ganduel …`, for `ganduel …`."""

from ganduel.cli import main

if __name__ == "__main__":
    main()
