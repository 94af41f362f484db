"""The pages that the server shows in a browser, and their files."""
