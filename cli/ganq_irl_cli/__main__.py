"""Entry point of ``python -m ganq_irl_cli``."""

from ganq_irl_cli import main

main(prog_name="ganq-irl")
