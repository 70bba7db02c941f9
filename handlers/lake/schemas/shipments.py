"""A parcel that has been handed over."""

from handlers.lake.model import Number, Text

FIELDS = (
    Text("shipment_id"),
    Text("origin"),
    Text("destination"),
    Text("carrier"),
    Number("weight_kg", minimum=0),
)
