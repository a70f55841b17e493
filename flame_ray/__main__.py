"""`python -m flame_ray`, the form that a submitted job uses."""

from flame_ray.cli import main

main()
