"""One module per outside system; the only place that knows its words."""
