"""`python -m tf_attrib`: the command `tf-attrib`."""

import sys

from .cli import main

sys.exit(main())
