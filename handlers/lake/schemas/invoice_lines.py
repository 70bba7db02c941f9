"""A line of an invoice; credits are lines with a negative total."""

from handlers.lake.model import Integer, Number, Text

FIELDS = (
    Text("invoice_id"),
    Text("sku"),
    Integer("quantity", minimum=0),
    Number("unit_price"),
    Number("line_total"),
)
