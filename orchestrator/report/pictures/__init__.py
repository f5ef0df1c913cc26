"""The figures as SVG and PNG files, by matplotlib."""
