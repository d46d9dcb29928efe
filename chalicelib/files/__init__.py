"""Files of an organisation: record, table, list, details, download, deletion."""
