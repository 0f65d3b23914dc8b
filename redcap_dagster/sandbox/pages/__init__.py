"""The web pages of a sandbox, which people open with a browser.

First the session and one visit, then the pages, each with its template, then the application.
Imports `sandbox.http`: what the API handles, the pages have handled by it.
"""
