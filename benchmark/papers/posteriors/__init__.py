"""One network, one data set, one judge, every kind of posterior: what is Bayes, and what the approximation."""
