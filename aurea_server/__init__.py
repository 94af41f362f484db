"""Aurea over HTTP: a thin aiohttp app around `aurea_engine`."""

from aurea_server.app import create_app

__all__ = ["create_app"]
