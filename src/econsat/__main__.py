"""``python -m econsat``: the command line without the script."""

from econsat.cli import main

if __name__ == "__main__":
    main()
