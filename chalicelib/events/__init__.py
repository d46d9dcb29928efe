"""Events: every change tells of itself, in the transaction that makes it; a publisher puts them in order."""
