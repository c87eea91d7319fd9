"""Models with what a project has: relations, constraints, an inheriting one, one with a UUID."""

import uuid

from django.db import models


class SourceItem(models.Model):
    number = models.IntegerField()

    def __str__(self):
        return f"source {self.number}"


class ResultItem(models.Model):
    number = models.FloatField()


class Raw(models.Model):
    text = models.TextField()
    done = models.BooleanField(default=False)

    def __str__(self):
        return self.text

    def get_default_pipe_name(self):
        return "news.import"


class News(models.Model):
    title = models.CharField(max_length=200, unique=True)


class Tag(models.Model):
    news = models.ForeignKey(News, models.CASCADE)
    word = models.CharField(max_length=50)


class Place(models.Model):
    name = models.CharField(max_length=50)


class City(Place):
    people = models.IntegerField(default=0)


class Keyed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.IntegerField()


class Order(models.Model):
    code = models.CharField(max_length=20, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    changed = models.DateTimeField(null=True, blank=True)
