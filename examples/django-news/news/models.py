"""What comes in, and what is made of it."""

from django.db import models


class RawItem(models.Model):
    """A line as a feed sent it."""

    text = models.TextField()

    def __str__(self):
        return self.text


class News(models.Model):
    """A piece of news."""

    day = models.DateField()
    title = models.CharField(max_length=200)


class NewsTag(models.Model):
    """A word that a piece of news is found by."""

    news = models.ForeignKey(News, models.CASCADE)
    word = models.CharField(max_length=50)
