"""`python -m finetrace`: the command line without its console script."""

from finetrace.cli import main

if __name__ == "__main__":
    main()
