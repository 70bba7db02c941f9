"""What happens to a parcel on its way."""

from handlers.lake.model import Text

FIELDS = (
    Text("shipment_id"),
    Text("status"),
    Text("city"),
)
