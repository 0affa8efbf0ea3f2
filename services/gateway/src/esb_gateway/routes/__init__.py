"""API routes: HTTP request, event, function, HTTP response."""
