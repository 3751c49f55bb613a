"""Runs a command at a terminal of its own and types at it: one answer for each question.

Usage: at_terminal.py COMMAND [ARGUMENT…], with a JSON list of [question, answer] on standard input. Prints what the
terminal showed, and leaves with the command's exit code.
"""

import json
import os
import pty
import select
import sys
import time

answers = json.load(sys.stdin)
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""
since = 0
until = time.monotonic() + 120
while time.monotonic() < until:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        # The other end is closed.
        break
    if not chunk:
        break
    shown += chunk
    # A question is asked once the terminal is silent: what is typed then is not shown.
    if answers and answers[0][0].encode() in shown[since:]:
        since = len(shown)
        os.write(terminal, answers.pop(0)[1].encode() + b"\n")
else:
    os.kill(child, 9)
    print("the command did not end")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if not answers else 99)
