"""Orders, what is made of them, and rows that are loaded."""

from django.db import models


class Order(models.Model):
    amount = models.IntegerField()
    customer = models.CharField(max_length=50)


class Row(models.Model):
    """What every contender leaves."""

    order = models.IntegerField()
    customer = models.CharField(max_length=50)
    total = models.IntegerField()
    paid = models.BooleanField(default=False)

    class Meta:
        db_table = "rows"
