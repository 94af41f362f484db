"""A result as a page to read and to hand on: one HTML file with its charts, or Markdown."""
