"""D1: one result of each order. `ask` looks at the database as well, so it has a savepoint."""

from django_shop.models import Order, Row
from penstock_django import Pipe, pipeline


@pipeline("compute")
class Compute(Pipe):
    def process(self):
        order = super().process()
        self.add_to_save(Row(order=order.pk, customer=order.customer, total=order.amount * 2))
        return order


@pipeline("ask")
class Ask(Compute):
    def process(self):
        order = super().process()
        Order.objects.filter(pk=order.pk).update(amount=order.amount + 1)
        return order
