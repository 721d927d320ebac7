"""The server around the pages: whom it answers, with which headers, and how much it takes and gives."""
