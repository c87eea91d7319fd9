"""The output to a topic: an epoch in one transaction with its checkpoint, or at least once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from penstock import (
    Batch,
    ByteSize,
    Checkpoint,
    ConnectError,
    Context,
    Duration,
    Failure,
    FencedError,
    Input,
    RecordError,
    RunError,
    TransactionalOutput,
    TransientError,
    component,
    option,
)

from .codecs import check_codec, encoder
from .library import load
from .limits import refuse_long_epochs

__all__ = ["KafkaOutput"]

_MARK = b'{"eos__":true}'


def _positive(value: float) -> None:
    if value <= 0:
        raise ValueError("must be more than 0")


class Message(NamedTuple):
    """What is sent of a record."""

    record: Any
    ordinal: int
    value: bytes | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp: int | None = None


@component
class KafkaOutput(TransactionalOutput):
    """Write records as messages of a topic."""

    stream: str = option(help="The topic.", example="enriched")
    key: str | None = option(
        default=None, help="Field that is the key, which says the partition.", example="user"
    )
    codec: str = option(
        default="json",
        help="How a value is written: json, text, bytes, or a function to bytes, module:function.",
        check=check_codec,
    )
    record: Literal["value", "message"] = option(
        default="value",
        help="What a record is: the value, or a dict of value, key, headers, timestamp in "
        "milliseconds and partition, of which any may be missing.",
    )
    headers: dict[str, str] = option(default={}, help="Headers of every message.")
    source_header: bool = option(
        default=False,
        help="Say in the header penstock-source which record a message was made of, as orders:17.",
    )
    transactions: bool = option(
        default=True,
        help="Write each epoch in a transaction, which readers see whole or not at all.",
    )
    transaction_timeout: Duration = option(
        default=60.0,
        help="How long an epoch may take in all before the cluster takes it back.",
        check=_positive,
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = option(
        default="none", help="How messages are packed; all but gzip need the extra of that name."
    )
    linger: Duration = option(
        default=0.005, help="How long to wait for more messages before some are sent."
    )
    batch_bytes: ByteSize = option(
        default=1 << 16, help="Messages of a partition that are sent together.", check=_positive
    )
    max_message_size: ByteSize = option(
        default=1 << 20, help="Longest message; a longer one is refused.", check=_positive
    )
    end_of_stream: bool = option(
        default=False, help="Put an end-of-stream mark into every partition when the run ends well."
    )

    broker: Any = None
    tells_group = True

    @property
    def delivery(self) -> str:  # type: ignore[override]
        return "transactional" if self.transactions else "append"

    def settles(self, source: Input) -> bool:
        """Offsets of the same cluster are in the transaction."""
        return self.transactions and getattr(source, "broker", None) == self.broker

    def open(self, context: Context) -> None:
        super().open(context)
        refuse_long_epochs(context, self.transaction_timeout, "transaction_timeout")
        from .clients import bounded, ensure_topic, sentences

        self._bounded, self._sentences = bounded, sentences
        self._encode = encoder(self.codec)
        self._producer: Any = None
        self._error: BaseException | None = None
        self._begun: float | None = None
        self._last: Checkpoint | None = None
        self._looked = False
        self._told: Mapping[str, Any] = {}
        self._fixed = [(name, text.encode()) for name, text in self.headers.items()]
        broker = self.broker
        self._cluster, self._count = ensure_topic(
            broker, self.stream, make=broker.create_topics, partitions=broker.partitions
        )

    def close(self) -> None:
        producer, self._producer = getattr(self, "_producer", None), None
        if producer is not None:
            self._give_up(producer)

    # ---- messages -------------------------------------------------------------------------------

    def write(self, batch: Batch) -> Sequence[Failure]:
        producer = self._begin()
        if self.record == "message":
            messages, failures = self._taken_apart(batch)
        else:
            values, unfit = self._encode(batch)
            failures = list(unfit)
            if failures:
                bad = {id(failure.record) for failure in failures}
                batch = batch.keep([id(record) not in bad for record in batch.records])
            if not self.source_header:
                self._send_plain(producer, batch, values, failures)
                self._raise_error()
                return failures
            messages = [
                Message(record, ordinal, value, key)
                for record, ordinal, value, key in zip(
                    batch.records, batch.ordinals, values, self._keys(batch)
                )
            ]
        self._send(producer, batch.source, messages, failures)
        self._raise_error()
        return failures

    def _send_plain(
        self, producer: Any, batch: Batch, values: Sequence[bytes], failures: list[Failure]
    ) -> None:
        """Send messages that differ in nothing but key and value."""
        send, topic, headers, failed = producer.send, self.stream, self._fixed, self._failed
        for index, (value, key) in enumerate(zip(values, self._keys(batch))):
            try:
                send(topic, value, key, headers).add_errback(failed)
            except Exception as error:
                failures.append(self._refused(error, batch.records[index], batch.ordinals[index]))

    def _send(
        self, producer: Any, source: str, messages: Iterable[Message], failures: list[Failure]
    ) -> None:
        for one in messages:
            headers = [*self._fixed, *one.headers]
            if self.source_header:
                headers.append(("penstock-source", f"{source}:{one.ordinal}".encode()))
            try:
                producer.send(
                    self.stream, one.value, one.key, headers, one.partition, one.timestamp
                ).add_errback(self._failed)
            except Exception as error:
                failures.append(self._refused(error, one.record, one.ordinal))

    def _taken_apart(self, batch: Batch) -> tuple[list[Message], list[Failure]]:
        """Messages as records: what is to be sent of each, in order."""
        failures: list[Failure] = []
        good: list[tuple[Any, int]] = []
        for record, ordinal in zip(batch.records, batch.ordinals):
            if problem := _problem(record):
                failures.append(Failure(record, ordinal, RecordError(problem)))
            else:
                good.append((record, ordinal))
        full = [(record["value"], n) for record, n in good if record.get("value") is not None]
        values, unfit = self._encode(
            Batch([value for value, _ in full], batch.source, [n for _, n in full])
        )
        wrong = {id(failure.record): failure.error for failure in unfit}
        encoded = iter(values)
        messages = []
        for record, ordinal in good:
            value = record.get("value")
            if id(value) in wrong:
                failures.append(Failure(record, ordinal, wrong[id(value)]))
                continue
            data = None if value is None else next(encoded)
            messages.append(
                Message(
                    record,
                    ordinal,
                    data,
                    _key_bytes(record.get("key")),
                    _headers(record.get("headers")),
                    record.get("partition"),
                    record.get("timestamp"),
                )
            )
        return messages, failures

    def _keys(self, batch: Batch) -> list[bytes | None]:
        if self.key is None:
            return [None] * len(batch.records)
        name = self.key
        return [
            _key_bytes(record.get(name)) if isinstance(record, dict) else None
            for record in batch.records
        ]

    def _refused(self, error: Exception, record: Any, ordinal: int) -> Failure:
        """The failure of one record; raises what is not its own fault."""
        from .clients import explained

        errors = load().errors
        if isinstance(error, errors.MessageSizeTooLargeError):
            error = RecordError(
                f"is a message of more than {self.max_message_size} bytes; raise max_message_size "
                "here and max.message.bytes of the topic, or make it smaller"
            )
        elif isinstance(error, errors.KafkaError):
            raise explained(error, self.stream) from error
        elif not isinstance(error, (ValueError, TypeError)):
            raise error
        return Failure(record, ordinal, error)

    # ---- transactions ---------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        """What was committed last. Asking makes this the only producer of its name: one that was
        overtaken cannot commit any more, and what it left open is taken back."""
        from .checkpoints import last_checkpoint

        self._make_checkpoints()
        # Before this is the only producer of its name: another pipeline may be running.
        last_checkpoint(self.broker, self._checkpoints, self.stream)
        self._make()
        self._last = last_checkpoint(self.broker, self._checkpoints, self.stream)
        self._told = dict(self._last.positions) if self._last is not None else {}
        self._looked = True
        return self._last if pipeline == self.context.pipeline else None

    def checkpoint_of(self, pipeline: str) -> Checkpoint | None:
        """What another worker has committed last, as soon as nothing of it is undecided."""
        from .checkpoints import settled_checkpoint, topic_of

        topic = topic_of(self.broker.prefix, pipeline, self.context.name)
        patience = self.transaction_timeout * 2
        return settled_checkpoint(self.broker, topic, self.stream, patience)

    def commit(self, checkpoint: Checkpoint) -> None:
        last = self._last
        if last is not None and (
            last.generation > checkpoint.generation or last.epoch >= checkpoint.epoch
        ):
            raise FencedError(checkpoint.pipeline)
        self._transact(checkpoint, checkpoint.positions)

    def prepare(self, epoch: int) -> Any:
        if not self.transactions:
            self.flush()
        return None

    def flush(self) -> None:
        if self._producer is not None:
            self._guard(lambda: self._producer.flush(timeout=self.broker.request_timeout * 4))
            self._raise_error()

    def resume(self, mark: Any, epoch: int) -> None:
        if self.transactions and not self._looked:
            self.checkpoint(self.context.pipeline)  # so that a commit that is stale is refused
        self._take_back()

    def reopen(self, mark: Any, epoch: int) -> None:
        self._take_back()

    def finish(self) -> None:
        if not self.end_of_stream:
            return
        if self._last is not None and self._last.finished:
            return  # a run died before it could note that it was done
        producer = self._begin()
        for number in range(self._count):
            producer.send(self.stream, _MARK, b"eos", [("penstock-eos", b"1")], number).add_errback(
                self._failed
            )
        if self._last is not None:
            self._transact(replace(self._last, finished=True), {})
        else:
            self.flush()

    def _transact(self, checkpoint: Checkpoint, positions: Mapping[str, Any]) -> None:
        """Commit what was sent, with the checkpoint and the offsets that it was made of."""
        from .checkpoints import messages_of
        from .positions import of_group

        producer = self._begin()
        changed = [one for source, one in positions.items() if self._told.get(source) != one]
        groups = of_group(changed, self._cluster, checkpoint.pipeline)

        def work() -> None:
            sent = [
                producer.send(self._checkpoints, *message)
                for message in messages_of(checkpoint, self.stream, self.max_message_size)
            ]
            for member, offsets in groups.items():
                producer.send_offsets_to_transaction(offsets, member)
            producer.commit_transaction()
            # The library says so too when the cluster has refused what was on its way, and the
            # producer was given a new epoch: then nothing was committed.
            for one in sent:
                one.get(self.broker.request_timeout)
            error, self._error = self._error, None
            if error is not None:
                raise error

        self._guard(work, checkpoint.pipeline)
        self._begun, self._last = None, checkpoint
        if not self.context.moves:
            # Else every epoch is committed with all our partitions, so that it is refused when they
            # have gone to others: it may hold what became of a state without any new record.
            self._told = dict(positions or self._told)

    def _guard(self, call: Callable[[], Any], pipeline: str = "") -> None:
        """Call with a time limit. After an error nobody knows what the cluster did: the producer is
        thrown away, and the run starts again from what turns out to be committed."""
        errors = load().errors
        limit = self.broker.request_timeout * 4
        try:
            with self._sentences(self.stream):
                self._bounded(call, limit, self.stream)
        except Exception as error:
            producer, self._producer = self._producer, None
            self._let_go(producer, 0)
            cause = error.__cause__
            fenced = (errors.ProducerFencedError, errors.InvalidProducerEpochError)
            if isinstance(cause, fenced):
                if self._begun is not None and self._took_too_long():
                    raise RunError(
                        f"the epoch took longer than {self.transaction_timeout:g} s, and the "
                        "cluster took it back",
                        where=self.stream,
                        hint="use a shorter epoch or a longer transaction_timeout",
                    ) from error
                raise FencedError(pipeline or self.context.pipeline) from error
            if isinstance(cause, errors.CommitFailedError):
                raise TransientError(
                    f"{self.stream}: the group gave partitions to others before the epoch was over"
                ) from error
            raise

    def _took_too_long(self) -> bool:
        return time.monotonic() - (self._begun or 0.0) >= self.transaction_timeout

    def _begin(self) -> Any:
        """The producer, in a transaction if there are to be some."""
        self._make()
        if self.transactions and self._begun is None:
            with self._sentences(self.stream):
                self._producer.begin_transaction()
            self._begun = time.monotonic()
        return self._producer

    def _take_back(self) -> None:
        if self._begun is not None:
            self._guard(self._producer.abort_transaction)
            self._begun = None

    def _make(self) -> None:
        if self._producer is not None:
            return
        from .clients import connected

        broker, kafka = self.broker, load()
        wanted: dict[str, Any] = {
            "client_id": f"penstock-{self.context.name}",
            "acks": "all",
            "compression_type": None if self.compression == "none" else self.compression,
            "linger_ms": int(self.linger * 1000),
            "batch_size": self.batch_bytes,
            "max_request_size": self.max_message_size,
            "max_block_ms": int(broker.request_timeout * 1000),
            "delivery_timeout_ms": int(broker.request_timeout * 3000),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            **{k: v for k, v in broker.extra.items() if k in kafka.KafkaProducer.DEFAULT_CONFIG},
        }
        if self.transactions:
            self._make_checkpoints()
            wanted["transactional_id"] = self._checkpoints
            wanted["transaction_timeout_ms"] = int(self.transaction_timeout * 1000)
        try:
            self._producer = connected(broker, "KafkaProducer", **wanted)
        except RuntimeError as error:  # its library is not there
            hint = f"pip install 'penstock-broker-kafka[{self.compression}]'"
            raise ConnectError(str(error), where=self.context.name, hint=hint) from error
        if self.transactions:
            with self._sentences(broker.bootstrap, ConnectError):
                self._producer.init_transactions()

    def _make_checkpoints(self) -> None:
        """The topic in which the checkpoints are."""
        from .checkpoints import topic_of
        from .clients import ensure_topic

        self._checkpoints = topic_of(self.broker.prefix, self.context.pipeline, self.context.name)
        settings = {"cleanup.policy": "compact"}
        ensure_topic(self.broker, self._checkpoints, make=True, partitions=1, **settings)

    def _give_up(self, producer: Any) -> None:
        """Nothing that was not committed may stay: readers wait for an open transaction."""
        if self._begun is not None:
            try:
                self._bounded(producer.abort_transaction, 5.0, self.stream)
            except Exception as error:
                self.context.logger.info("an open transaction could not be taken back: %s", error)
        self._let_go(producer, 1 if self.transactions else 10)

    def _let_go(self, producer: Any, seconds: float) -> None:
        """Close it, whatever it still had to send."""
        try:
            producer.close(timeout=seconds)
        except load().errors.KafkaError as error:
            self.context.logger.info("what was not sent is left out: %s", error)

    def _failed(self, error: BaseException) -> None:
        """Called from the producer's thread for a message that did not get through."""
        self._error = self._error or error

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            from .clients import explained

            producer, self._producer = self._producer, None
            if producer is not None:
                self._give_up(producer)
                self._begun = None
            raise explained(error, self.stream) from error


def _key_bytes(key: Any) -> bytes | None:
    if key is None:
        return None
    if isinstance(key, (bytes, bytearray)):
        return bytes(key)
    return str(key).encode("utf-8", "surrogatepass")


def _problem(record: Any) -> str:
    """Why a record is no message."""
    if not isinstance(record, dict):
        return f"is no message but {type(record).__name__}; use record: value"
    if record.get("value") is None and record.get("key") is None:
        return "a tombstone needs a key; give it one, or a value"
    return ""


def _headers(headers: Any) -> list[tuple[str, bytes]]:
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return [
        (str(name), value if isinstance(value, bytes) else str(value).encode())
        for name, value in pairs
    ]
