"""A process that reserves and settles until it is killed, and says on stdout what it tries and what was acknowledged.

Usage: budget_writer.py SEED; a line of output is `try AMOUNT` or `ok AMOUNT`. Its environment says where the control plane is.
"""

import os
import random
import sys
import threading
from dataclasses import replace

import django

THREADS = 4


def main(seed: str) -> None:
    from analytics.budgets.counting import record_usage  # noqa: PLC0415 - Django must stand first
    from analytics.budgets.reservations import commit, reserve, top_up  # noqa: PLC0415
    from northstar.errors import NorthstarError  # noqa: PLC0415
    from tests.analytics.storm import TENANT  # noqa: PLC0415

    def work(number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        while True:
            context = replace(TENANT, project_id=f"p{chance.randrange(2)}", user_id=f"u{chance.randrange(3)}")
            amount = chance.randint(2, 4)
            os.write(1, b"try %d\n" % amount)
            try:
                if chance.random() < 0.3:
                    record_usage(context, "openai", "tokens", amount)
                else:
                    held = reserve(context, "openai", "tokens", amount - 1).reservation_id
                    top_up(context, "openai", "tokens", held, 1)
                    if chance.random() < 0.2:
                        continue
                    commit(context, "openai", "tokens", held, amount)
                os.write(1, b"ok %d\n" % amount)
            except NorthstarError:
                continue

    for number in range(THREADS):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    sys.stdin.read()  # ends with the test's process, however that ends


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1])
