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


class Kinds(models.Model):
    """A field of every kind that a statement takes as it is."""

    word = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    facts = models.JSONField(default=dict)
    lasts = models.DurationField(null=True)
    day = models.DateField(null=True)
    mark = models.UUIDField(null=True)
    source = models.ForeignKey(SourceItem, models.CASCADE, null=True)
    made = models.DateTimeField(auto_now_add=True)


class Computed(models.Model):
    """The database gives some of its fields."""

    number = models.IntegerField()
    factor = models.IntegerField(db_default=2)
    double = models.GeneratedField(
        expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=True
    )


class Bytes(models.Model):
    content = models.BinaryField()


class Counted(models.QuerySet):
    calls = 0

    def bulk_create(self, *objects, **options):
        type(self).calls += 1
        return super().bulk_create(*objects, **options)


class Managed(models.Model):
    """A project's own way of creating many."""

    number = models.IntegerField()
    objects = Counted.as_manager()

    class Meta:
        base_manager_name = "objects"


class Branch(models.Model):
    """A tree, as django-mptt makes them: it numbers its nodes when one is saved."""

    _mptt_meta = object()
    number = models.IntegerField()
    left = models.IntegerField(default=0)

    def save(self, *args, **options):
        self.left = Branch.objects.count() + 1
        super().save(*args, **options)
