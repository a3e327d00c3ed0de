"""What a person types. One file per command; `app` finds the command.

Each command module offers two functions: ``configure(parser)`` adds its options and help, ``run(arguments)`` does the
work and returns the exit code. Between them they share `options` (the parser, options that several commands have),
`plan` (which files, and where their outputs go), `batch` (one file after the other, failures at the end), `console`
(what is said, and where) and `units` (sizes as people write them).
"""

from __future__ import annotations
