"""docs/openapi.json: what the HTTP functions take and answer, made from their models."""

from tools.openapi.document import document, document_text

__all__ = ["document", "document_text"]
