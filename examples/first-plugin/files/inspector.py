"""The inspector `iban`."""

from penstock import Inspector, RecordError, component, option


@component
class IbanInspector(Inspector):
    """Object to a record whose IBAN has wrong check digits."""

    field: str = option(default="iban", help="The field to look at.", example="account")

    def inspect(self, record: dict[str, str]) -> None:
        iban = record[self.field].replace(" ", "")
        digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
        if int(digits) % 97 != 1:
            raise RecordError(f"{self.field}: the check digits of {iban!r} are wrong")
