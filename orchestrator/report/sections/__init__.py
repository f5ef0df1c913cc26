"""What the page is made of: one section or table of the report a module."""
