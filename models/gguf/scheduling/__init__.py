"""Requests of many threads in the steps of one context, and what they share."""
