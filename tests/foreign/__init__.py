"""Networks and posteriors of other libraries, with those libraries: `tox -e foreign`. Without one, its tests skip."""
