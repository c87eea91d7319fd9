"""The pipelines of these tests, the old document's examples among them."""

from penstock_django import Pipe, pipeline

from .models import News, Raw, ResultItem, SourceItem, Tag


class GradualSum(Pipe):
    def prepare(self, items):
        assert isinstance(items[0], SourceItem)
        self.context.total = 0
        return super().prepare(items)

    def process(self):
        item = super().process()
        self.context.total += item.number
        self.total = self.context.total
        return item


class DiscountSum(GradualSum):
    discount = 0.99

    def process(self):
        item = super().process()
        self.context.total *= self.discount
        return item


@pipeline("discount_sum")
class Save(DiscountSum):
    result_model = ResultItem

    def process(self):
        item = super().process()
        self.add_to_save(self.result_model(number=self.total))
        return item


@pipeline("main")
class Main(Pipe):
    depends = ["being_depend"]

    def process(self):
        item = super().process()
        self.context.said.append(f"main {item} {item * 1.0 / self.context.depends_total:.4f}")


@pipeline("being_depend")
class Depends(Pipe):
    def prepare(self, items):
        items = super().prepare(items)
        self.context.depends_total = 0
        self.context.said = []
        return items

    def process(self):
        item = super().process()
        self.context.said.append(f"depend {item}")
        self.context.depends_total += item
        return item


@pipeline("news.import")
class NewsImport(Pipe):
    broken = ("bad",)

    def process(self):
        raw = super().process()
        if raw.text in self.broken:
            raise ValueError(f"cannot read {raw.text!r}")
        if raw.text == "skip":
            self.ignore("not news")
        return self.add_to_save(News(title=raw.text))


@pipeline("news.link.tags", trigger="news_import")
class NewsTags(Pipe):
    broken = ()

    def process(self):
        news = super().process()
        if news.title in self.broken:
            raise LookupError(news.title)
        self.add_to_save(*(Tag(news=news, word=word) for word in news.title.split()))
        return news


class Step(Pipe):
    """Does with each item what `self.context.do` says of its number."""

    def process(self):
        item = super().process()
        number = item.number if isinstance(item, SourceItem) else item
        self.add_to_save(ResultItem(number=number))
        if self.context.get("asks"):
            Raw.objects.create(text=str(number))
        if number in self.context.do:
            self.context.do[number](self)
        return item


pipeline("step")(Step)
