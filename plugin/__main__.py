"""What the Pulumi engine starts to make the components for a program in any language."""

from ingestion_lab.plugin import serve

serve()
