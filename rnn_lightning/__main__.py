"""`python -m rnn_lightning`, the same as the command `rnn-lightning`."""

import sys

from rnn_lightning.cli import main

sys.exit(main())
