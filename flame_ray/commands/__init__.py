"""The commands of the command line, one file each; `cli.py` holds their signatures."""
