"""A parcel that has been handed over."""

from handlers.lake.expectations import Expectations
from handlers.lake.model import Number, Text

FIELDS = (
    Text("shipment_id"),
    Text("origin"),
    Text("destination"),
    Text("carrier"),
    Number("weight_kg", minimum=0),
)

EXPECTATIONS = Expectations(unique=("shipment_id",), bounds={"weight_kg": (0, 50_000)}, quarantine_percent=5)
