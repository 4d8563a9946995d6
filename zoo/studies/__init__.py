"""What the parts of the zoo show when they are put to use: studies behind commands, and their figures."""
