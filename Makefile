# Every rule is one line: tasks.py does the work, with nothing but Python 3.11 or later.
# No make at hand?  `python tasks.py test` is the same.  Arguments: make test ARGS="-k floors"

PYTHON ?= python3

.PHONY: help demo test lint format types oracles programs browser bench wheel docs clean

help:    ; @$(PYTHON) tasks.py help
demo:    ; @$(PYTHON) tasks.py demo $(ARGS)
test:    ; @$(PYTHON) tasks.py test $(ARGS)
lint:    ; @$(PYTHON) tasks.py lint $(ARGS)
format:  ; @$(PYTHON) tasks.py format $(ARGS)
types:   ; @$(PYTHON) tasks.py types $(ARGS)
oracles: ; @$(PYTHON) tasks.py oracles $(ARGS)
programs: ; @$(PYTHON) tasks.py programs $(ARGS)
browser: ; @$(PYTHON) tasks.py browser $(ARGS)
bench:   ; @$(PYTHON) tasks.py bench $(ARGS)
wheel:   ; @$(PYTHON) tasks.py wheel $(ARGS)
docs:    ; @$(PYTHON) tasks.py docs $(ARGS)
clean:   ; @$(PYTHON) tasks.py clean $(ARGS)
