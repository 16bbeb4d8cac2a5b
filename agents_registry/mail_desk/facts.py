"""The facts that a draft may tell, as the contract `mail.draft` has them. What breaks them is refused by the SDK."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, Strict, StringConstraints, with_config
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

OrderId = Annotated[str, StringConstraints(pattern=r"^SO-[0-9]{4,8}$")]
CustomerId = Annotated[str, StringConstraints(pattern=r"^C-[0-9]{4,8}$")]
TrackingNumber = Annotated[str, StringConstraints(pattern=r"^TN-[0-9]{8,12}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,100}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Amount = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
EXACT = ConfigDict(extra="forbid")


@with_config(EXACT)
class Item(TypedDict):
    """Something bought."""

    name: Name
    quantity: Annotated[int, Strict(), Field(ge=1)]


@with_config(EXACT)
class Order(TypedDict):
    """An order, as `order.find` gives it."""

    order_id: OrderId
    customer_id: CustomerId
    customer_name: Name
    customer_email: Email
    ordered_on: Day
    status: Literal["paid", "packed", "shipped", "delivered"]
    items: Annotated[list[Item], Field(min_length=1, max_length=50)]
    total: Amount
    currency: Currency
    tracking_number: TrackingNumber


@with_config(EXACT)
class Shipment(TypedDict):
    """A parcel's last scan, as `shipment.track` gives it."""

    tracking_number: TrackingNumber
    carrier: ShortName
    state: Literal["label_printed", "in_transit", "delayed", "out_for_delivery", "delivered", "lost"]
    place: ShortName
    since: Day
    expected_on: NotRequired[Day]


@with_config(EXACT)
class Refund(TypedDict):
    """A payment back, as `refund.issue` gives it."""

    refund_id: Annotated[str, StringConstraints(pattern=r"^R-[0-9]{6,12}$")]
    order_id: OrderId
    amount: Amount
    currency: Currency
    issued_at: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+([Zz]|[+-][0-9:]+)$")]


@with_config(EXACT)
class Article(TypedDict):
    """A help article, as `knowledge.search` gives it."""

    source: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+\.md$", max_length=100)]
    title: Name
    excerpt: Annotated[str, StringConstraints(min_length=1, max_length=1500)]


@with_config(EXACT)
class AddressChange(TypedDict):
    """A new address, as `address.change` gives it."""

    customer_id: CustomerId
    redirected: Annotated[str, StringConstraints(pattern=r"^(SO-[0-9]{4,8}(, SO-[0-9]{4,8})*)?$", max_length=1000)]


@with_config(EXACT)
class Decision(TypedDict):
    """What a person decided, as `person.ask` gives it."""

    reply: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
