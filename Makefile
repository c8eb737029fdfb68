# Each target is one command of make.py, which needs nothing but Python 3.11 or newer:
# without make, `python3 make.py run` does the same as `make run`.
PYTHON ?= python3

.PHONY: install clouds run test postgres check capabilities bench-quick servers lock
install clouds run test postgres check capabilities bench-quick servers lock:
	@$(PYTHON) make.py $@
